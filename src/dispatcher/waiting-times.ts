// How long messages waited from their acceptance (or their time) to the relay's 250, lately: the last 10 to 20 seconds,
// in buckets of a tenth, so that the cost is an increment and the memory is fixed.

import type { Clock } from "../platform/clock.ts";

const BUCKET_RATIO = 1.1;
const BUCKETS = 260;
const SPAN_MS = 10_000;

export interface WaitingTimes {
  add(waitedMs: number): void;
  lately(): { readonly p50Ms: number | null; readonly p99Ms: number | null; readonly perS: number };
}

export function createWaitingTimes(clock: Clock): WaitingTimes {
  let spanStartMs = clock.monotonicMs();
  let now = new Uint32Array(BUCKETS);
  let before = new Uint32Array(BUCKETS);
  let beforeMs = 0;
  const turnIfDue = (): void => {
    const passedMs = clock.monotonicMs() - spanStartMs;
    if (passedMs < SPAN_MS) return;
    before = passedMs < 2 * SPAN_MS ? now : new Uint32Array(BUCKETS);
    beforeMs = Math.min(passedMs, SPAN_MS);
    now = new Uint32Array(BUCKETS);
    spanStartMs = clock.monotonicMs();
  };
  return {
    add(waitedMs) {
      turnIfDue();
      now[bucketOf(waitedMs)]!++;
    },
    lately() {
      turnIfDue();
      const counts = now.map((count, index) => count + before[index]!);
      const total = counts.reduce((sum, count) => sum + count, 0);
      const spanMs = Math.max(1000, clock.monotonicMs() - spanStartMs + beforeMs);
      return {
        p50Ms: quantile(counts, total, 0.5),
        p99Ms: quantile(counts, total, 0.99),
        perS: (total * 1000) / spanMs,
      };
    },
  };
}

function bucketOf(waitedMs: number): number {
  if (waitedMs <= 0.1) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log(waitedMs / 0.1) / Math.log(BUCKET_RATIO)));
}

function quantile(counts: Uint32Array, total: number, part: number): number | null {
  if (total === 0) return null;
  let seen = 0;
  for (const [index, count] of counts.entries()) {
    seen += count;
    if (seen >= part * total) return Math.round(0.1 * BUCKET_RATIO ** index * 100) / 100;
  }
  return null;
}
