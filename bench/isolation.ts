// `isolation`: how long single transactional messages wait, from their commit to the sink's 250, alone and while bulk
// runs flat out on the same machine, relay and database. The instant of the 250 is the event's, which the dispatcher
// notes by the monotonic clock when the reply comes in.

import pg from "pg";
import { inScope } from "../test/rig/scope.ts";
import { startSmtpSink, type SmtpSink } from "../test/rig/smtp-sink.ts";
import type { BenchOptions, BenchReport } from "./bench-result.ts";
import { fillQueue } from "./fill.ts";
import { startLaneRig, type LaneRig } from "./lane-rig.ts";
import { quantile, round } from "./quantile.ts";
import { makeSlowDisk } from "./slow-disk.ts";

const FULL = { probes: 500, bulkRows: 500_000 };
const QUICK = { probes: 120, bulkRows: 200_000 };
/** Between two probes, with a jitter of as much, so that they meet every phase of what else goes on. */
const PROBE_EVERY_MS = 25;
const BULK_ALONE_MS = 5_000;
const WARM_UP_MS = 1_500;

export function run({ quick, slowDisk, progress }: BenchOptions): Promise<BenchReport> {
  const sizes = quick ? QUICK : FULL;
  return inScope(async (scope) => {
    const disk = slowDisk ? await makeSlowDisk(scope) : { env: {} };
    if ("missing" in disk) throw new Error(`the slow disk is compiled with ${disk.missing}, which is not installed`);
    const sink = await startSmtpSink(scope);
    const rig = await startLaneRig(scope, { relay: sink, databaseEnv: disk.env });
    await fillQueue(rig.database.pool, "bulk", {
      campaign: "flat out",
      status: "paused",
      rows: sizes.bulkRows,
      destinations: 1000,
    });
    await rig.database.pool.query("VACUUM ANALYZE postlane.queue, postlane.message");
    await rig.startDispatcher("transactional");
    await rig.startDispatcher("bulk");
    await probe(rig, 20);

    progress(`transactional alone: ${sizes.probes} probes`);
    const idle = await probe(rig, sizes.probes);
    progress("bulk alone");
    await setStatus(rig, "running");
    await sleep(WARM_UP_MS);
    const alonePerS = await bulkRate(sink, () => sleep(BULK_ALONE_MS));
    progress(`both: ${sizes.probes} probes`);
    let loaded: readonly number[] = [];
    const besidePerS = await bulkRate(sink, async () => {
      loaded = await probe(rig, sizes.probes);
    });
    await setStatus(rig, "paused");
    return report(idle, loaded, alonePerS, besidePerS, slowDisk);
  });
}

function report(
  idle: readonly number[],
  loaded: readonly number[],
  alonePerS: number,
  besidePerS: number,
  slowDisk: boolean,
): BenchReport {
  const figures = {
    idle_p50_ms: quantile(idle, 0.5),
    idle_p99_ms: quantile(idle, 0.99),
    loaded_p50_ms: quantile(loaded, 0.5),
    loaded_p99_ms: quantile(loaded, 0.99),
    p50_ratio: round(quantile(loaded, 0.5) / quantile(idle, 0.5)),
    p99_ratio: round(quantile(loaded, 0.99) / quantile(idle, 0.99)),
    bulk_share: round(besidePerS / alonePerS),
    bulk_alone_per_s: Math.round(alonePerS),
    bulk_beside_per_s: Math.round(besidePerS),
  };
  const bars = [
    { key: "p50_ratio", op: "<=", value: 2.5 },
    { key: "p99_ratio", op: "<=", value: 4 },
    { key: "bulk_share", op: ">=", value: 0.7 },
    { key: "idle_p50_ms", op: "<=", value: 8 },
    { key: "loaded_p99_ms", op: "<=", value: 40 },
  ] as const;
  return { figures, bars: slowDisk ? [] : bars, notes: [] };
}

/** Milliseconds from commit to 250 of so many single messages, each in a transaction of its own. */
async function probe(rig: LaneRig, probes: number): Promise<readonly number[]> {
  const client = new pg.Client(rig.database.clientConfig);
  await client.connect();
  const committedAtMs = new Map<string, number>();
  for (let index = 0; index < probes; index++) {
    const email = { to: `reset${index}@people.example.com`, subject: "Your password", text: "Here is your link." };
    const { rows } = await client.query("SELECT postlane.enqueue($1) AS id", [JSON.stringify(email)]);
    committedAtMs.set(rows[0].id, performance.timeOrigin + performance.now());
    await sleep(PROBE_EVERY_MS * (0.5 + Math.random()));
  }
  const waits = await waitsOf(client, committedAtMs);
  await client.end();
  return waits;
}

async function waitsOf(client: pg.Client, committedAtMs: ReadonlyMap<string, number>): Promise<readonly number[]> {
  const ids = [...committedAtMs.keys()].map((id) => Number(id.replace("sub_", "")));
  for (;;) {
    const { rows } = await client.query(
      `SELECT 'sub_' || m.submission_id AS id, (extract(epoch FROM e.at) * 1000)::float8 AS at_ms
       FROM postlane.message AS m JOIN postlane.event AS e ON e.message_id = m.id AND e.kind = 'sent'
       WHERE m.submission_id = ANY ($1::bigint[])`,
      [ids],
    );
    if (rows.length === ids.length) return rows.map((row) => row.at_ms - committedAtMs.get(row.id)!);
    await sleep(50);
  }
}

async function bulkRate(sink: SmtpSink, meanwhile: () => Promise<void>): Promise<number> {
  const before = sink.count();
  const startedAt = performance.now();
  await meanwhile();
  return ((sink.count() - before) * 1000) / (performance.now() - startedAt);
}

async function setStatus(rig: LaneRig, status: string): Promise<void> {
  await rig.database.pool.query("UPDATE postlane.campaign SET status = $1", [status]);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
