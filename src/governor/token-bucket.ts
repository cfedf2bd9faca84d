// A pace, enforced: how many hand-overs may start now so that no more than so many start per second. Time comes in with
// every call and only goes forward. Keeps at most `BURST_MS` of pace for a moment in which more could start.

export interface Bucket {
  /** Sets the pace from now on; what came in until now came at the pace before. */
  refill(pace: number, nowMs: number): void;
  /** Takes one start, if there is one. */
  take(nowMs: number): boolean;
  /** When the next one is there; Infinity while the pace is zero. */
  nextAtMs(): number;
}

/**
 * What a dispatcher that was busy for a moment may catch up with. Longer bursts are seen in a relay's queue; shorter ones
 * would lose pace to every pause of the garbage collector.
 */
const BURST_MS = 100;
/** Sums of fractions end a hair below one. */
const NEARLY_ONE = 1 - 1e-6;

export function createBucket(): Bucket {
  return new TokenBucket();
}

class TokenBucket implements Bucket {
  #pace = 0;
  #tokens = 1;
  #atMs = 0;

  refill(pace: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#pace = pace > 0 ? pace : 0;
    this.#tokens = Math.min(this.#tokens, this.#tokensMax());
  }

  take(nowMs: number): boolean {
    this.#fill(nowMs);
    if (this.#pace === 0 || this.#tokens < NEARLY_ONE) return false;
    if (this.#pace !== Infinity) this.#tokens -= 1;
    return true;
  }

  nextAtMs(): number {
    if (this.#pace === 0) return Infinity;
    if (this.#tokens >= NEARLY_ONE) return this.#atMs;
    return this.#atMs + ((1 - this.#tokens) * 1000) / this.#pace;
  }

  #fill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#atMs = Math.max(this.#atMs, nowMs);
    if (this.#pace === 0 || passedMs === 0) return;
    this.#tokens = Math.min(this.#tokensMax(), this.#tokens + (this.#pace * passedMs) / 1000);
  }

  /** One, or a slow pace would never start anything, and the burst; so whoever looks late loses nothing of the next one. */
  #tokensMax(): number {
    return this.#pace === Infinity ? 1 : 1 + (this.#pace * BURST_MS) / 1000;
  }
}
