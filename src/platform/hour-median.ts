// The median of what was measured in the last hour, once a second, in a fixed 29 KB. What is usual for a disk, so that a
// limit can speak of "as slow as never in this hour" and not of a number that fits no machine.

export interface HourMedian {
  add(value: number): void;
  /** Undefined before the first value. */
  median(): number | undefined;
}

const VALUES_MAX = 3600;

export function createHourMedian(valuesMax: number = VALUES_MAX): HourMedian {
  const values = new Float64Array(valuesMax);
  let added = 0;
  return {
    add(value) {
      values[added % valuesMax] = value;
      added += 1;
    },
    median() {
      const count = Math.min(added, valuesMax);
      if (count === 0) return undefined;
      // 0.2 ms for the whole hour, once a second.
      return values.slice(0, count).toSorted()[Math.floor((count - 1) / 2)];
    },
  };
}
