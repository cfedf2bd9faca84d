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

/** RFC 5321 §4.5.3.1.3 allows a path 256 octets; what is longer is nobody's. */
const KEPT_CHARS_MAX = 320;

/** A text of its own, cut to a bound: a part of a line would keep the whole line in memory for as long as it is known. */
export function keptText(text: string): string {
  return Buffer.from(text.slice(0, KEPT_CHARS_MAX)).toString("utf8");
}
