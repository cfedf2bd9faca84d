// Latencies of single fsyncs, summed up. Pure.

import type { FsyncFigures } from "./judge-disk.ts";

/** Undefined when there is none. `tookMs`: from the first write to the last answer, by the clock on the wall. */
export function figuresOf(latenciesMs: readonly number[], tookMs: number): FsyncFigures | undefined {
  if (latenciesMs.length === 0) return undefined;
  const sorted = latenciesMs.toSorted((one, other) => one - other);
  const at = (share: number): number =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!);
  return {
    per_s: rounded((latenciesMs.length / Math.max(tookMs, 0.001)) * 1000),
    p50_ms: at(0.5),
    p95_ms: at(0.95),
    p99_ms: at(0.99),
    max_ms: rounded(sorted.at(-1)!),
    fsyncs: latenciesMs.length,
  };
}

/** Microseconds, and no more digits than are meant. */
function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Math.round(value * 1000) / 1000;
}
