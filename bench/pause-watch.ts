// Notices when this process was not run at all: the virtual machine was frozen, or the laptop closed. A figure that was
// measured over such a pause says nothing about Postlane.

import type { Scope } from "../test/rig/scope.ts";

const TICK_MS = 100;
/** A machine that is only busy does not skip twenty ticks. */
const PAUSE_MS_MIN = 20 * TICK_MS;

/** Answers how long the machine has been paused so far. */
export function watchForPauses(scope: Scope): () => number {
  let pausedMs = 0;
  let tickedAtMs = performance.now();
  const look = (): number => {
    const gapMs = performance.now() - tickedAtMs;
    tickedAtMs += gapMs;
    if (gapMs >= PAUSE_MS_MIN) pausedMs += gapMs;
    return pausedMs;
  };
  const ticker = setInterval(look, TICK_MS);
  scope.after(() => clearInterval(ticker));
  return look;
}
