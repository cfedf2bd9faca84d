// A token bucket: so many at once, then so many a second. Time comes in as an argument.

export interface RateLimit {
  /** False: not now. */
  take(): boolean;
}

export function createRateLimit(given: {
  readonly perS: number;
  readonly burst: number;
  readonly nowMs: () => number;
}): RateLimit {
  let tokens = given.burst;
  let filledAtMs = given.nowMs();
  return {
    take() {
      const nowMs = given.nowMs();
      tokens = Math.min(given.burst, tokens + ((nowMs - filledAtMs) * given.perS) / 1000);
      filledAtMs = nowMs;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
