// An immediate shutdown under load: PostgreSQL ends without a checkpoint and every session with it. The supervisor starts
// it again, it recovers from its log, and what had been accepted is there.

import { setTimeout as sleep } from "node:timers/promises";
import { sendSignal } from "../../bench/running-processes.ts";
import type { Fault } from "../fault.ts";
import { seededDice } from "../rig/dice.ts";
import { bringUpCrashWorld } from "../rig/kill-at-random.ts";
import { endedSince, ownProcesses, ownProcessesWhenReady } from "../rig/own-processes.ts";
import { untilOtherServer } from "../rig/other-server.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally } from "../rig/tally.ts";

/** Between a recovery and the next shutdown. */
const PAUSE_MS_MAX = 1200;

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate", "unknown"],
  what: "immediate shutdown of PostgreSQL under load (SIGQUIT); the supervisor starts it again, no other process ends",
  unit: "shutdowns",
  small: 2,
  full: 50,
  // From when PostgreSQL takes sessions again: how long it recovers is its own affair.
  recoveryMsMax: 10_000,
  async run({ runs, seed, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const dice = seededDice(seed);
    const world = await bringUpCrashWorld(scope, { name: "shutdown", say, isFull, ledgersIn });
    const before = await ownProcessesWhenReady(world);
    let awayMsMax = 0;
    for (let run = 1; run <= runs; run++) {
      await sleep(dice() * PAUSE_MS_MAX);
      const pausedMsBefore = world.pausedMs();
      const pid = await world.installation.postmasterPid();
      if (pid === undefined || !sendSignal(pid, "SIGQUIT")) throw new Error("there was no PostgreSQL to shut down");
      const shutAtMs = wallMs();
      const acceptsAtMs = await untilOtherServer(world, pid);
      const ms = (await world.untilRecovered(acceptsAtMs)) - acceptsAtMs;
      awayMsMax = Math.max(awayMsMax, acceptsAtMs - shutAtMs);
      tally.recovered(ms, world.pausedMs() > pausedMsBefore);
      tally.ran();
      const away = `PostgreSQL was away for ${Math.round(acceptsAtMs - shutAtMs)} ms`;
      say(`shutdown ${run} of ${runs}: ${away}, mail again ${Math.round(ms)} ms later`);
    }
    for (const name of endedSince(before, ownProcesses(world.installation)))
      tally.complain(`postlane ${name} ended, when PostgreSQL was shut down`);
    tally.judged(await world.judge());
    await world.stop();
    tally.note(`PostgreSQL was away for ${Math.round(awayMsMax)} ms at the longest.`);
    return tally.outcome();
  },
};
