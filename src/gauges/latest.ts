// Something that is measured again and again and may stand still: a spool on a frozen disk, a command without end. The
// latest value is there at once, with its age; one measurement is under way at a time, and nobody waits for it for long.

import type { Clock, Timer } from "../platform/clock.ts";

export interface Latest<Value> {
  /**
   * Measures, or goes on waiting for the measurement that is under way, for `waitMs` at most. A value that is older than
   * `STALE_MS`, or none, comes as a problem.
   */
  measure(waitMs: number): Promise<Measured<Value>>;
}

export type Measured<Value> =
  | { readonly kind: "measured"; readonly value: Value }
  | { readonly kind: "missing"; readonly problem: string };

/** Five readings: a governor that steers by an older queue steers by another queue. */
const STALE_MS = 5000;

export function createLatest<Value>(what: string, measureOnce: () => Promise<Value>, clock: Clock): Latest<Value> {
  let last: { readonly value: Value; readonly atMs: number } | undefined;
  let failure: string | undefined;
  let underWay: { readonly done: Promise<void>; readonly beganAtMs: number } | undefined;

  const begin = (): Promise<void> => {
    const beganAtMs = clock.monotonicMs();
    const done = measureOnce()
      .then(
        (value) => {
          last = { value, atMs: clock.monotonicMs() };
          failure = undefined;
        },
        (error: unknown) => {
          failure = `${what}: ${error instanceof Error ? error.message : String(error)}`;
        },
      )
      .finally(() => (underWay = undefined));
    underWay = { done, beganAtMs };
    return done;
  };

  return {
    async measure(waitMs) {
      await inTime(underWay?.done ?? begin(), waitMs, clock);
      const nowMs = clock.monotonicMs();
      if (failure !== undefined) return { kind: "missing", problem: failure };
      if (last !== undefined && nowMs - last.atMs <= STALE_MS) return { kind: "measured", value: last.value };
      const silentS = Math.round((nowMs - (underWay?.beganAtMs ?? nowMs)) / 1000);
      return { kind: "missing", problem: `${what}: no answer for ${silentS} s` };
    },
  };
}

async function inTime(work: Promise<void>, ms: number, clock: Clock): Promise<void> {
  let timer: Timer | undefined;
  await Promise.race([work, new Promise<void>((resolve) => (timer = clock.after(ms, resolve)))]);
  timer?.cancel();
}
