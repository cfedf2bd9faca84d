// `import`: a list of a million recipients with six columns into a campaign, checked and made distinct, by the command that
// people use; beside it, in turns, a bare COPY of the same file into a plain table without a key. One row in a thousand
// stands in the list twice, and as many hold no address.

import { fork } from "node:child_process";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import path from "node:path";
import { finished, pipeline } from "node:stream/promises";
import type { ClientBase } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { inScope } from "../test/rig/scope.ts";
import type { BenchOptions, BenchReport } from "./bench-result.ts";
import { readRssMbMax, startLaneRig, type LaneRig } from "./lane-rig.ts";
import { writeTemplate } from "./newsletter.ts";
import { quantile, round } from "./quantile.ts";

const FULL = { rows: 1_000_000, rounds: 3 };
const QUICK = { rows: 200_000, rounds: 2 };
const RSS_LOOK_MS = 100;

const MAIN = path.resolve(import.meta.dirname, "../src/doors/cli/main.js");

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const { rows, rounds } = quick ? QUICK : FULL;
  const copies: number[] = [];
  const imports: Imported[] = [];
  for (let turn = 1; turn <= rounds; turn++) {
    progress(`turn ${turn} of ${rounds}: COPY, then the import`);
    // A database each: vacuum of what one turn has written would be at work in the next.
    await inScope(async (scope) => {
      // Nothing is sent: no dispatcher runs, and no message is made for one.
      const rig = await startLaneRig(scope, { relay: { host: "127.0.0.1", port: 9 }, isFed: false });
      const file = path.join(rig.dataDir, "list.csv");
      await writeSixColumns(file, rows);
      copies.push(rows / (await copyPlainly(rig, file)));
      imports.push(await importByCommand(rig, file, writeTemplate(rig.dataDir)));
    });
  }
  const left = imports.map(({ counts }) => `${counts.accepted} + ${counts.doubled} + ${counts.rejected}`);
  if (imports.some(({ counts }) => counts.accepted + counts.doubled + counts.rejected !== rows))
    throw new Error(`accepted, double and rejected are not ${rows}: ${left.join("; ")}`);
  const rowsPerS = quantile(
    imports.map(({ seconds }) => rows / seconds),
    0.5,
  );
  const copyRowsPerS = quantile(copies, 0.5);
  return {
    figures: {
      rows_per_s: Math.round(rowsPerS),
      copy_rows_per_s: Math.round(copyRowsPerS),
      vs_copy: round(rowsPerS / copyRowsPerS),
      rss_mb_max: Math.max(...imports.map(({ rssMb }) => rssMb)),
      accepted: imports[0]!.counts.accepted,
      doubled: imports[0]!.counts.doubled,
      rejected: imports[0]!.counts.rejected,
    },
    bars: [
      { key: "vs_copy", op: ">=", value: 0.1 },
      { key: "rss_mb_max", op: "<=", value: 250 },
    ],
    notes: ["Medians of turns. The import is the whole command, from its start to its end, with the process's own."],
  };
}

async function writeSixColumns(file: string, rows: number): Promise<void> {
  const out = createWriteStream(file);
  out.write("email,first_name,city,customer_id,plan,amount\n");
  for (let row = 0; row < rows; row++) {
    const address =
      row % 1000 === 999 ? `user${row - 500}@D${((row - 500) * 7919) % 1000}.example.com` : addressOf(row);
    const line = `${row % 1000 === 500 ? `no address ${row}` : address},Ann ${row},Berlin,${100_000 + row},gold,${(row % 10_000) / 100}\n`;
    if (!out.write(line)) await once(out, "drain");
  }
  out.end();
  await finished(out);
}

function addressOf(row: number): string {
  return `user${row}@d${(row * 7919) % 1000}.example.com`;
}

async function copyPlainly({ database }: LaneRig, file: string): Promise<number> {
  const client = await database.pool.connect();
  await client.query(
    `DROP TABLE IF EXISTS plain; CREATE TABLE plain
       (email text, first_name text, city text, customer_id text, plan text, amount text)`,
  );
  await checkpoint(client);
  const startedAt = performance.now();
  await pipeline(
    createReadStream(file, { highWaterMark: 1 << 20 }),
    client.query(copyFrom("COPY plain FROM STDIN WITH (FORMAT csv, HEADER)")),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  client.release();
  return seconds;
}

/** What was written before is not this one's to pay for. */
async function checkpoint(client: ClientBase): Promise<void> {
  await client.query("CHECKPOINT");
}

interface Imported {
  readonly seconds: number;
  readonly rssMb: number;
  readonly counts: { readonly accepted: number; readonly doubled: number; readonly rejected: number };
}

async function importByCommand(rig: LaneRig, file: string, templateDir: string): Promise<Imported> {
  const client = await rig.database.pool.connect();
  await checkpoint(client);
  client.release();
  const startedAt = performance.now();
  const child = fork(
    MAIN,
    [
      "campaign",
      "send",
      "--list",
      file,
      "--template",
      templateDir,
      "--lane",
      "bulk",
      "--allow-empty",
      "--json",
      "--config",
      rig.configFile,
    ],
    { stdio: ["ignore", "pipe", "inherit", "ipc"] },
  );
  let said = "";
  child.stdout!.on("data", (part: Buffer) => (said += part.toString()));
  let rssMb = 0;
  const looking = setInterval(() => (rssMb = Math.max(rssMb, rssNow(child.pid!, rssMb))), RSS_LOOK_MS);
  await once(child, "exit");
  clearInterval(looking);
  const seconds = (performance.now() - startedAt) / 1000;
  return { seconds, rssMb, counts: JSON.parse(said) };
}

/** The process may be gone already. */
function rssNow(pid: number, before: number): number {
  try {
    return readRssMbMax(pid) || before;
  } catch {
    return before;
  }
}
