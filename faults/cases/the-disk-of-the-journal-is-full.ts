// The disk with the data directory is full, all at once and to the last octet, while mail flows: journals cannot be
// written, and neither can the log. The database is elsewhere, so mail goes on being accepted. Nothing goes out without its
// line in a journal; and when there is room again, mail moves again without anybody's command.

import { setTimeout as sleep } from "node:timers/promises";
import { mountSmallDisk } from "../../test/rig/small-disk.ts";
import type { Fault } from "../fault.ts";
import { seededDice } from "../rig/dice.ts";
import { keepFull } from "../rig/keep-full.ts";
import { startOutsideServer } from "../rig/outside-server.ts";
import { makePassableFolder } from "../rig/passable-folder.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally } from "../rig/tally.ts";
import { bringUpWorld } from "../rig/world.ts";

/** Logs and journals of a run. */
const DISK_SIZE = "64m";
/** Of a swing that is well under way. */
const PAUSE_MS_MAX = 1500;
/** So long that a supervisor pauses for seconds before it starts a dispatcher again. */
const FULL_MS = 8000;
/** Of the time that the disk is full, the last part: by then what the last pages had room for is used up. */
const QUIET_MS = 4000;

/** Little, so that what waits meanwhile is soon handed over: backlogs are not what is tried. */
const RATES = { transactionalPerS: 20, bulkPerS: 200 };

export const fault: Fault = {
  promises: ["no_duplicate", "one_state", "apart"],
  what: "the disk with the data directory (journals, logs) is full to the last octet for 8 s, under load",
  unit: "full disks",
  small: 1,
  full: 5,
  recoveryMsMax: 10_000,
  needs: ["may-mount"],
  async run({ runs, seed, scope, say, ledgersIn }) {
    const tally = createTally();
    const dice = seededDice(seed);
    const server = await startOutsideServer(scope, makePassableFolder(scope, "other-machine"));
    const folder = makePassableFolder(scope, "small");
    const disk = mountSmallDisk(scope, folder, DISK_SIZE);
    const world = await bringUpWorld(scope, {
      name: "full-journal",
      say,
      rates: RATES,
      databaseUrl: server.databaseUrl,
      inFolder: folder,
      ledgersIn,
    });
    await world.untilRecovered(wallMs());
    let [accepted, slowestMs] = [0, 0];
    for (let run = 1; run <= runs; run++) {
      await sleep(dice() * PAUSE_MS_MAX);
      const begunBefore = world.submissions.begun;
      const pausedMsBefore = world.pausedMs();
      const emptiedAtMs = await keepFull(disk, world, FULL_MS);
      accepted += world.submissions.begun - begunBefore;
      const ms = (await world.untilRecovered(emptiedAtMs)) - emptiedAtMs;
      tally.recovered(ms, world.pausedMs() > pausedMsBefore);
      slowestMs = Math.max(slowestMs, ms);
      const passed = world.receptions.filter(({ atMs }) => atMs > emptiedAtMs - QUIET_MS && atMs < emptiedAtMs).length;
      tally.expect(passed === 0, `${passed} messages went out in the last ${QUIET_MS / 1000} s of a full disk`);
      tally.ran();
      say(`full disk ${run} of ${runs}: mail again ${Math.round(ms)} ms after there was room`);
    }
    tally.expect(accepted > 0, "nothing was accepted while the disk was full, though the database was elsewhere");
    tally.judged(await world.judge());
    tally.note(
      `While the disk was full ${accepted} messages were accepted and waited; hand-overs stopped, and went on ` +
        `${Math.round(slowestMs)} ms after there was room, at the latest.`,
    );
    await world.stop();
    return tally.outcome();
  },
};
