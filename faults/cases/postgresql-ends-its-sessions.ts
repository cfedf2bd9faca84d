// pg_terminate_backend of sessions under load, as an administrator or a proxy ends them: in one round all at once, in the
// next five within a second, of Postlane's own and of the site's alike. No process of Postlane's may end of it.

import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../fault.ts";
import { seededDice } from "../rig/dice.ts";
import { bringUpCrashWorld } from "../rig/kill-at-random.ts";
import { endedSince, ownProcesses, ownProcessesWhenReady } from "../rig/own-processes.ts";
import { endAllSessions, endOneSession } from "../rig/sessions-store.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally } from "../rig/tally.ts";
import type { World } from "../rig/world.ts";

/** Before a round, so that it meets all that goes on. */
const PAUSE_MS_MAX = 1200;
/** Of a round that ends one after the other, over a second. */
const SINGLES = 5;
const BETWEEN_SINGLES_MS = 200;

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate", "unknown"],
  what: "pg_terminate_backend under load: every session at once, or five within a second; no process may end of it",
  unit: "rounds",
  small: 2,
  full: 50,
  // New sessions are 0.25 s away, and of a claim whose answer was lost a new lease and its rescue.
  recoveryMsMax: 5000,
  async run({ runs, seed, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const dice = seededDice(seed);
    const world = await bringUpCrashWorld(scope, { name: "sessions", say, isFull, ledgersIn });
    const before = await ownProcessesWhenReady(world);
    let ended = 0;
    for (let round = 1; round <= runs; round++) {
      await sleep(dice() * PAUSE_MS_MAX);
      const pausedMsBefore = world.pausedMs();
      const sessions = round % 2 === 1 ? await endAll(world) : await endSome(world, dice);
      const endedAtMs = wallMs();
      const ms = (await world.untilRecovered(endedAtMs)) - endedAtMs;
      ended += sessions;
      tally.expect(sessions > 0, `in round ${round} there was no session to end`);
      tally.recovered(ms, world.pausedMs() > pausedMsBefore);
      tally.ran();
      say(`round ${round} of ${runs}: ${sessions} sessions ended, mail again after ${Math.round(ms)} ms`);
    }
    for (const name of endedSince(before, ownProcesses(world.installation)))
      tally.complain(`postlane ${name} ended, when its sessions were ended`);
    tally.judged(await world.judge());
    await world.stop();
    tally.note(`${ended} sessions were ended.`);
    return tally.outcome();
  },
};

async function endAll({ books }: World): Promise<number> {
  const call = await books.call(endAllSessions);
  return call.kind === "committed" ? call.value : 0;
}

async function endSome({ books }: World, dice: () => number): Promise<number> {
  let ended = 0;
  for (let single = 1; single <= SINGLES; single++) {
    const chance = dice();
    const call = await books.call((client) => endOneSession(client, chance));
    if (call.kind === "committed") ended += call.value;
    if (single < SINGLES) await sleep(BETWEEN_SINGLES_MS);
  }
  return ended;
}
