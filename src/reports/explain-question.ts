// A question to explain: read from words, and answered with what is known already and, for one message or destination,
// one more bounded look. Used by the front for whoever asks it, and by the command line where no front answers.

import type { Pool } from "pg";
import { parseMessageId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { countWaitingFor, type EngineSnapshot } from "./engine-snapshot.ts";
import type { Surroundings } from "./explain-limit.ts";
import { readDestination, readDestinationOf } from "./explain-store.ts";
import { explain, type ExplainGiven, type ExplainReport, type Question } from "./explain.ts";
import type { Clock, Timer } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import { tellStory } from "./message-story.ts";
import { limitStatementTime } from "./status-store.ts";

export type ReadQuestion =
  | { readonly kind: "asked"; readonly question: Question }
  | { readonly kind: "refused"; readonly code: string; readonly problem: string };

const NAME_CHARS_MAX = 255;

export function readQuestion(
  kind: string | undefined,
  name: string | undefined,
  { lanes, outlets }: Pick<Config, "lanes" | "outlets">,
): ReadQuestion {
  if (kind === undefined) return { kind: "asked", question: { kind: "engine" } };
  if (name === undefined || name === "" || name.length > NAME_CHARS_MAX) {
    return refused("usage", `Say which ${kind}, such as \`postlane explain lane bulk\`.`);
  }
  switch (kind) {
    case "lane":
      return known(kind, name, Object.keys(lanes));
    case "outlet":
      return known(kind, name, Object.keys(outlets));
    case "destination":
      return { kind: "asked", question: { kind, name: lowerAscii(name) } };
    case "message":
      if (parseMessageId(name) !== undefined) return { kind: "asked", question: { kind, name } };
      return refused("usage", `"${name}" is no message id: expected msg_ and a number.`);
    default:
      return refused("usage", `"${kind}" cannot be explained: expected lane, outlet, destination or message.`);
  }
}

/** As the database names a destination, whatever its locale. */
export function lowerAscii(domain: string): string {
  return domain.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

function known(kind: "lane" | "outlet", name: string, names: readonly string[]): ReadQuestion {
  if (names.includes(name)) return { kind: "asked", question: { kind, name } };
  return refused(`${kind}_unknown`, `There is no ${kind} "${name}". There are: ${names.join(", ")}.`);
}

function refused(code: string, problem: string): ReadQuestion {
  return { kind: "refused", code, problem };
}

export interface Known {
  readonly snapshot: EngineSnapshot | undefined;
  readonly around: Surroundings;
}

export interface QuestionPorts {
  /** Undefined: there is no database that could be asked. */
  readonly pool: Pool | undefined;
  readonly clock: Clock;
}

/** Undefined: there is no such message. While the database is silent nothing more is asked of it. */
export async function answerQuestion(
  { pool, clock }: QuestionPorts,
  known: Known,
  question: Question,
  config: Config,
): Promise<ExplainReport | undefined> {
  if (pool === undefined || known.around.databaseSilent !== undefined) return explain({ ...known, question }, config);
  try {
    const facts = await inTime(readFacts(pool, question, config), clock);
    return facts === undefined ? undefined : explain({ ...known, question, ...facts }, config);
  } catch (error) {
    const databaseSilent = { sinceMs: known.around.nowMs, error: failureOf(error) };
    return explain({ ...known, around: { ...known.around, databaseSilent }, question }, config);
  }
}

/** Whoever asks gets an answer at once, if not the whole one: it may have gone silent just now. */
async function inTime<T>(work: Promise<T>, clock: Clock): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = clock.after(FACTS_MS_MAX, () => reject(new Error("timeout")));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.cancel();
    work.catch(() => {});
  }
}

/** The driver's own words for a server that stands still are of no use to anybody. */
export function failureOf(error: unknown): string {
  const { message = "", code = "no connection" } = error as { readonly message?: string; readonly code?: string };
  if (/timeout/i.test(message)) return `no answer within ${READ_MS_MAX / 1000} s`;
  return message === "" ? code : message.replaceAll(/\p{Cc}/gu, " ");
}

/** For all that is read for one question. */
const FACTS_MS_MAX = 1000;
/** For the client's side of a read: a server that stands still heeds no statement timeout. */
export const READ_MS_MAX = 2000;

type Facts = Pick<ExplainGiven, "message" | "destination">;

async function readFacts(pool: Pool, question: Question, { lanes }: Config): Promise<Facts | undefined> {
  if (question.kind === "destination") return { destination: await readDestinationFacts(pool, question.name) };
  if (question.kind !== "message") return {};
  const id = parseMessageId(question.name)!;
  const story = await tellStory(pool, id, lanes);
  if (story === undefined) return undefined;
  const destination = await inTransaction(pool, (client) => readDestinationOf(client, id));
  return { message: { story, ...(destination === undefined ? {} : { destination }) } };
}

async function readDestinationFacts(pool: Pool, name: string): Promise<NonNullable<Facts["destination"]>> {
  const row = await inTransaction(pool, async (client) => {
    await limitStatementTime(client, FACTS_MS_MAX);
    return await readDestination(client, name);
  });
  const [counted] = await inTransaction(pool, (client) => countWaitingFor(client, [name]));
  return {
    ...(row === undefined ? {} : { row }),
    waiting: counted?.waiting ?? 0,
    isMore: counted?.is_more ?? false,
  };
}
