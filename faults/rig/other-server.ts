// Waits until another PostgreSQL than the one that was harmed takes sessions on the same data directory.

import { setTimeout as sleep } from "node:timers/promises";
import { wallMs } from "./submissions.ts";
import type { World } from "./world.ts";

/** The supervisor looks twice a second, and recovery replays seconds of load. */
const AGAIN_MS_MAX = 60_000;
const LOOK_MS = 20;

/** Answers when it took the first session. */
export async function untilOtherServer({ installation, supervisor }: World, pidBefore: number): Promise<number> {
  for (const deadline = wallMs() + AGAIN_MS_MAX; ;) {
    const pid = await installation.postmasterPid();
    if (pid !== undefined && pid !== pidBefore) return wallMs();
    if (wallMs() > deadline) throw new Error(`no PostgreSQL takes sessions, ${AGAIN_MS_MAX / 1000} s after its end`);
    await Promise.race([sleep(LOOK_MS), supervisor.unexpectedEnd]);
  }
}
