// Time as an argument: everything outside `platform` and `processes` gets its clock passed in, so that the engine runs
// in a simulation with virtual time.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds that only go forward; for intervals and deadlines. */
  monotonicMs(): number;
  /** Milliseconds since the epoch; for what people read. Due times are judged by the database's clock, not by this. */
  wallMs(): number;
  /** Calls `fire` once, after at least `ms`. */
  after(ms: number, fire: () => void): Timer;
  /** Calls `fire` once the events at hand are dealt with: what came in one turn of the loop is answered in one batch. */
  soon(fire: () => void): void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(ms, fire) {
    const timer = setTimeout(fire, ms);
    return { cancel: () => clearTimeout(timer) };
  },
  soon(fire) {
    setImmediate(fire);
  },
};
