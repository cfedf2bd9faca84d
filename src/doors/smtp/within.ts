// Waits for an answer, and not for longer than it may take: the work itself goes on, and what becomes of it is not told.

import type { Clock, Timer } from "../../platform/clock.ts";

/** Undefined: not in time. */
export async function within<Answer>(clock: Clock, msMax: number, work: Promise<Answer>): Promise<Answer | undefined> {
  let timer: Timer | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = clock.after(msMax, () => resolve(undefined));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.cancel();
  }
}
