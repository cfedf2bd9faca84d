// The test of the test: a bug is planted, and the simulation has to find it. One that stays unseen means that the
// invariants look away.

import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate } from "./simulate.ts";
import { Violation } from "./violation.ts";
import type { PlantedBug } from "./world.ts";

/** Seeds in which the bug must show. Each of them is found within half as many. */
const SEEDS_MAX = 150;

const PLANTED: readonly (readonly [PlantedBug, string, RegExp])[] = [
  ["journal_without_dots", "a journal that forgets its final dots", /taken twice|never unknown|and the relay has it/],
  [
    "settle_without_lease",
    "a settle that does not compare the lease",
    /was settled as one|works on message|taken twice|the relay/,
  ],
  ["suppression_not_asked", "a claim that asks nobody who is suppressed", /recipient was suppressed/],
  ["version_lost_by_rescue", "a rescue that forgets which version was claimed", /is told \w+ with version/],
  ["dispatcher_without_deadline", "a dispatcher that believes in its lease for ever", /after lease/],
];

for (const [bug, words, expected] of PLANTED) {
  test(`${words} is caught`, { timeout: 120_000 }, async (t) => {
    const found = await findViolation(bug);
    assert.ok(found !== undefined, `${SEEDS_MAX} seeds did not show it`);
    t.diagnostic(`seed ${found.seed}: ${found.violation.message}`);
    assert.match(found.violation.message, expected);
  });
}

async function findViolation(
  bug: PlantedBug,
): Promise<{ readonly seed: number; readonly violation: Violation } | undefined> {
  for (let seed = 1; seed <= SEEDS_MAX; seed++) {
    try {
      await simulate(seed, { bug });
    } catch (error) {
      if (error instanceof Violation) return { seed, violation: error };
      throw error;
    }
  }
  return undefined;
}
