// A disk that stays full: what is given back on it, a journal of a dead process say, somebody else takes at once.

import { setTimeout as sleep } from "node:timers/promises";
import type { SmallDisk } from "../../test/rig/small-disk.ts";
import { wallMs } from "./submissions.ts";
import type { World } from "./world.ts";

const REFILL_MS = 20;

/** For so long; then there is room again. Answers since when. */
export async function keepFull(disk: SmallDisk, { supervisor }: World, ms: number): Promise<number> {
  for (const endsAtMs = wallMs() + ms; wallMs() < endsAtMs;) {
    disk.fill();
    await Promise.race([sleep(REFILL_MS), supervisor.unexpectedEnd]);
  }
  const emptiedAtMs = wallMs();
  disk.empty();
  return emptiedAtMs;
}
