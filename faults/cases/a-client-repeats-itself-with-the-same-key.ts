// A client of the HTTP door loses the answer to its email and, as the documentation asks, sends it again under the same
// idempotency key: ten times at once, while the first try may still be under way. There is one message, and everybody hears
// of that one.

import { setTimeout as sleep } from "node:timers/promises";
import { findFront } from "../../src/doors/http/front-file.ts";
import { startCuttingHttpProxy, type HttpCut } from "../../test/rig/cutting-http-proxy.ts";
import type { Fault } from "../fault.ts";
import { makeKey, postEmail, type HttpAnswer } from "../rig/http-client.ts";
import { readBooks, type SiteEmail } from "../rig/books-store.ts";
import { seededDice } from "../rig/dice.ts";
import type { Lane } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

const REPEATS = 10;
/** Clients that do this at a time. */
const CLIENTS = 8;
/** Beside them the site of the world goes on, with less than usual: the door is what is tried. */
const RATES = { transactionalPerS: 10, bulkPerS: 100 };
/** A key that is in use for this long is stuck. */
const IN_PROGRESS_MS_MAX = 30_000;
const FRONT_MS_MAX = 30_000;
const AGAIN_MS = 50;
const ANSWER_MS_MAX = 15_000;

export const fault: Fault = {
  promises: ["durable", "one_state"],
  what: "the answer to an email by HTTP is cut off, and the client repeats it with the same idempotency key, ten times at once",
  unit: "keys",
  small: 100,
  full: 10_000,
  async run({ runs, seed, scope, say, ledgersIn }) {
    const tally = createTally();
    const world = await bringUpWorld(scope, { name: "repeated", say, rates: RATES, ledgersIn });
    const dice = seededDice(seed);
    const cuts = new Map<string, HttpCut>();
    const proxy = await startCuttingHttpProxy(scope, await doorOf(world), (key) => {
      if (cuts.has(key)) return undefined;
      const cut = dice() < 0.5 ? "after the answer" : "at the request";
      cuts.set(key, cut);
      return cut;
    });
    const client: Client = {
      at: new URL(proxy.url).host,
      token: await makeKey(world.installation),
      tally,
      figures: NO_FIGURES(),
    };
    const sent = await repeatAll(world, client, runs, say);
    await judgeMessages(world, sent, tally);
    tally.judged(await world.judge());
    await world.stop();
    tally.note(noteOf(client.figures, cuts));
    return tally.outcome();
  },
};

interface Client {
  /** Address and port of the proxy. */
  readonly at: string;
  readonly token: string;
  readonly tally: Tally;
  readonly figures: Figures;
}

interface Figures {
  requests: number;
  replayed: number;
  inProgress: number;
  unheard: number;
}

const NO_FIGURES = (): Figures => ({ requests: 0, replayed: 0, inProgress: 0, unheard: 0 });

/** By recipient, the id that every repetition was answered with. */
type Sent = ReadonlyMap<string, string>;

/** A world is up when its dispatchers are; the front may need a moment more. */
async function doorOf({ installation }: World): Promise<{ readonly host: string; readonly port: number }> {
  for (const endsAt = performance.now() + FRONT_MS_MAX; performance.now() < endsAt; await sleep(AGAIN_MS)) {
    const front = findFront(installation.dataDir);
    if (front === undefined) continue;
    const [host = "", port] = front.http.split(":");
    return { host, port: Number(port) };
  }
  throw new Error(`the front does not listen after ${FRONT_MS_MAX / 1000} s`);
}

async function repeatAll(world: World, client: Client, keys: number, say: (line: string) => void): Promise<Sent> {
  const sent = new Map<string, string>();
  let begun = 0;
  const work = async (): Promise<void> => {
    while (begun < keys) {
      const lane: Lane = ++begun % 2 === 0 ? "bulk" : "transactional";
      await world.submissions.submitBy(lane, async (email) => {
        const id = await repeatOne(client, email);
        if (id !== undefined) sent.set(email.to, id);
        return id === undefined ? "ambiguous" : "committed";
      });
      client.tally.ran();
      if (sent.size % 1000 === 0) say(`${sent.size} of ${keys} keys`);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, work));
  return sent;
}

/** Undefined when it did not go as promised, which is complained about. */
async function repeatOne(client: Client, email: SiteEmail): Promise<string | undefined> {
  const first = await post(client, email);
  if (first === undefined) client.figures.unheard++;
  else client.tally.complain(`the answer to ${email.to} came through, and should have been cut: ${first.status}`);
  const answers = await Promise.all(Array.from({ length: REPEATS }, () => untilAnswered(client, email)));
  const ids = answers.map((answer) => answer?.id);
  const [id] = ids;
  const firsts = answers.filter((answer) => answer?.isReplayed === false).length;
  client.tally.expect(
    firsts <= 1,
    `${email.to}: ${firsts} of ${REPEATS} repetitions were told that they are the first`,
  );
  if (id !== undefined && ids.every((other) => other === id)) return id;
  client.tally.complain(`${email.to}: ${REPEATS} times the same key was answered with ${[...new Set(ids)].join(", ")}`);
  return undefined;
}

async function untilAnswered(client: Client, email: SiteEmail): Promise<HttpAnswer | undefined> {
  for (const endsAt = performance.now() + IN_PROGRESS_MS_MAX; performance.now() < endsAt; await sleep(AGAIN_MS)) {
    const answer = await post(client, email);
    if (answer?.status === 200) {
      if (answer.isReplayed) client.figures.replayed++;
      return answer;
    }
    if (answer?.status !== 409) {
      client.tally.complain(`a repetition for ${email.to} was answered with ${answer?.status ?? "nothing"}`);
      return undefined;
    }
    client.figures.inProgress++;
  }
  client.tally.complain(`the key for ${email.to} was said to be in use for ${IN_PROGRESS_MS_MAX / 1000} s`);
  return undefined;
}

/** Undefined: the answer was lost. */
async function post({ at, token, figures }: Client, email: SiteEmail): Promise<HttpAnswer | undefined> {
  figures.requests++;
  return await postEmail({ at, token, email, idempotencyKey: email.to, msMax: ANSWER_MS_MAX });
}

/** As many messages as keys, each under the id that was answered. */
async function judgeMessages({ books }: World, sent: Sent, tally: Tally): Promise<void> {
  const call = await books.call(readBooks);
  if (call.kind !== "committed") throw new Error(`the books cannot be read: ${call.kind}`);
  const messages = call.value.entries.filter(({ recipient }) => sent.has(recipient)).length;
  const ids = new Set(sent.values()).size;
  tally.expect(ids === sent.size, `${sent.size} keys were answered with ${ids} ids`);
  tally.expect(messages === sent.size, `${sent.size} keys made ${messages} messages`);
  tally.note(`${sent.size.toLocaleString("en")} keys made ${messages.toLocaleString("en")} messages.`);
}

function noteOf({ requests, replayed, inProgress, unheard }: Figures, cuts: ReadonlyMap<string, HttpCut>): string {
  const atRequest = [...cuts.values()].filter((cut) => cut === "at the request").length;
  const count = (n: number): string => n.toLocaleString("en");
  return (
    `${count(requests)} requests; ${count(unheard)} first answers were cut off, ${count(atRequest)} of them in the moment of ` +
    `the request; ${count(replayed)} repetitions heard the first answer again, and ${count(inProgress)} times ` +
    "one was told that its key is in use."
  );
}
