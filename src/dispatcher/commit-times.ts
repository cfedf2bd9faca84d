// How long settling takes: the mean since the last look, and the usual value, the median of the looks of the last hour.
// Memory is fixed: one number for each look.

export interface CommitTimes {
  add(ms: number): void;
  /** To be called once a second. Null: nothing was settled yet. */
  turn(): { readonly lastMs: number | null; readonly usualMs: number | null };
}

const LOOKS_KEPT = 3600;
/** The median moves slowly; sorting an hour's looks every second would be waste. */
const MEDIAN_EVERY_LOOKS = 10;

export function createCommitTimes(): CommitTimes {
  const looks: number[] = [];
  let next = 0;
  let usualMs: number | null = null;
  let [sumMs, count, turns] = [0, 0, 0];
  return {
    add(ms) {
      sumMs += ms;
      count++;
    },
    turn() {
      const lastMs = count === 0 ? null : Math.round((sumMs / count) * 100) / 100;
      [sumMs, count] = [0, 0];
      if (lastMs === null) return { lastMs, usualMs };
      looks[next] = lastMs;
      next = (next + 1) % LOOKS_KEPT;
      if (usualMs === null || turns++ % MEDIAN_EVERY_LOOKS === 0) {
        usualMs = looks.toSorted((one, other) => one - other)[looks.length >> 1]!;
      }
      return { lastMs, usualMs };
    },
  };
}
