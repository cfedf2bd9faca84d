// An error at every database call, one after the other: the k-th query that the front or a dispatcher sends on the road of
// one email, by HTTP until it is settled, is lost with its connection, before its effect and after it, for every k until
// the email is through without reaching it. Each email must end, no process has to, and nothing may become unknown: a
// database that goes away is no reason to forget what a relay said.

import type pg from "pg";
import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../fault.ts";
import { readWaiting } from "../rig/books-store.ts";
import { startHttpDoor, type HttpDoor } from "../rig/http-site.ts";
import { openOrders, type Orders } from "../rig/orders.ts";
import { preloaded } from "../rig/preloaded.ts";
import { MOMENTS, type Moment, type QueryErrorMark, type QueryErrorOrder } from "../rig/query-errors.ts";
import { wallMs, type Lane } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, LANES, type World } from "../rig/world.ts";

/** A few messages beside the one that is looked at: each query shall be of a road that others use, too. */
const RATES = { transactionalPerS: 5, bulkPerS: 20 };
const STEP = { full: 1, small: 10 };
/** An email that is not settled by then does not end. Longer than a lease and what follows its loss. */
const SETTLED_MS_MAX = 90_000;
const LOOK_MS = 5;

interface Aim {
  readonly process: "front" | Lane;
  readonly lane: Lane;
  readonly moment: Moment;
}

/** A front's queries are the same for both lanes. */
const AIMS: readonly Aim[] = MOMENTS.flatMap((moment) => [
  { process: "front" as const, lane: "transactional" as const, moment },
  ...LANES.map((lane) => ({ process: lane, lane, moment })),
]);

interface Stage {
  readonly world: World;
  readonly door: HttpDoor;
  readonly orders: Orders<QueryErrorOrder, QueryErrorMark>;
  readonly tally: Tally;
  readonly say: (line: string) => void;
}

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate", "unknown"],
  what: "an error at every database call from submission by HTTP to settle, one by one, before and after its effect",
  unit: "errors",
  small: 12,
  full: 120,
  async run({ runs, isFull, seed, scope, say, ledgersIn }) {
    const tally = createTally();
    const orders = openOrders<QueryErrorOrder, QueryErrorMark>(scope);
    const where = ledgersIn === undefined ? {} : { ledgersIn };
    const env = { ...orders.env, ...preloaded("query-errors-preload") };
    const world = await bringUpWorld(scope, { name: "query-errors", say, rates: RATES, env, ...where });
    const stage = { world, door: await startHttpDoor(world), orders, tally, say };
    await world.untilRecovered(wallMs());
    const statements = new Map<string, number>();
    let made = 0;
    const step = isFull ? STEP.full : STEP.small;
    for (let round = 0; made < runs; round++) {
      for (const aim of AIMS) {
        const first = 1 + ((seed + round) % step);
        for (let index = first; isFull || made < runs; index += step) {
          const statement = await loseOne(stage, aim, index);
          if (statement === undefined) break;
          made++;
          tally.ran();
          const name = `${aim.process}: ${statement} ${aim.moment}`;
          statements.set(name, (statements.get(name) ?? 0) + 1);
        }
      }
    }
    const judged = await world.judge();
    const deaths = world.supervisor.printed().match(/: died \(/g)?.length ?? 0;
    tally.note(`${made} errors at ${statements.size} different places; ${deaths} processes died of them`);
    tally.expect(judged.verdict.duplicates === 0, `${judged.verdict.duplicates} duplicates under \`hold\``);
    if (deaths === 0 && judged.verdict.unknown > 0) {
      tally.complain(`${judged.verdict.unknown} messages became unknown, though no process died`);
    }
    tally.judged(judged);
    await world.stop();
    return tally.outcome();
  },
};

/** Undefined: the email was settled before so many queries were sent. */
async function loseOne(stage: Stage, aim: Aim, index: number): Promise<string | undefined> {
  const { world, door, orders, tally, say } = stage;
  const pausedMsBefore = world.pausedMs();
  await orders.give({ processes: [aim.process], moment: aim.moment, index });
  const recipient = await door.submit(aim.lane);
  const endedAtMs = await untilSettled(world, recipient);
  const mark = await orders.untilMarked(0);
  if (mark === undefined) {
    say(`${aim.process}, ${aim.moment}: an email is through before query ${index}`);
    return undefined;
  }
  const ms = endedAtMs - mark.atMs;
  tally.recovered(ms, world.pausedMs() > pausedMsBefore);
  say(`${aim.process}, ${aim.moment} query ${index}, ${mark.statement}: settled ${Math.round(ms)} ms after it`);
  return mark.statement;
}

async function untilSettled({ books }: World, recipient: string): Promise<number> {
  const isWaiting = (client: pg.Client): Promise<boolean> => readWaiting(client, recipient);
  for (const endsAt = performance.now() + SETTLED_MS_MAX; performance.now() < endsAt; await sleep(LOOK_MS)) {
    const call = await books.call(isWaiting);
    if (call.kind === "committed" && !call.value) return wallMs();
  }
  throw new Error(`the email to ${recipient} did not end in ${SETTLED_MS_MAX / 1000} s`);
}
