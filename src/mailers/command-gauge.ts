// A gauge that is a command: any program that prints the relay's queue as one JSON object,
//   {"queue": 120, "deferred": 14, "oldest_age_s": 310, "shape": [{"destination", "queue", "deferred", "oldest_age_s"}]}
// of which only `queue` must be there. Read strictly: a key that does not exist is refused by name, since a misspelt
// one would be a measurement that silently is none. Bounded in time, size and number.

import { SHAPE_DESTINATIONS_MAX, type RelayReading, type ShapeRow } from "../mail/reading.ts";
import { readableText } from "./readable-text.ts";
import { runCommand } from "./run-command.ts";

export type CommandReading =
  | { readonly kind: "read"; readonly reading: RelayReading }
  /** What is wrong with the command or with what it prints. */
  | { readonly kind: "failed"; readonly problem: string };

/** Far more than 50 destinations need. */
export const COMMAND_OUTPUT_BYTES_MAX = 65_536;
/** It is asked every second or as often as it ends; one that takes longer than this measures the past. */
const COMMAND_MS_MAX = 30_000;
const PROBLEM_CHARS_MAX = 300;
const PROBLEMS_MAX = 10;
const COUNT_MAX = 1_000_000_000;

export async function readCommandGauge(command: readonly string[]): Promise<CommandReading> {
  const [program = "", ...words] = command;
  const limits = { runMsMax: COMMAND_MS_MAX, outputBytesMax: COMMAND_OUTPUT_BYTES_MAX };
  const { code, stdout, stderr } = await runCommand(program, words, limits);
  if (code === 0) return parseCommandReading(stdout);
  const said = short(stderr.trim());
  return failed(said === "" ? `${short(program)} ended with ${code ?? "a signal"}` : said);
}

export function parseCommandReading(text: string): CommandReading {
  if (text.length > COMMAND_OUTPUT_BYTES_MAX) return failed(`it prints more than ${COMMAND_OUTPUT_BYTES_MAX} octets`);
  try {
    const { queue, deferred, oldest_age_s, shape, problems } = readObject(parseJson(text), "it", READING_KEYS);
    return {
      kind: "read",
      reading: {
        queue: readCount(queue, "queue"),
        ...(deferred === undefined ? {} : { deferred: readCount(deferred, "deferred") }),
        ...(oldest_age_s === undefined ? {} : { oldest_age_s: readCount(oldest_age_s, "oldest_age_s") }),
        ...(shape === undefined ? {} : { shape: readShape(shape) }),
        ...(problems === undefined ? {} : { problems: readProblems(problems) }),
        queue_source: "command",
      },
    };
  } catch (error) {
    if (error instanceof Unreadable) return failed(error.message);
    throw error;
  }
}

const READING_KEYS = ["queue", "deferred", "oldest_age_s", "shape", "problems"] as const;
const ROW_KEYS = ["destination", "queue", "deferred", "oldest_age_s"] as const;

class Unreadable extends Error {}

const failed = (problem: string): CommandReading => ({ kind: "failed", problem });

const short = (text: string): string => readableText(text.slice(0, PROBLEM_CHARS_MAX));

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Unreadable(
      `it does not print one JSON object, but: ${text.trim() === "" ? "nothing" : short(text.trim())}`,
    );
  }
}

function readObject<Key extends string>(
  value: unknown,
  name: string,
  keys: readonly Key[],
): Readonly<Partial<Record<Key, unknown>>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Unreadable(`${name} is no JSON object`);
  }
  const stranger = Object.keys(value).find((key) => !(keys as readonly string[]).includes(key));
  if (stranger === undefined) return value as Partial<Record<Key, unknown>>;
  throw new Unreadable(`${name} has a key "${short(stranger)}" that does not exist; there are ${keys.join(", ")}`);
}

function readCount(value: unknown, name: string): number {
  if (typeof value === "number" && value >= 0 && value <= COUNT_MAX) return Math.round(value);
  throw new Unreadable(`"${name}" is no number from 0 to ${COUNT_MAX}`);
}

function readShape(value: unknown): readonly ShapeRow[] {
  if (!Array.isArray(value) || value.length > SHAPE_DESTINATIONS_MAX) {
    throw new Unreadable(`"shape" is no list of at most ${SHAPE_DESTINATIONS_MAX} rows`);
  }
  return value.map((row: unknown, index) => {
    const name = `row ${index + 1} of "shape"`;
    const { destination, queue, deferred, oldest_age_s } = readObject(row, name, ROW_KEYS);
    if (typeof destination !== "string" || destination.length > 253) {
      throw new Unreadable(`${name} has no "destination" of at most 253 characters`);
    }
    return {
      destination: readableText(destination).toLowerCase(),
      queue: readCount(queue, "queue"),
      deferred: readCount(deferred, "deferred"),
      oldest_age_s: readCount(oldest_age_s, "oldest_age_s"),
    };
  });
}

function readProblems(value: unknown): readonly string[] {
  const isList = Array.isArray(value) && value.length <= PROBLEMS_MAX && value.every((one) => typeof one === "string");
  if (!isList) throw new Unreadable(`"problems" is no list of at most ${PROBLEMS_MAX} texts`);
  return value.map((problem: string) => short(problem));
}
