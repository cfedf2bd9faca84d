// The dispatcher, the SMTP client and the journal in a simulated world, from many seeds. A failing seed is printed; the
// same seed does the same again:
//   POSTLANE_SIMULATION_FROM=123 POSTLANE_SIMULATION_SEEDS=1 node --test dist/test/simulation/road.test.js
// POSTLANE_SIMULATION_SEEDS also takes many more than the normal run has time for; then nothing is cut short.

import assert from "node:assert/strict";
import { test } from "node:test";
import { replayHint, simulate, simulateCrashAt, simulateTwoLanes } from "./simulate.ts";

const WANTED_SEEDS = process.env["POSTLANE_SIMULATION_SEEDS"];
const SEEDS = Number(WANTED_SEEDS ?? 200);
const FROM = Number(process.env["POSTLANE_SIMULATION_FROM"] ?? 1);
/** The normal run ends after this, on a machine with other things to do, and says how far it came. */
const NORMAL_MS_MAX = 12_000;
/** How many seeds a run must have had to say anything. */
const SEEDS_MIN = 20;

for (const [what, isSigned] of [
  ["", false],
  [", while mail is being signed", true],
] as const) {
  test(
    `whatever crashes, freezes, reboots or is lost${what}: nothing is lost, doubled, or hidden`,
    { timeout: Infinity },
    async (t) => {
      const startedAtMs = performance.now();
      let done = 0;
      let taken = 0;
      let unknown = 0;
      for (; done < SEEDS; done++) {
        const isLate = WANTED_SEEDS === undefined && performance.now() - startedAtMs > NORMAL_MS_MAX;
        if (isLate && done >= SEEDS_MIN) break;
        const report = await runSeed(FROM + done, isSigned);
        taken += report.taken;
        unknown += report.unknownAttempts;
      }
      t.diagnostic(`${done} seeds: ${taken} messages taken by the relay, ${unknown} attempts unknown on the way`);
      assert.ok(done >= Math.min(SEEDS, SEEDS_MIN));
      if (WANTED_SEEDS === undefined)
        assert.ok(taken > 100 && unknown > 0, "the simulated world is too quiet to prove anything");
    },
  );
}

test("the same seed does the same again", async () => {
  for (const isSigned of [false, true]) {
    const first = await runSeed(4242, isSigned);
    const again = await runSeed(4242, isSigned);
    assert.deepEqual(again, first);
  }
});

for (const [what, isReboot, isSigned] of [
  ["a crash", false, false],
  ["a reboot", true, false],
  ["a crash amid signing", false, true],
] as const) {
  test(
    `${what} at every single step: each message is sent, or unknown and not sent again`,
    { timeout: 120_000 },
    async (t) => {
      let crashes = 0;
      for (let step = 1; step < 2000; step++) {
        let steps;
        try {
          steps = await simulateCrashAt(step, isReboot, isSigned);
        } catch (error) {
          throw new Error(`${what} after step ${step}`, { cause: error });
        }
        if (steps < step) break;
        crashes++;
      }
      t.diagnostic(`${crashes} steps`);
      assert.ok(crashes > 50, `only ${crashes} steps`);
    },
  );
}

test("bulk that has more than the relay can take does not starve transactional mail", { timeout: 60_000 }, async () => {
  for (const seed of [1, 2]) {
    const { waitedMsMax, bulkTaken } = await simulateTwoLanes(seed);
    assert.ok(waitedMsMax < 1000, `seed ${seed}: a transactional message waited ${waitedMsMax} ms`);
    assert.ok(bulkTaken > 80, `seed ${seed}: bulk got no more than ${bulkTaken} messages out meanwhile`);
  }
});

async function runSeed(seed: number, isSigned: boolean) {
  try {
    return await simulate(seed, { isSigned });
  } catch (error) {
    throw new Error(`${replayHint(seed)}${isSigned ? ", the second test" : ""}`, { cause: error });
  }
}
