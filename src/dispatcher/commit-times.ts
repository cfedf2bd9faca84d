// How long settling takes and how many messages share a commit: the mean since the last look, and the usual time, which
// is the median of the looks of the last hour.

import { createHourMedian } from "../platform/hour-median.ts";

export interface CommitTimes {
  add(ms: number, messages: number): void;
  /** To be called once a second. Null: nothing was settled yet. */
  turn(): { readonly lastMs: number | null; readonly usualMs: number | null; readonly groupMean: number | null };
}

export function createCommitTimes(): CommitTimes {
  const looks = createHourMedian();
  let [sumMs, messagesSum, count] = [0, 0, 0];
  return {
    add(ms, messages) {
      sumMs += ms;
      messagesSum += messages;
      count++;
    },
    turn() {
      const lastMs = count === 0 ? null : Math.round((sumMs / count) * 100) / 100;
      const groupMean = count === 0 ? null : Math.round((messagesSum / count) * 10) / 10;
      [sumMs, messagesSum, count] = [0, 0, 0];
      if (lastMs !== null) looks.add(lastMs);
      return { lastMs, usualMs: looks.median() ?? null, groupMean };
    },
  };
}
