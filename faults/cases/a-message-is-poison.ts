// Messages that are made to break whoever touches them: templates without end, output without measure, mail and JSON nested
// beyond reason. Each is refused at the door with a reason, held alone, or sent; its lane goes on within seconds; and no
// dispatcher dies more often over one message than the contract says.

import type { Fault } from "../fault.ts";
import { poisonsByChance } from "../rig/poisons-by-chance.ts";
import { bringUpPoisonWorld, type PoisonWorld } from "../rig/poison-world.ts";
import { POISONS, type Poison } from "../rig/poisons.ts";
import { createTally, type Tally } from "../rig/tally.ts";

const WORST = POISONS.filter(({ isWorst }) => isWorst);
const FATE_CHARS = 200;
const BY_CHANCE = 2_000;
/** "Within seconds": a good message behind a poisonous one. A merge has a second for each of its parts. */
const BEHIND_MS_MAX = 10_000;
/** A message is held at the third death in its name (docs/decisions/0008-poison.md). */
const DEATHS_MAX = 3;
/** Four starts of a dispatcher, each after 30 s without a sign of life and a pause. */
const AT_REST_MS_MAX = 180_000;

export const fault: Fault = {
  promises: ["apart"],
  what: "Templates without end, 50 MB of output, JSON and MIME nested 10,000 deep, header bombs, templates by chance",
  unit: "poisons",
  small: WORST.length,
  full: POISONS.length + BY_CHANCE,
  async run({ runs, isFull, seed, scope, say }) {
    const tally = createTally();
    const world = await bringUpPoisonWorld(scope);
    say("up");
    const corpus = (isFull || runs > WORST.length ? POISONS : WORST).slice(0, runs);
    const poisons = [...corpus, ...poisonsByChance(runs - corpus.length, seed)];
    const fates: Record<string, number> = {};
    for (const [nth, poison] of poisons.entries()) {
      const fate = await tryPoison(world, poison, nth, tally);
      const [kind = fate] = fate.split(":");
      fates[kind] = (fates[kind] ?? 0) + 1;
      if (nth < corpus.length) say(`${poison.name}: ${fate.slice(0, FATE_CHARS)}`);
    }
    await world.stop();
    tally.note(
      `of ${poisons.length} poisons ${Object.entries(fates)
        .map(([kind, count]) => `${count} were ${kind}`)
        .join(", ")}; a dispatcher died ${world.deaths()} times`,
    );
    return tally.outcome();
  },
};

/** What became of it. */
async function tryPoison(world: PoisonWorld, { name, given }: Poison, nth: number, tally: Tally): Promise<string> {
  const to = `poison${nth}@poison.example`;
  const deathsBefore = world.deaths();
  const answer = await world.give(given, to);
  const behindMs = await world.sendBehind(`good${nth}@poison.example`, BEHIND_MS_MAX);
  if (behindMs === undefined)
    tally.complain(`${name}: a good message behind it waited longer than ${BEHIND_MS_MAX} ms`);
  else tally.recovered(behindMs);
  tally.ran();
  if (answer.kind === "failed") tally.complain(`${name}: the door failed: ${answer.why}`);
  if (answer.kind !== "accepted") return `refused: ${answer.why}`;
  const state = await world.untilAtRest(to, AT_REST_MS_MAX);
  tally.expect(state === "held" || state === "sent", `${name}: it is ${state ?? "on its way still"}`);
  const deaths = world.deaths() - deathsBefore;
  tally.expect(deaths <= DEATHS_MAX, `${name}: the dispatcher died ${deaths} times over it`);
  return state ?? "nowhere";
}
