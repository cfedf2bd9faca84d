// Randomness as an argument, so that a simulation can be repeated from its seed.

import { randomFillSync } from "node:crypto";

export interface Random {
  /** Uniform in [0, 1). */
  unit(): number;
}

export const systemRandom: Random = {
  unit() {
    return randomFillSync(new Uint32Array(1))[0]! / 2 ** 32;
  },
};

/** A small seeded generator (mulberry32): good enough for simulations and generated test data, never for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    unit() {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}
