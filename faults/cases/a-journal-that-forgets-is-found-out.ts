// The test of the test: with a journal that swallows its dot lines, dispatchers are killed between a final dot and its
// reply. What was on the wire then is sent again, and the judge must find it. Its duplicates are of a bug that was planted,
// so they are not the product's.

import type { Fault } from "../fault.ts";
import { openFailpoints } from "../rig/die-at-failpoint.ts";
import { seededDice } from "../rig/dice.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally } from "../rig/tally.ts";
import { bringUpWorld, LANES } from "../rig/world.ts";

const RATES = { transactionalPerS: 40, bulkPerS: 200 };
/** A kill at the n-th dot at the latest. */
const TIMES_MAX = 25;

export const fault: Fault = {
  promises: ["no_duplicate"],
  what: "SIGKILL of a dispatcher whose journal forgets final dots (a bug that is planted): the judge must find duplicates",
  unit: "kills",
  small: 4,
  full: 20,
  async run({ runs, seed, scope, say, ledgersIn }) {
    const tally = createTally();
    const dice = seededDice(seed);
    const failpoints = openFailpoints(scope, "forgetful-journal-preload");
    const world = await bringUpWorld(scope, { name: "forgetful", say, rates: RATES, env: failpoints.env, ledgersIn });
    await world.untilRecovered(wallMs());
    for (let run = 0; run < runs; run++) {
      const lane = LANES[run % LANES.length]!;
      const mark = await failpoints.dieAt("after-dot", [lane], 1 + Math.floor(dice() * TIMES_MAX));
      if (mark === undefined) throw new Error(`the dispatcher of ${lane} wrote no final dot`);
      await world.untilRecovered(mark.atMs, [lane]);
      tally.ran();
    }
    const { verdict } = await world.judge();
    await world.stop();
    const { accepted, unexplained, lost, unknown } = verdict;
    tally.note(`the judge found ${unexplained} duplicates that nothing explains`);
    tally.expect(unexplained > 0, `the judge found no duplicate after ${runs} kills with a journal that forgets`);
    tally.expect(lost === 0, `the judge says that ${lost} messages are lost, and nothing was done that loses any`);
    return { ...tally.outcome(), accepted, unknown };
  },
};
