// Takes what is due, batch after batch, until nothing is or it has had its turn: upkeep calls it several times a second.
// Safe to run in several processes at once. Remembers where it was, so that rows judged long ago and not yet vacuumed cost
// nothing.

import type { Clock } from "../platform/clock.ts";
import { BATCH_ROWS_MAX, isRowsFault, takeOneOrSetAside, takeReturns, type ReturnContext } from "./take-returns.ts";

/** From the beginning, whatever the cursor says: a slow transaction may have committed behind it. */
const WHOLE_LOOK_MS = 5_000;
/** Agents commit within this, but for one that hangs. */
const BEHIND_CURSOR_US = 2_000_000;

/** Of one turn: about half a second, so that whoever stops does not wait for a whole backlog. */
const BATCHES_MAX = 20;

export function createReturnsLoop(context: ReturnContext, clock: Clock): () => Promise<void> {
  let cursorUs = 0;
  let wholeLookAtMs = 0;
  const takeBatch = async (): Promise<number> => {
    const isWhole = clock.monotonicMs() >= wholeLookAtMs;
    const batch = await takeReturns(context, isWhole ? 0 : cursorUs);
    if (isWhole) wholeLookAtMs = clock.monotonicMs() + WHOLE_LOOK_MS;
    cursorUs = Math.max(cursorUs, batch.cursorUs - BEHIND_CURSOR_US);
    return batch.taken;
  };
  return async () => {
    try {
      for (let batches = 0; batches < BATCHES_MAX && (await takeBatch()) > 0; batches++);
    } catch (error) {
      if (!isRowsFault(error)) throw error;
      for (let count = 0; count < BATCH_ROWS_MAX; count++) await takeOneOrSetAside(context);
    }
  };
}
