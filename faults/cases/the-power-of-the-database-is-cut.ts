// The power of the database's disk is cut under load, again and again: what was not flushed is gone, and whoever had a
// file on it is dead. Postlane runs beside it, its journals on another disk, and waits until the server is back. The disk
// is honest: what a lying one does is another fault.

import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../fault.ts";
import { CUT_TOOLS, makeCutVolume } from "../rig/cut-volume.ts";
import { seededDice } from "../rig/dice.ts";
import { startOutsideServer } from "../rig/outside-server.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally } from "../rig/tally.ts";
import { bringUpWorld } from "../rig/world.ts";

/** PostgreSQL's own files are 40 MB, its WAL up to 128 MB, and a hundred cuts accept some 200,000 messages of 1 KB. */
const DISK_MB = 1024;
/** Between mail that moves again and the next cut: from an engine that has just come back to one in full swing. */
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 2000;

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate"],
  what: "power cut of the disk that holds the whole database, under load; honest about flushes",
  unit: "power cuts",
  small: 2,
  full: 100,
  recoveryMsMax: 10_000,
  needs: CUT_TOOLS,
  async run({ runs, seed, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const dice = seededDice(seed);
    const volume = await makeCutVolume(scope, { megabytes: DISK_MB });
    const server = await startOutsideServer(scope, volume.folder);
    const world = await bringUpWorld(scope, {
      name: "cut-database",
      say,
      databaseUrl: server.databaseUrl,
      isFull,
      ledgersIn,
    });
    await world.untilRecovered(wallMs());
    const backMs: number[] = [];
    for (let cut = 1; cut <= runs; cut++) {
      await sleep(PAUSE_MS_MIN + dice() * (PAUSE_MS_MAX - PAUSE_MS_MIN));
      const pausedMsBefore = world.pausedMs();
      const cutAtMs = wallMs();
      await volume.cut();
      await volume.restore();
      await server.startAgain();
      const upAtMs = wallMs();
      const ms = (await world.untilRecovered(upAtMs)) - upAtMs;
      backMs.push(upAtMs - cutAtMs);
      tally.recovered(ms, world.pausedMs() > pausedMsBefore);
      tally.ran();
      say(
        `cut ${cut} of ${runs}: the database was back after ${Math.round(upAtMs - cutAtMs)} ms, mail again ` +
          `${Math.round(ms)} ms later`,
      );
    }
    tally.judged(await world.judge());
    tally.note(
      `The disk was repaired and PostgreSQL had recovered within ${Math.round(Math.max(...backMs))} ms of each cut; ` +
        "recovery is counted from there.",
    );
    await world.stop();
    return tally.outcome();
  },
};
