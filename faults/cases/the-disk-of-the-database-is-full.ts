// Everything on one small disk, as on one small machine: the embedded database, journals and logs. First it is full all at
// once, to the last octet, while mail flows, so that PostgreSQL finds no room for its log and dies of it; then room runs out
// slowly, and lanes close before it comes to that. Doors refuse cleanly, and when there is room again the supervisor has the
// database up and mail moves, without anybody's command.

import { setTimeout as sleep } from "node:timers/promises";
import { mountSmallDisk, type SmallDisk } from "../../test/rig/small-disk.ts";
import type { Fault } from "../fault.ts";
import { switchWalFile } from "../rig/books-store.ts";
import { seededDice } from "../rig/dice.ts";
import { DOORS, HANG_MS, probeDoors, type Door, type DoorAnswer } from "../rig/door-probe.ts";
import { keepFull } from "../rig/keep-full.ts";
import { makePassableFolder } from "../rig/passable-folder.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

/** Programs 60 MB, an empty cluster 40 MB, the WAL of a run up to 200 MB. */
const DISK_SIZE = "600m";
/** Bulk stops at twice as much. */
const MIN_FREE_DISK_MB = 40;
const LEFT_BYTES = 20_000_000;
/** Little, so that what waits meanwhile is soon handed over: backlogs are not what is tried. */
const RATES = { transactionalPerS: 20, bulkPerS: 200 };
const BEFORE_MS_MAX = 1500;
const FULL_MS = 6000;
/** A WAL file of 16 MB would last for longer than the disk is full; it is ended early, again and again. */
const WAL_SWITCH_MS = 300;
/** The disk is looked at every 2 s. */
const CLOSED_MS_MAX = 20_000;
const LOOK_MS = 50;

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate", "apart"],
  what:
    "the disk with the embedded database (and journals, logs) is full: at once and to the last octet for 6 s under load, then " +
    "slowly below `queue.min_free_disk`",
  unit: "full disks",
  small: 1,
  full: 5,
  recoveryMsMax: 15_000,
  needs: ["may-mount"],
  async run({ runs, seed, scope, say, ledgersIn }) {
    const tally = createTally();
    const dice = seededDice(seed);
    const folder = makePassableFolder(scope, "small");
    const disk = mountSmallDisk(scope, folder, DISK_SIZE);
    const world = await bringUpWorld(scope, {
      name: "full-database",
      say,
      rates: RATES,
      inFolder: folder,
      config: `queue: { min_free_disk: "${MIN_FREE_DISK_MB} MB" }`,
      ledgersIn,
    });
    const probe = await probeDoors(scope, world);
    await world.untilRecovered(wallMs());
    let slowestMs = 0;
    let deaths = 0;
    for (let run = 1; run <= runs; run++) {
      await sleep(dice() * BEFORE_MS_MAX);
      const pausedMsBefore = world.pausedMs();
      const pidBefore = await world.installation.postmasterPid();
      const emptiedAtMs = await fillAtOnce(world, disk);
      const ms = (await world.untilRecovered(emptiedAtMs)) - emptiedAtMs;
      if ((await world.installation.postmasterPid()) !== pidBefore) deaths++;
      tally.recovered(ms, world.pausedMs() > pausedMsBefore);
      slowestMs = Math.max(slowestMs, ms);
      say(`full disk ${run} of ${runs}: mail again ${Math.round(ms)} ms after there was room`);
      const openMs = await fillSlowly(world, disk, tally);
      say(`full disk ${run} of ${runs}: lanes closed, and open again ${Math.round(openMs)} ms after there was room`);
      tally.ran();
    }
    const left = await probe.stop();
    tally.expect(left === 0, `${left} submissions at the doors were never accepted, though there is room again`);
    for (const door of DOORS) expectCleanRefusals(door, probe.answers, tally);
    tally.judged(await world.judge());
    tally.note(
      `PostgreSQL died of the full disk at ${deaths} of ${runs}; mail moved again at most ${Math.round(slowestMs)} ms after ` +
        `there was room. SQL was refused with ${[...world.submissions.refused.keys()].toSorted().join(", ")}; ` +
        `doors answered ${answersOf(probe.answers)}.`,
    );
    await world.stop();
    return tally.outcome();
  },
};

async function fillAtOnce(world: World, disk: SmallDisk): Promise<number> {
  // New sessions are refused on a full disk: the one that ends WAL files must be there before.
  await world.books.call(switchWalFile);
  const full = keepFull(disk, world, FULL_MS);
  let isFull = true;
  const switching = (async () => {
    for (; isFull; await sleep(WAL_SWITCH_MS)) await world.books.call(switchWalFile);
  })();
  const emptiedAtMs = await full.finally(() => (isFull = false));
  await switching;
  return emptiedAtMs;
}

/** Below what must stay free: how long after there was room both lanes took mail again. */
async function fillSlowly(world: World, disk: SmallDisk, tally: Tally): Promise<number> {
  const { refused } = world.submissions;
  const before = refused.get(LANE_FULL) ?? 0;
  disk.fill(LEFT_BYTES);
  const isClosed = await within(CLOSED_MS_MAX, () => (refused.get(LANE_FULL) ?? 0) > before);
  tally.expect(isClosed, `no lane was closed within ${CLOSED_MS_MAX / 1000} s with ${LEFT_BYTES / 1e6} MB left`);
  disk.empty();
  const emptiedAtMs = wallMs();
  return (await world.untilRecovered(emptiedAtMs)) - emptiedAtMs;
}

/** What `postlane.enqueue` says of a lane that takes no more mail. */
const LANE_FULL = "PL009";

async function within(ms: number, isSo: () => boolean): Promise<boolean> {
  for (const deadlineMs = wallMs() + ms; wallMs() < deadlineMs; await sleep(LOOK_MS)) if (isSo()) return true;
  return isSo();
}

/** Taken, or refused for now; and some of each. While the front is away nobody answers, and nobody is kept waiting. */
function expectCleanRefusals(door: Door, all: readonly DoorAnswer[], tally: Tally): void {
  const answers = all.filter((answer) => answer.door === door);
  const answered = answers.filter(({ code }) => code !== 0);
  const isTaken = ({ code }: DoorAnswer): boolean => code >= 200 && code < 300;
  const isRefusedForNow = ({ code }: DoorAnswer): boolean =>
    door === "http" ? code === 503 : code >= 400 && code < 500;
  tally.expect(answered.some(isTaken), `the ${door} door took nothing`);
  tally.expect(answered.some(isRefusedForNow), `the ${door} door refused nothing`);
  const wrong = answered.filter((answer) => !isTaken(answer) && !isRefusedForNow(answer));
  tally.expect(wrong.length === 0, `the ${door} door answered ${wrong.map(({ code }) => code).join(", ")}`);
  const hanging = answers.filter(({ tookMs }) => tookMs >= HANG_MS);
  tally.expect(hanging.length === 0, `the ${door} door was silent ${hanging.length} times for ${HANG_MS / 1000} s`);
}

function answersOf(answers: readonly DoorAnswer[]): string {
  const counts = new Map<string, number>();
  for (const { door, code } of answers) {
    const words = `${door} ${code === 0 ? "nothing" : code}`;
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  return [...counts].map(([words, n]) => `${words} (${n})`).join(", ");
}
