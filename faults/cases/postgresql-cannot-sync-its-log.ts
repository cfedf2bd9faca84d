// fdatasync of PostgreSQL's log fails with EIO under load, as on a disk that breaks: the server panics, throws all sessions out
// and recovers from what it had synced; should it end of it, the supervisor starts it again. Whatever was accepted before is
// there. A COMMIT that was answered by an error may be in force or not: the site cannot know, and asks nobody.

import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { childrenOf } from "../../bench/running-processes.ts";
import { findPlace } from "../../src/postgres/embedded-place.ts";
import type { Fault } from "../fault.ts";
import { seededDice } from "../rig/dice.ts";
import { failCalls } from "../rig/failing-syscalls.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

const PAUSE_MS_MAX = 1200;
/** The call that fails is one of each process's first. */
const NTH_MAX = 20;
/** With both lanes at work a process syncs many times a second. */
const PANIC_MS_MAX = 30_000;
const AGAIN_MS_MAX = 60_000;
const LOOK_MS = 20;

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate", "unknown"],
  what: "fdatasync of PostgreSQL's log fails with EIO under load; it panics and recovers",
  unit: "failed syncs",
  small: 2,
  full: 20,
  // From when PostgreSQL takes sessions again.
  recoveryMsMax: 10_000,
  needs: ["strace"],
  async run({ runs, seed, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const dice = seededDice(seed);
    const world = await bringUpWorld(scope, { name: "unsynced", say, isFull, ledgersIn });
    await world.untilRecovered(wallMs());
    let ended = 0;
    for (let run = 1; run <= runs; run++) {
      await sleep(dice() * PAUSE_MS_MAX);
      const pausedMsBefore = world.pausedMs();
      const pid = await serverOf(world);
      const [panics, checkpointer] = [panicsOf(world), checkpointerOf(pid)];
      const nth = 1 + Math.floor(dice() * NTH_MAX);
      const calls = await failCalls(scope, pid, `fdatasync:error=EIO:when=${nth}`);
      await untilPanicked(world, panics);
      await calls.letGo();
      const acceptsAtMs = await untilItAccepts(world, checkpointer);
      const ms = (await world.untilRecovered(acceptsAtMs)) - acceptsAtMs;
      if ((await serverOf(world)) !== pid) ended++;
      tally.recovered(ms, world.pausedMs() > pausedMsBefore);
      tally.ran();
      say(`sync ${run} of ${runs}: number ${nth} of a process failed, mail again ${Math.round(ms)} ms after recovery`);
    }
    tally.note(`PostgreSQL panicked ${panicsOf(world)} times, and ended of it ${ended} times.`);
    tally.judged(await world.judge());
    await world.stop();
    return tally.outcome();
  },
};

async function serverOf({ installation }: World): Promise<number> {
  const pid = await installation.postmasterPid();
  if (pid === undefined) throw new Error("PostgreSQL does not run");
  return pid;
}

/** As PostgreSQL itself says in its log. */
function panicsOf({ installation }: World): number {
  const folder = findPlace(installation.dataDir)?.logFolder;
  if (folder === undefined) return 0;
  const texts = readdirSync(folder).map((name) => readFileSync(path.join(folder, name), "utf8"));
  return texts.reduce((sum, text) => sum + (text.match(/PANIC: /g)?.length ?? 0), 0);
}

async function untilPanicked(world: World, before: number): Promise<void> {
  for (const deadline = wallMs() + PANIC_MS_MAX; panicsOf(world) === before;) {
    if (wallMs() > deadline) throw new Error(`no sync of PostgreSQL failed for ${PANIC_MS_MAX / 1000} s`);
    await Promise.race([sleep(LOOK_MS), world.supervisor.unexpectedEnd]);
  }
}

/** After a panic the postmaster, the same or another one, starts all of its processes anew. */
async function untilItAccepts({ installation, supervisor }: World, before: number | undefined): Promise<number> {
  for (const deadline = wallMs() + AGAIN_MS_MAX; ;) {
    const pid = await installation.postmasterPid();
    const checkpointer = pid === undefined ? undefined : checkpointerOf(pid);
    if (checkpointer !== undefined && checkpointer !== before) return wallMs();
    if (wallMs() > deadline)
      throw new Error(`PostgreSQL takes no sessions, ${AGAIN_MS_MAX / 1000} s after it panicked`);
    await Promise.race([sleep(LOOK_MS), supervisor.unexpectedEnd]);
  }
}

function checkpointerOf(postmasterPid: number): number | undefined {
  return childrenOf(postmasterPid).find(({ command }) => command.includes("checkpointer"))?.pid;
}
