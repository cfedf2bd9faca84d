// A primary dies under load and its replica, which lagged, takes over. What the replica had not received is lost, and that is
// all: the site's word and the server's log positions say beforehand which messages that can be. What was handed over, and
// whose end was lost, is counted.

import { setTimeout as sleep } from "node:timers/promises";
import { sendSignal } from "../../bench/running-processes.ts";
import type { Scope } from "../../test/rig/scope.ts";
import { runCommand } from "../../bench/run-command.ts";
import type { Fault } from "../fault.ts";
import { isHeldByGuard } from "../rig/books-store.ts";
import { makeReplicatedServers, type PostgresServer } from "../rig/replicated-servers.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

const LOAD_MS = 1500;
/** For so long the replica receives nothing before the primary dies. */
const LAG_MS = 1000;
const SAMPLE_MS = 20;
/** What was in the sockets is received. */
const RECEIVED_MS = 500;
/** Between a reception and the commit that says so: groups of a slow disk, and the sink's own sync. */
const SETTLED_MS_MAX = 3000;

export const fault: Fault = {
  promises: ["durable"],
  what: "The primary killed under load while its asynchronous replica lagged by a second, and the replica promoted",
  unit: "failovers",
  small: 1,
  full: 5,
  recoveryMsMax: 30_000,
  needs: ["postgresql-15"],
  async run({ runs, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const servers = await makeReplicatedServers(scope);
    const { databaseUrl, siteUrl } = servers;
    const world = await bringUpWorld(scope, { name: "lagging", say, databaseUrl, siteUrl, isFull, ledgersIn });
    const gaps: Gap[] = [];
    let held = 0;
    for (let run = 1; run <= runs; run++) {
      const replica = await servers.attachReplica({ isSynchronous: false });
      await world.untilRecovered(wallMs());
      const positions = watchPositions(scope, servers.primary);
      await sleep(LOAD_MS);
      const lagging = replica.pidsOf("walreceiver");
      for (const pid of lagging) sendSignal(pid, "SIGSTOP");
      await sleep(LAG_MS);
      const stated = await stateGap(servers.primary);
      const killedAtMs = wallMs();
      servers.killPrimary();
      await positions.stop();
      for (const pid of lagging) sendSignal(pid, "SIGCONT");
      await sleep(RECEIVED_MS);
      const safeAtMs = positions.safeAtMs(await receivedBy(replica));
      tally.expect(Number.isFinite(safeAtMs), "the replica had not received what was there a second before it lagged");
      gaps.push({ safeAtMs, killedAtMs });
      (await servers.promote()).throwAway();
      const ms = (await world.untilRecovered(killedAtMs, ["transactional"])) - killedAtMs;
      tally.recovered(ms);
      if (await confirmIfHeld(world, databaseUrl)) held++;
      await world.untilRecovered(killedAtMs, ["bulk"]);
      tally.ran();
      say(`failover ${run} of ${runs}: the replica lagged by ${stated} bytes; mail again after ${Math.round(ms)} ms`);
      tally.note(
        `before failover ${run} the primary said that its replica lagged by ${stated} bytes: what was acknowledged in the ` +
          `last ${Math.round(killedAtMs - safeAtMs)} ms`,
      );
    }
    const mayBeLost = lostIn(world, gaps);
    const judged = await world.judge({ mayBeLost, mayComeAgain: againIn(world, gaps) });
    tally.judged(judged);
    const inGaps = [...world.submissions.acknowledgedAtMs.keys()].filter(mayBeLost).length;
    tally.note(
      `${judged.excused.lost} acknowledged messages were lost with what the replicas had not received; ` +
        `${inGaps} were acknowledged in these gaps`,
    );
    tally.note(`${judged.excused.duplicates} were handed over again, because their end was in such a gap`);
    tally.note(`after ${held} of ${runs} failovers the guard held bulk, until it was confirmed`);
    await world.stop();
    return tally.outcome();
  },
};

/** A replica that lacks a heartbeat or more is a database that was set back: bulk waits for a person. */
async function confirmIfHeld({ installation, books }: World, databaseUrl: string): Promise<boolean> {
  if (!(await untilJudged(books))) return false;
  const env = { ...installation.env, DATABASE_URL: databaseUrl };
  await runCommand({ ...installation, env }, "guard", "confirm", "--yes");
  return true;
}

/** What was acknowledged before `safeAtMs` is on the replica. */
interface Gap {
  readonly safeAtMs: number;
  readonly killedAtMs: number;
}

function lostIn({ submissions }: World, gaps: readonly Gap[]): (recipient: string) => boolean {
  return (recipient) => {
    const begunAtMs = submissions.begunAtMs(recipient);
    const doneAtMs = submissions.acknowledgedAtMs.get(recipient) ?? Infinity;
    return begunAtMs !== undefined && gaps.some((gap) => doneAtMs >= gap.safeAtMs && begunAtMs <= gap.killedAtMs);
  };
}

function againIn({ receptions }: World, gaps: readonly Gap[]): (recipient: string) => boolean {
  const inGap = (atMs: number): boolean =>
    gaps.some(({ safeAtMs, killedAtMs }) => atMs >= safeAtMs - SETTLED_MS_MAX && atMs <= killedAtMs + SETTLED_MS_MAX);
  let found: ReadonlySet<string> | undefined;
  return (recipient) => {
    found ??= new Set(receptions.filter(({ atMs }) => inGap(atMs)).map((reception) => reception.recipient));
    return found.has(recipient);
  };
}

/** Answers whether bulk is held: the dispatchers find out with their next renewal. */
async function untilJudged(books: World["books"]): Promise<boolean> {
  for (;;) {
    const call = await books.call(isHeldByGuard);
    if (call.kind === "committed" && call.value !== undefined) return call.value;
    await sleep(SAMPLE_MS);
  }
}

// ---- positions in the log of changes -----------------------------------------------------------------------------------

interface Positions {
  stop(): Promise<void>;
  /** Of the last look at which everything that was acknowledged lay before a position. */
  safeAtMs(position: bigint): number;
}

/** Looks at what the primary has flushed: what was acknowledged before a look lies before what the look saw. */
function watchPositions(scope: Scope, primary: PostgresServer): Positions {
  const seen: { readonly askedAtMs: number; readonly flushed: bigint }[] = [];
  let isStopped = false;
  const looks = (async () => {
    while (!isStopped) {
      const askedAtMs = wallMs();
      const row = await primary.ask<{ lsn: string }>("SELECT pg_current_wal_flush_lsn() AS lsn").catch(() => undefined);
      if (row === undefined) return;
      seen.push({ askedAtMs, flushed: parsePosition(row.lsn) });
      await sleep(SAMPLE_MS);
    }
  })();
  const stop = async (): Promise<void> => {
    isStopped = true;
    await looks;
  };
  scope.after(stop);
  return {
    stop,
    safeAtMs: (position) =>
      Math.max(-Infinity, ...seen.filter(({ flushed }) => flushed <= position).map(({ askedAtMs }) => askedAtMs)),
  };
}

async function stateGap(primary: PostgresServer): Promise<number> {
  const { bytes } = await primary.ask<{ bytes: number }>(
    "SELECT max(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), flush_lsn))::float8 AS bytes FROM pg_stat_replication",
  );
  return bytes;
}

async function receivedBy(replica: PostgresServer): Promise<bigint> {
  const { lsn } = await replica.ask<{ lsn: string }>("SELECT pg_last_wal_receive_lsn() AS lsn");
  return parsePosition(lsn);
}

/** `16/B374D848`. */
function parsePosition(text: string): bigint {
  const [high = "", low = ""] = text.split("/");
  return (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
}
