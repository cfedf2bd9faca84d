// SIGKILL at every named failpoint (rig/failpoints.ts), the lane and the moment by the seed. After each kill the messages
// that became unknown are laid beside what the journal of the dead process said as it was written: they must be those that
// stood between dot and answer, and no others.

import { setTimeout as sleep } from "node:timers/promises";
import { WELL_AFTER_READY_MS } from "../../src/processes/child.ts";
import type { Fault } from "../fault.ts";
import { readUnknown } from "../rig/books-store.ts";
import { seededDice } from "../rig/dice.ts";
import { openFailpoints, type Failpoints } from "../rig/die-at-failpoint.ts";
import { FAILPOINTS, type Failpoint, type FailpointMark, type FailpointName } from "../rig/failpoints.ts";
import { startHttpSite, type HttpSite } from "../rig/http-site.ts";
import { wallMs, type Lane } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

const NAMES = Object.keys(FAILPOINTS) as readonly FailpointName[];
const SEEDS = 20;
/** Enough that every point is passed many times a second, and hardly anything is left to drain. */
const RATES = { transactionalPerS: 40, bulkPerS: 200 };
const HTTP_PER_S = 40;
/**
 * Between two kills, until the supervisor takes who died for well again: what dies sooner is started ever more seldom, and
 * then it is this pause that is measured. A front accepts a little before it is ready.
 */
const WELL_MS = WELL_AFTER_READY_MS + 250;

interface Stage {
  readonly world: World;
  readonly site: HttpSite;
  readonly failpoints: Failpoints;
  readonly tally: Tally;
  readonly dice: () => number;
  readonly say: (line: string) => void;
}

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate", "unknown", "lease"],
  what:
    `SIGKILL at each of ${NAMES.length} named points: around claim, journal lines, content, final dot, reply, ` +
    "settle, rescue, renewal of the lease, and acceptance by HTTP",
  unit: "kills",
  small: 8,
  full: NAMES.length * SEEDS,
  recoveryMsMax: 5000,
  async run({ runs, seed, scope, say, ledgersIn }) {
    const tally = createTally();
    const failpoints = openFailpoints(scope);
    const world = await bringUpWorld(scope, { name: "failpoints", say, rates: RATES, env: failpoints.env, ledgersIn });
    const site = await startHttpSite(world, HTTP_PER_S);
    const dice = seededDice(seed);
    const stage = { world, site, failpoints, tally, dice, say };
    await world.untilRecovered(wallMs());
    // A small run has not all of them, and not always the same.
    const first = Math.floor(dice() * NAMES.length);
    for (let run = 0; run < runs; run++) {
      await dieAndRecover(stage, NAMES[(first + run) % NAMES.length]!, run);
      tally.ran();
      await sleep(WELL_MS);
    }
    await site.stop();
    const judged = await world.judge();
    tally.expect(judged.verdict.duplicates === 0, `${judged.verdict.duplicates} duplicates under \`hold\``);
    tally.expect((judged.verdict.byState["held"] ?? 0) === 0, "messages were set aside that did nothing");
    tally.judged(judged);
    await world.stop();
    return tally.outcome();
  },
};

async function dieAndRecover(stage: Stage, name: FailpointName, run: number): Promise<void> {
  const { world, failpoints, tally, dice, say } = stage;
  const point: Failpoint = FAILPOINTS[name];
  // Suspects are rows that were claimed and not begun: of so little transactional mail there may be none.
  const isOfBulk = name.includes("suspect") || (run + Math.floor(run / NAMES.length)) % 2 === 0;
  const lane: Lane = isOfBulk ? "bulk" : "transactional";
  const unknownBefore = new Set(await unknownNow(world));
  const pausedMsBefore = world.pausedMs();

  // What a start does, it does for one that died.
  const isAfterADeath = point.where === "start" || point.where === "rescue";
  const first = isAfterADeath ? await failpoints.dieAt("after-dot", [lane], 1) : undefined;
  const times = 1 + Math.floor(dice() * point.timesMax);
  const who = { work: [lane], start: [lane], rescue: [lane, "front"], front: ["front"] }[point.where];
  const mark = await failpoints.dieAt(name, who, times);
  if (mark === undefined) return tally.complain(`${who.join(" and ")} did not come to ${name} ${times} times`);

  const movesAtMs = await untilItMoves(stage, point, lane, mark);
  const ms = movesAtMs - mark.atMs;
  tally.recovered(ms, world.pausedMs() > pausedMsBefore);
  say(`${run + 1}: ${name}, time ${times}, ${who.join(" or ")}: again after ${Math.round(ms)} ms`);
  const became = (await unknownNow(world)).filter((attempt) => !unknownBefore.has(attempt));
  judgeUnknown(stage, name, [...(first?.openDots ?? []), ...mark.openDots], mark, new Set(became));
}

async function untilItMoves(
  { world, site }: Stage,
  { where }: Failpoint,
  lane: Lane,
  mark: FailpointMark,
): Promise<number> {
  if (where === "front") return await site.untilAccepted(mark.atMs);
  return await world.untilRecovered(mark.atMs, [lane]);
}

function judgeUnknown(
  { tally }: Stage,
  name: FailpointName,
  between: readonly string[],
  { concerned }: FailpointMark,
  became: ReadonlySet<string>,
): void {
  const { isBetween } = FAILPOINTS[name];
  const mayBe = new Set(between);
  const unasked = [...became].filter((attempt) => !mayBe.has(attempt));
  const forgotten = between.filter((attempt) => !became.has(attempt));
  const print = (attempts: readonly string[]): string => attempts.map((attempt) => `msg_${attempt}`).join(", ");
  tally.expect(unasked.length === 0, `${name}: unknown, and not between dot and answer: ${print(unasked)}`);
  tally.expect(forgotten.length === 0, `${name}: between dot and answer, and not unknown: ${print(forgotten)}`);
  tally.expect(!isBetween || between.length > 0, `${name}: nothing was between dot and answer`);
  const wrong = concerned.filter((attempt) => became.has(attempt) !== isBetween);
  tally.expect(wrong.length === 0, `${name}: ${isBetween ? "not unknown" : "unknown"} after it: ${print(wrong)}`);
}

async function unknownNow({ books }: World): Promise<readonly string[]> {
  const call = await books.call(readUnknown);
  if (call.kind !== "committed") throw new Error(`the books cannot be read: ${call.kind}`);
  return call.value;
}
