// How long a client waits before it tries again: full jitter, so that many that failed together do not come back together,
// and never less than the door has asked for.

const FIRST_MS = 200;
/** No pause is longer, unless the door asks for it. */
const PAUSE_MS_MAX = 10_000;
/** A door that asks for more is full for a time that no request should wait. */
export const RETRY_AFTER_MS_MAX = 60_000;

/** `tries`: how many have failed. `unit` is uniform in [0, 1). */
export function pauseMs(tries: number, unit: number, retryAfterMs = 0): number {
  const longest = Math.min(PAUSE_MS_MAX, FIRST_MS * 2 ** (tries - 1));
  return retryAfterMs + unit * longest;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
