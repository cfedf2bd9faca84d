// How long settling takes and how many messages share a commit: the mean since the last look, and the usual time, the median of the looks of the last hour.
// Memory is fixed: one number for each look.

export interface CommitTimes {
  add(ms: number, messages: number): void;
  /** To be called once a second. Null: nothing was settled yet. */
  turn(): { readonly lastMs: number | null; readonly usualMs: number | null; readonly groupMean: number | null };
}

const LOOKS_KEPT = 3600;
/** The median moves slowly; sorting an hour's looks every second would be waste. */
const MEDIAN_EVERY_LOOKS = 10;

export function createCommitTimes(): CommitTimes {
  const looks: number[] = [];
  let next = 0;
  let usualMs: number | null = null;
  let [sumMs, count, messagesSum, turns] = [0, 0, 0, 0];
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
      if (lastMs === null) return { lastMs, usualMs, groupMean };
      looks[next] = lastMs;
      next = (next + 1) % LOOKS_KEPT;
      if (usualMs === null || turns++ % MEDIAN_EVERY_LOOKS === 0) {
        usualMs = looks.toSorted((one, other) => one - other)[looks.length >> 1]!;
      }
      return { lastMs, usualMs, groupMean };
    },
  };
}
