// Sizes of however many messages in little memory: buckets that grow by 1 %, so that a quantile is right to within that.

const GROWTH = Math.log(1.01);
/** Up to 1 GB. */
const BUCKETS = Math.ceil(Math.log(2 ** 30) / GROWTH) + 1;

export interface SizeHistogram {
  add(bytes: number): void;
  /** Null: there was none. */
  summary(): { readonly mean: number; readonly p99: number; readonly max: number } | null;
}

export function createSizeHistogram(): SizeHistogram {
  const counts = new Uint32Array(BUCKETS);
  let [count, sum, max] = [0, 0, 0];
  const quantile = (share: number): number => {
    let left = Math.ceil(count * share);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= counts[bucket]!;
      if (left <= 0) return Math.min(max, Math.round(Math.exp((bucket + 1) * GROWTH)));
    }
    return max;
  };
  return {
    add(bytes) {
      const bucket = Math.floor(Math.log(Math.max(1, bytes)) / GROWTH);
      counts[Math.min(BUCKETS - 1, bucket)]!++;
      count++;
      sum += bytes;
      if (bytes > max) max = bytes;
    },
    summary: () => (count === 0 ? null : { mean: Math.round(sum / count), p99: quantile(0.99), max }),
  };
}
