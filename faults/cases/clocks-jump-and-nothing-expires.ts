// The database's clock and that of Postlane's own processes jump, together and apart: by two hours back, by three days
// ahead, a second to and fro, an hour between both. Nothing expires, is sent twice or is lost by that, mail goes on, and
// what is scheduled goes when the database says that it is time. The nights on which clocks change are another matter:
// test/integration/campaign-local-times.test.ts has them.

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { silentLog } from "../../src/platform/log.ts";
import { removeEmbedded, startEmbedded } from "../../src/postgres/embedded.ts";
import type { Scope } from "../../test/rig/scope.ts";
import type { Fault } from "../fault.ts";
import { readClock } from "../rig/books-store.ts";
import { createFakedClock, type FakedClock } from "../rig/faked-clock.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

interface Jump {
  readonly name: string;
  /** Of each clock, how far it is ahead of the true time, in order; a second apart. */
  readonly database?: readonly number[];
  readonly own?: readonly number[];
}

const TO_AND_FRO = [1000, 0, -1000, 0];

/** Each begins where the one before left the clocks. */
const JUMPS: readonly Jump[] = [
  { name: "the database's clock goes 3 days ahead", database: [3 * DAY_MS] },
  { name: "Postlane's clock follows by 3 days", own: [3 * DAY_MS] },
  { name: "the database's clock goes 2 hours back", database: [3 * DAY_MS - 2 * HOUR_MS] },
  { name: "Postlane's clock follows by 2 hours", own: [3 * DAY_MS - 2 * HOUR_MS] },
  { name: "the database's clock comes back to 3 days", database: [3 * DAY_MS] },
  { name: "Postlane's clock is an hour behind the database's", own: [3 * DAY_MS - HOUR_MS] },
  { name: "Postlane's clock is an hour ahead of it", own: [3 * DAY_MS + HOUR_MS] },
  { name: "Postlane's clock steps to and fro by a second", own: TO_AND_FRO.map((ms) => 3 * DAY_MS + ms) },
  { name: "Postlane's clock goes another 3 days ahead", own: [6 * DAY_MS] },
  { name: "the database's clock steps to and fro by a second", database: TO_AND_FRO.map((ms) => 3 * DAY_MS + ms) },
];
const SMALL = 4;
const LAST_MS = 3 * DAY_MS;
const STEP_MS = 1000;
/** What is scheduled goes at most this much behind the database's time. */
const SCHEDULED_LATE_MS_MAX = 60_000;
/** How long the lane is paused before a jump, so that there is something that could expire. */
const PAUSED_MS = 700;
const RECOVERY_MS_MAX = 30_000;
/** Between reading two clocks. */
const CLOCK_MS_MAX = 3_000;
/** What was accepted before a jump and should go at once has gone by then. In a small run the machine has other work, too. */
const OVERDUE_MS_MAX = { small: 60_000, full: 15_000 };
const TOLD_MAX = 3;

export const fault: Fault = {
  promises: ["one_state", "no_duplicate", "apart"],
  what: "The clocks of the database and of Postlane jump: 2 hours back, 3 days ahead, a second to and fro, an hour apart",
  unit: "jumps",
  small: SMALL,
  full: JUMPS.length,
  recoveryMsMax: RECOVERY_MS_MAX,
  needs: ["faketime"],
  async run({ runs, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const [database, own] = [
      createFakedClock(scope, { isThreaded: false }),
      createFakedClock(scope, { isThreaded: true }),
    ];
    const world = await bringUpWorld(scope, {
      name: "clocks",
      say,
      rates: { transactionalPerS: 20, bulkPerS: 200 },
      databaseUrl: await startDatabase(scope, database),
      env: own.env,
      ledgersIn,
    });
    const overdueMsMax = OVERDUE_MS_MAX[isFull ? "full" : "small"];
    const stage: Stage = { world, clocks: { database, own }, tally, say, overdueMsMax };
    const scheduled: Scheduled[] = [];
    for (let run = 0; run < Math.min(runs, JUMPS.length); run++) {
      const jump = JUMPS[run]!;
      await world.untilRecovered(wallMs());
      await jumpOnce(stage, jump, scheduled);
    }
    // What is scheduled waits for the clock, so the clock has to be there.
    database.set(LAST_MS);
    await untilScheduledWent(world, scheduled, database, tally);
    const judged = await world.judge();
    tally.judged(judged);
    const { expired = 0, held = 0 } = judged.verdict.byState;
    tally.expect(expired === 0, `${expired} messages expired by a jump of a clock`);
    tally.expect(held === 0, `${held} messages are held`);
    await world.stop();
    return tally.outcome();
  },
};

async function startDatabase(scope: Scope, { env }: FakedClock): Promise<string> {
  const dataDir = mkdtempSync(path.join(os.tmpdir(), "postlane-clocks-database-"));
  scope.after(async () => {
    await removeEmbedded(dataDir);
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 10 });
  });
  const { user, socketDir, port } = await startEmbedded({ dataDir, log: silentLog, env });
  return `postgresql://${user}@/postgres?host=${encodeURIComponent(socketDir)}&port=${port}`;
}

interface Scheduled {
  readonly recipient: string;
  /** By the database's clock. */
  readonly dueAtMs: number;
}

interface Stage {
  readonly world: World;
  readonly clocks: { readonly database: FakedClock; readonly own: FakedClock };
  readonly tally: Tally;
  readonly say: (line: string) => void;
  readonly overdueMsMax: number;
}

async function jumpOnce(
  { world, clocks, tally, say, overdueMsMax }: Stage,
  { name, database = [], own = [] }: Jump,
  scheduled: Scheduled[],
): Promise<void> {
  // One that is due in a moment, and one whose time a jump of days passes over.
  for (const aheadMs of [5_000, 2 * DAY_MS]) {
    const dueAtMs = wallMs() + clocks.database.offsetMs + aheadMs;
    if (aheadMs < DAY_MS || database.some((ms) => ms - clocks.database.offsetMs > aheadMs))
      scheduled.push({ recipient: await world.submissions.schedule("bulk", new Date(dueAtMs)), dueAtMs });
  }
  await order(world, "pause");
  await sleep(PAUSED_MS);
  const jumpedAtMs = wallMs();
  for (let step = 0; step < Math.max(database.length, own.length); step++) {
    if (step > 0) await sleep(STEP_MS);
    if (database[step] !== undefined) clocks.database.set(database[step]!);
    if (own[step] !== undefined) clocks.own.set(own[step]!);
  }
  await order(world, "resume");
  await expectClocks(world, clocks, tally);
  const ms =
    (await world.untilRecovered(wallMs())) - jumpedAtMs - STEP_MS * (Math.max(database.length, own.length) - 1);
  tally.ran();
  tally.recovered(ms);
  const waiting = await untilArrived(world, jumpedAtMs, overdueMsMax);
  const sentence = `${name}: ${waiting.length} messages that should have gone before wait ${overdueMsMax / 1000} s later`;
  if (waiting.length > 0) {
    const stories = await Promise.all(waiting.slice(0, TOLD_MAX).map((recipient) => world.tell(recipient)));
    tally.complain([sentence, ...stories].join("; "));
  }
  say(`${name}: mail moved again after ${Math.round(ms)} ms`);
}

/** A library that was not loaded would let everything hold. */
async function expectClocks(
  { books, installation }: World,
  clocks: { readonly database: FakedClock; readonly own: FakedClock },
  tally: Tally,
): Promise<void> {
  const call = await books.call(readClock);
  if (call.kind !== "committed") throw new Error(`the database's clock cannot be read: ${call.kind}`);
  const env = { ...installation.env, ...clocks.own.env };
  const { stdout } = await promisify(execFile)(process.execPath, ["-p", "Date.now()"], { env });
  for (const [whose, seenMs, { offsetMs }] of [
    ["the database's", call.value, clocks.database],
    ["Postlane's", Number(stdout), clocks.own],
  ] as const) {
    const offMs = Math.round(seenMs - wallMs() - offsetMs);
    tally.expect(Math.abs(offMs) < CLOCK_MS_MAX, `${whose} clock did not follow: it is ${offMs} ms off`);
  }
}

/** Of what was submitted before and not refused, those that have not, when it is enough. */
async function untilArrived(world: World, submittedBeforeMs: number, msMax: number): Promise<readonly string[]> {
  for (const giveUpMs = wallMs() + msMax; ; await sleep(100)) {
    world.look();
    const arrived = new Set(world.receptions.map(({ recipient }) => recipient));
    const waiting = world.submissions.begunBefore(submittedBeforeMs).filter((recipient) => !arrived.has(recipient));
    if (waiting.length === 0 || wallMs() > giveUpMs) return waiting;
  }
}

async function order(world: World, what: "pause" | "resume"): Promise<void> {
  const { installation, options } = world;
  const { file, args } = installation.command("lane", what, "bulk");
  const env = { ...installation.env, DATABASE_URL: options.databaseUrl };
  await promisify(execFile)(file, [...args], { env });
}

/** Those that are due by the database's clock arrive; what is not due yet has not. */
async function untilScheduledWent(
  world: World,
  scheduled: readonly Scheduled[],
  { offsetMs }: FakedClock,
  tally: Tally,
): Promise<void> {
  const lastMs = Math.max(...scheduled.map(({ dueAtMs }) => dueAtMs)) - offsetMs;
  await sleep(Math.max(0, lastMs - wallMs()));
  const isThere = (recipient: string): boolean => world.receptions.some((one) => one.recipient === recipient);
  for (const giveUpMs = wallMs() + SCHEDULED_LATE_MS_MAX; wallMs() < giveUpMs; await sleep(100)) {
    world.look();
    if (scheduled.every(({ recipient }) => isThere(recipient))) return;
  }
  const missing = scheduled.filter(({ recipient }) => !isThere(recipient));
  tally.complain(
    `${missing.length} scheduled messages did not go within ${SCHEDULED_LATE_MS_MAX / 1000} s of their time`,
  );
}
