// An error at every database call, one after the other. First by number: the k-th query that the front or a dispatcher
// sends on the road of one email, from its submission by HTTP until it is settled, is lost with its connection, before its
// effect and after it, for every k until the email is through without reaching it. Then, in a full run, by name: whatever
// statement was sent and not hit so far, those of a start at a start.
//
// Each email must end, and nothing may become unknown: a database that goes away is no reason to forget what a relay said.

import type pg from "pg";
import { setTimeout as sleep } from "node:timers/promises";
import { processesOf, sendSignal } from "../../bench/running-processes.ts";
import type { Fault } from "../fault.ts";
import { readUnknown, readWaiting } from "../rig/books-store.ts";
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
/** Upkeep asks most of its questions each second, and looks for the dead each 5 s. */
const STATEMENT_MS_MAX = 6000;
const LOOK_MS = 5;

interface Aim {
  readonly process: "front" | Lane;
  readonly moment: Moment;
}

const AIMS: readonly Aim[] = MOMENTS.flatMap((moment) =>
  (["front", ...LANES] as const).map((process) => ({ process, moment })),
);

interface Stage {
  readonly world: World;
  readonly door: HttpDoor;
  readonly orders: Orders<QueryErrorOrder, QueryErrorMark>;
  readonly tally: Tally;
  /** "process: statement moment", once for each. */
  readonly hit: Set<string>;
  readonly say: (line: string) => void;
}

export const fault: Fault = {
  promises: ["durable", "one_state", "no_duplicate", "unknown"],
  what: "an error at every database call from submission by HTTP to settle, one by one, before and after its effect",
  unit: "errors",
  small: 12,
  full: 100,
  async run({ runs, isFull, seed, scope, say, ledgersIn }) {
    const tally = createTally();
    const orders = openOrders<QueryErrorOrder, QueryErrorMark>(scope);
    const env = { ...orders.env, ...preloaded("query-errors-preload") };
    const world = await bringUpWorld(scope, { name: "query-errors", say, rates: RATES, env, ledgersIn });
    const stage: Stage = { world, door: await startHttpDoor(world), orders, tally, hit: new Set<string>(), say };
    // Until one is through, the front may still be starting.
    for (const lane of LANES) await carryOne(stage, { process: lane });
    let made = 0;
    if (isFull) {
      made += await loseEveryIndex(stage, Infinity, 1, STEP.full);
      made += await loseEveryStatement(stage, "at_work");
    }
    for (let round = seed; made < runs; round++) {
      made += await loseEveryIndex(stage, runs - made, 1 + (round % STEP.small), STEP.small);
    }
    // What was being handed over when a process is ended is unknown, and rightly so: after this nothing is said of it.
    const unknown = (await unknownNow(world)).length;
    tally.expect(unknown === 0, `${unknown} messages are unknown, and no relay was silent`);
    if (isFull) made += await loseEveryStatement(stage, "at_start");
    const deaths = world.supervisor.printed().match(/: died \(exit/g)?.length ?? 0;
    tally.note(`${made} errors, of ${stage.hit.size} kinds; ${deaths} times a process ended by itself`);
    const judged = await world.judge();
    tally.judged(judged);
    tally.expect(judged.verdict.duplicates === 0, `${judged.verdict.duplicates} duplicates under \`hold\``);
    await world.stop();
    return tally.outcome();
  },
};

async function unknownNow({ books }: World): Promise<readonly string[]> {
  const call = await books.call(readUnknown);
  if (call.kind !== "committed") throw new Error(`the books cannot be read: ${call.kind}`);
  return call.value;
}

/** How many were lost. */
async function loseEveryIndex(stage: Stage, errorsMax: number, first: number, step: number): Promise<number> {
  let made = 0;
  for (const aim of AIMS) {
    for (let index = first; made < errorsMax; index += step) {
      if (!(await loseOne(stage, aim, { index }, "at_work"))) break;
      made++;
    }
  }
  return made;
}

async function loseEveryStatement(stage: Stage, when: When): Promise<number> {
  let made = 0;
  // What was not sent once is not waited for a second time.
  const unsent = new Set<string>();
  for (const aim of AIMS) {
    for (const statement of new Set(stage.orders.told(aim.process))) {
      const name = `${aim.process} ${statement}`;
      if (stage.hit.has(placeOf(aim, statement)) || unsent.has(name)) continue;
      if (await loseOne(stage, aim, { statement }, when)) made++;
      else unsent.add(name);
    }
  }
  return made;
}

/** What is asked at a start is met by ending the process once more. */
type When = "at_work" | "at_start";

/** False: it was not sent. */
async function loseOne(
  stage: Stage,
  aim: Aim,
  which: Pick<QueryErrorOrder, "index" | "statement">,
  when: When,
): Promise<boolean> {
  const { world, orders, tally, hit, say } = stage;
  const pausedMsBefore = world.pausedMs();
  await orders.give({ processes: [aim.process], moment: aim.moment, ...which });
  if (when === "at_start") killNewest(world, aim.process);
  await carryOne(stage, aim);
  if (which.statement !== undefined) await orders.untilMarked(STATEMENT_MS_MAX);
  const mark = orders.takeBack();
  const told = `${aim.process}, ${aim.moment} ${which.statement ?? `query ${which.index}`}`;
  if (mark === undefined) {
    say(`${told}: an email is through, and it was not sent`);
    return false;
  }
  hit.add(placeOf(aim, mark.statement));
  tally.ran();
  const ms = (await carryOne(stage, aim)) - mark.atMs;
  if (when === "at_work") tally.recovered(ms, world.pausedMs() > pausedMsBefore);
  say(`${told}, ${mark.statement}: mail again after ${Math.round(ms)} ms`);
  return true;
}

/** One email on its whole road; when it was settled. */
async function carryOne({ world, door }: Stage, { process }: Pick<Aim, "process">): Promise<number> {
  const recipient = await door.submit(process === "front" ? "transactional" : process);
  const isWaiting = (client: pg.Client): Promise<boolean> => readWaiting(client, recipient);
  for (const endsAt = performance.now() + SETTLED_MS_MAX; performance.now() < endsAt; await sleep(LOOK_MS)) {
    const call = await world.books.call(isWaiting);
    if (call.kind === "committed" && !call.value) return wallMs();
  }
  throw new Error(`the email to ${recipient} did not end in ${SETTLED_MS_MAX / 1000} s`);
}

const placeOf = ({ process, moment }: Aim, statement: string): string => `${process}: ${statement} ${moment}`;

function killNewest({ installation }: World, process: Aim["process"]): void {
  const running =
    process === "front"
      ? processesOf(installation.folder).filter(({ command }) => command.includes("main.js front "))
      : installation.dispatchersOf(process);
  const newest = running.at(-1);
  if (newest !== undefined) sendSignal(newest.pid, "SIGKILL");
}
