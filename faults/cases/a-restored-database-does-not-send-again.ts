// Under load a snapshot is taken, of the database alone or of the whole machine; mail goes on; everything stops; the snapshot
// is put back, and Postlane started. Bulk mail must stand still until a person confirms, and what arrives twice after that
// is at most what `guard status` had said.

import { setTimeout as sleep } from "node:timers/promises";
import type { Scope } from "../../test/rig/scope.ts";
import { runCommand } from "../../bench/run-command.ts";
import type { Fault } from "../fault.ts";
import { readBooks, readDepth } from "../rig/books-store.ts";
import { seededDice } from "../rig/dice.ts";
import { killEverything, takeSnapshot } from "../rig/set-back.ts";
import { laneOf, wallMs } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

const KINDS = ["database", "machine"] as const;
/** Mail that goes out after the snapshot, and would be doubled. */
const SENT_AFTER_MIN = 150;
/** More comes in than goes out: so there is a backlog in which messages are sent after the snapshot. */
const FLOW = { small: { bulkPerS: 200, maxRatePerS: 120 }, full: { bulkPerS: 500, maxRatePerS: 300 } };
/** What is lost of less than a heartbeat, which comes every second, is not noticed. */
const AFTER_MS_MIN = 2500;
/** How long bulk is watched standing still: forty turns of a bulk dispatcher's look for mail. */
const STILL_MS = 2000;
/** The gap that the whole machine's snapshot must show, in place of an hour; more than a busy machine's pause between two heartbeats. */
const GAP_S = 3;
const DRAIN_MS_MAX = 90_000;
const LOOK_MS = 50;

export const fault: Fault = {
  promises: ["guarded"],
  what: "the database's volume, or the whole machine, set back to a snapshot that was taken under load",
  unit: "restores",
  small: 2,
  full: 40,
  async run({ runs, isFull, seed, scope, say, ledgersIn }) {
    const tally = createTally();
    const dice = seededDice(seed);
    const sums = { accepted: 0, lost: 0, unconfirmed: 0, unknown: 0, said: 0, twice: 0 };
    for (let run = 0; run < runs; run++) {
      const kind = KINDS[run % KINDS.length]!;
      const isKilled = dice() < 0.5;
      say(`restore ${run + 1} of ${runs}: ${kind}, after ${isKilled ? "a kill of everything" : "a stop in order"}`);
      const world = innerScope(scope);
      const counts = await restoreOnce(world, { kind, isKilled, isFull, tally, say, ledgersIn });
      await world.end();
      for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += counts[key];
      tally.ran();
    }
    tally.note(
      `after a person's word ${sums.twice} bulk messages arrived a second time; guard status had said ${sums.said} at most`,
    );
    const { accepted, lost, unconfirmed: duplicates, unknown } = sums;
    return { ...tally.outcome(), accepted, lost, duplicates, unknown };
  },
};

/** Of one restore: it ends before the next, or with the whole run. */
function innerScope(outer: Scope): Scope & { end(): Promise<void> } {
  const cleanups: (() => Promise<void> | void)[] = [];
  const end = async (): Promise<void> => {
    for (const clean of cleanups.splice(0).toReversed()) await clean();
  };
  outer.after(end);
  return { after: (clean) => void cleanups.push(clean), end };
}

interface RestoreCounts {
  readonly accepted: number;
  readonly lost: number;
  /** Bulk messages that arrived before anybody had confirmed. */
  readonly unconfirmed: number;
  readonly unknown: number;
  readonly said: number;
  readonly twice: number;
}

async function restoreOnce(
  scope: Scope,
  given: {
    readonly kind: (typeof KINDS)[number];
    readonly isKilled: boolean;
    readonly isFull: boolean;
    readonly tally: Tally;
    readonly say: (line: string) => void;
    readonly ledgersIn?: string | undefined;
  },
): Promise<RestoreCounts> {
  const { kind, isKilled, isFull, tally, say, ledgersIn } = given;
  const { bulkPerS, maxRatePerS } = FLOW[isFull ? "full" : "small"];
  const world = await bringUpWorld(scope, {
    name: "restored",
    say,
    rates: { transactionalPerS: 20, bulkPerS },
    outletConfig: `max_rate: "${maxRatePerS}/s"`,
    ...(kind === "machine" ? { config: `guard_gap: "${GAP_S} s"` } : {}),
    ledgersIn,
  });
  await world.untilRecovered(wallMs());
  const snapshot = await takeSnapshot(scope, world, kind);
  const snapshotAtMs = wallMs();
  await untilSentMore(world, SENT_AFTER_MIN);
  await sleep(Math.max(0, snapshotAtMs + AFTER_MS_MIN - wallMs()));
  await world.submissions.stop();
  if (isKilled) await killEverything(world);
  else await world.stop();
  if (kind === "machine") await sleep(Math.max(0, snapshotAtMs + (GAP_S + 1) * 1000 - wallMs()));
  snapshot.putBack();
  world.look();
  const before = world.receptions.length;
  await world.upAgain();
  const alarm =
    kind === "machine" ? /holds bulk mail since .* at the last heartbeat/ : /holds bulk mail since .* lacks its last/;
  tally.expect(
    alarm.test(world.supervisor.printed()),
    `${kind}: postlane up did not say what is held:\n${world.supervisor.printed()}`,
  );
  await sleep(STILL_MS);
  world.look();
  const unconfirmed = bulkSince(world, before).length;
  tally.expect(unconfirmed === 0, `${kind}: ${unconfirmed} bulk messages went out before anybody had confirmed`);
  const said = await saidByGuard(world);
  await runCommand(world.installation, "guard", "confirm", "--yes");
  await untilDrained(world);
  world.look();
  return { ...(await judge(world, { before, said, tally, kind })), unconfirmed, said };
}

async function judge(
  world: World,
  {
    before,
    said,
    tally,
    kind,
  }: { readonly before: number; readonly said: number; readonly tally: Tally; readonly kind: string },
): Promise<Pick<RestoreCounts, "accepted" | "lost" | "unknown" | "twice">> {
  const call = await world.books.call(readBooks);
  if (call.kind !== "committed") throw new Error("the books cannot be read at the end");
  const earlier = new Set(world.receptions.slice(0, before).map(({ recipient }) => recipient));
  const arrived = new Set(world.receptions.map(({ recipient }) => recipient));
  const twice = bulkSince(world, before).filter((recipient) => earlier.has(recipient)).length;
  tally.expect(twice > 0, `${kind}: nothing would have been sent again, so nothing was tried`);
  tally.expect(
    twice <= said,
    `${kind}: ${twice} bulk messages arrived a second time, and guard status had said ${said} at most`,
  );
  const { entries } = call.value;
  const lost = entries.filter(({ waiting, recipient }) => waiting !== "unknown" && !arrived.has(recipient));
  tally.expect(lost.length === 0, `${kind}: ${lost.length} messages of the restored database never arrived`);
  const unknown = entries.filter(({ waiting }) => waiting === "unknown").length;
  await world.stop();
  return { accepted: entries.length, lost: lost.length, unknown, twice };
}

function bulkSince({ receptions }: World, from: number): readonly string[] {
  return receptions.slice(from).flatMap(({ recipient }) => (laneOf(recipient) === "bulk" ? [recipient] : []));
}

async function untilSentMore(world: World, more: number): Promise<void> {
  world.look();
  const goal = world.receptions.length + more;
  while (world.receptions.length < goal) {
    await Promise.race([sleep(LOOK_MS), world.supervisor.unexpectedEnd]);
    world.look();
  }
}

async function untilDrained(world: World): Promise<void> {
  for (const deadline = wallMs() + DRAIN_MS_MAX; ;) {
    const call = await world.books.call(readDepth);
    if (call.kind === "committed" && call.value.moving === 0 && call.value.claimed === 0) return;
    if (wallMs() > deadline + world.pausedMs()) throw new Error(`not drained in ${DRAIN_MS_MAX / 1000} s`);
    await Promise.race([sleep(LOOK_MS), world.supervisor.unexpectedEnd]);
  }
}

interface StatusAnswer {
  readonly would_send_again: readonly { readonly lane: string; readonly messages: number }[];
}

async function saidByGuard(world: World): Promise<number> {
  const answer = JSON.parse(await runCommand(world.installation, "guard", "status", "--json")) as StatusAnswer;
  return answer.would_send_again.reduce((sum, { lane, messages }) => sum + (lane === "bulk" ? messages : 0), 0);
}
