// A map that remembers at least the last `max` entries that were set or used, and at most twice as many, in two
// generations: when the young one is full, the old one is forgotten as a whole. It says from when on it is complete, for
// whoever has to know that what is not in it was not there.

export interface RecentMap<Key, Value> {
  get(key: Key): Value | undefined;
  /** `at`: the number of the line that told of it; it goes forward. */
  set(key: Key, value: Value, at: number): void;
  /** All that was set since that line is here; -Infinity: nothing was ever forgotten. */
  readonly completeSince: number;
}

export function createRecentMap<Key, Value>(max: number): RecentMap<Key, Value> {
  let young = new Map<Key, Value>();
  let old = new Map<Key, Value>();
  let youngSince = -Infinity;
  let oldSince = -Infinity;
  const keep = (key: Key, value: Value, at: number): void => {
    if (young.size >= max && !young.has(key)) {
      [old, oldSince] = [young, youngSince];
      [young, youngSince] = [new Map(), at];
    }
    young.set(key, value);
  };
  return {
    get(key) {
      return young.get(key) ?? old.get(key);
    },
    set: keep,
    get completeSince() {
      return oldSince;
    },
  };
}
