// SIGKILL of dispatchers, front, agent and supervisor at random moments under load: nothing lost, nothing doubled, and mail
// moves again within seconds.

import type { Fault } from "../fault.ts";
import { bringUpCrashWorld, killAtRandom } from "../rig/kill-at-random.ts";
import { createTally } from "../rig/tally.ts";

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate", "unknown"],
  what: "SIGKILL of a dispatcher, the front, the agent or the supervisor, at random moments under load",
  unit: "kills",
  small: 5,
  full: 500,
  recoveryMsMax: 5000,
  async run({ runs, seed, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const world = await bringUpCrashWorld(scope, { name: "killed", say, isFull, ledgersIn });
    const targets = ["bulk-dispatcher", "transactional-dispatcher", "supervisor", "front", "agent"] as const;
    await killAtRandom(world, { kills: runs, seed, targets, say }, ({ ms, isDisturbed }) => {
      tally.ran();
      tally.recovered(ms, isDisturbed);
    });
    tally.judged(await world.judge());
    await world.stop();
    return tally.outcome();
  },
};
