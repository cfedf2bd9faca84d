// Exim's queue as a reading. Exim has one queue and no word for what it works on now, so it is told by each message's
// own file: never tried yet counts as the working queue; tried, or frozen, counts as deferred. The total is Exim's own
// (`exim -bpc`); the share of the deferred is that of the whole spool, or of a sample of it where the spool is large.
// Who may not read the spool still gets the total, all of it as `queue`, and the reading says so: a governor that takes
// stuck mail for work is careful, the other way round it would push.

import { open, opendir } from "node:fs/promises";
import path from "node:path";
import type { RelayReading } from "../../mail/reading.ts";
import type { Random } from "../../platform/random.ts";
import { readableText } from "../readable-text.ts";
import { createReservoir, type Reservoir } from "../reservoir.ts";
import { runCommand } from "../run-command.ts";
import { shapeOf, type SampledMessage } from "../shape.ts";
import { parseHeaderFile, type EximEnvelope } from "./header-file.ts";

export interface EximPorts {
  readonly random: Random;
  readonly wallMs: () => number;
}

export interface EximQuestion {
  /** Words that run Exim, such as `["exim"]`. */
  readonly command: readonly string[];
  /** Absent: Exim is asked. */
  readonly spool?: string;
}

export type EximReading =
  | { readonly kind: "read"; readonly reading: RelayReading }
  | { readonly kind: "failed"; readonly problem: string };

/** Files read for the share and the shape: 3 % of error, and some 50 ms. */
const SAMPLE_FILES_MAX = 1000;
const HEAD_BYTES_MAX = 4096;
const PROBLEM_CHARS_MAX = 300;

export async function readEximGauge(question: EximQuestion, ports: EximPorts): Promise<EximReading> {
  const total = await askExim(question, ["-bpc"], /^(\d{1,9})\s*$/);
  if ("problem" in total) return { kind: "failed", problem: total.problem };
  const count = Number(total.answer);
  // A spool that never held a message has no folders yet.
  if (count === 0) return { kind: "read", reading: { queue: 0, deferred: 0, shape: [] } };
  const spool = question.spool ?? (await spoolFolder(question));
  const sample = spool === undefined ? "Exim does not tell where its spool is" : await sampleSpool(spool, ports.random);
  if (typeof sample === "string") return { kind: "read", reading: { queue: count, problems: [sample] } };
  return { kind: "read", reading: readingOf(count, sample, ports.wallMs()) };
}

type EximAnswer = { readonly answer: string } | { readonly problem: string };

async function askExim({ command }: EximQuestion, words: readonly string[], form: RegExp): Promise<EximAnswer> {
  const [program = "", ...first] = command;
  const { code, stdout, stderr } = await runCommand(program, [...first, ...words]);
  const match = code === 0 ? form.exec(stdout) : null;
  if (match !== null) return { answer: match[1]! };
  const said = readableText((stderr.trim() || stdout.trim()).slice(0, PROBLEM_CHARS_MAX));
  return { problem: `${program} ${words.join(" ")}: ${said === "" ? "no answer that could be read" : said}` };
}

async function spoolFolder(question: EximQuestion): Promise<string | undefined> {
  const asked = await askExim(question, ["-bP", "spool_directory"], /^spool_directory = (\/.{1,1000})$/m);
  return "answer" in asked ? asked.answer.trim() : undefined;
}

// ---- the spool

interface SpoolSample {
  readonly messages: readonly EximEnvelope[];
  readonly oldestAtMs?: number;
}

/** Or why there is none. */
async function sampleSpool(spool: string, random: Random): Promise<SpoolSample | string> {
  const reservoir = createReservoir<string>(SAMPLE_FILES_MAX, random);
  try {
    const oldestAtMs = await walkInput(path.join(spool, "input"), reservoir);
    const messages: EximEnvelope[] = [];
    for (const file of reservoir.taken()) messages.push(...(await readHead(file)));
    return oldestAtMs === undefined ? { messages } : { messages, oldestAtMs };
  } catch (error) {
    const { code, path: at } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    return `the spool cannot be read (${code} ${at ?? spool}), so messages that were tried count as \`queue\`, too`;
  }
}

const ENTRIES_AT_ONCE = 1024;

/** `split_spool_directory` puts the files into folders of one letter. Answers when the oldest message came. */
async function walkInput(folder: string, files: Reservoir<string>): Promise<number | undefined> {
  const below: string[] = [];
  let oldestAtMs: number | undefined;
  for await (const { name } of await opendir(folder, { bufferSize: ENTRIES_AT_ONCE })) {
    if (name.length === 1) below.push(name);
    if (!name.endsWith("-H")) continue;
    files.offer(() => path.join(folder, name));
    oldestAtMs = earlier(oldestAtMs, arrivalOfMessageId(name));
  }
  if (path.basename(folder) !== "input") return oldestAtMs;
  for (const name of below) oldestAtMs = earlier(oldestAtMs, await walkInput(path.join(folder, name), files));
  return oldestAtMs;
}

function earlier(one: number | undefined, other: number | undefined): number | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return Math.min(one, other);
}

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** The first six characters of a message id are the arrival in seconds, in base 62. */
export function arrivalOfMessageId(messageId: string): number | undefined {
  if (!/^[0-9A-Za-z]{6}-/.test(messageId)) return undefined;
  let seconds = 0;
  for (const digit of messageId.slice(0, 6)) seconds = seconds * DIGITS.length + DIGITS.indexOf(digit);
  return seconds * 1000;
}

/** None when it is gone, or still being written. */
async function readHead(file: string): Promise<readonly EximEnvelope[]> {
  try {
    const handle = await open(file, "r");
    try {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(HEAD_BYTES_MAX), 0, HEAD_BYTES_MAX, 0);
      return [parseHeaderFile(buffer.toString("utf8", 0, bytesRead)) ?? []].flat();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

// ---- the reading

function readingOf(count: number, { messages, oldestAtMs }: SpoolSample, nowMs: number): RelayReading {
  const stuck = messages.filter(({ wasTried, isFrozen }) => wasTried || isFrozen).length;
  const deferred = messages.length === 0 ? 0 : Math.round((count * stuck) / messages.length);
  const weight = messages.length === 0 ? 0 : count / messages.length;
  return {
    queue: count - deferred,
    deferred,
    ...(oldestAtMs === undefined ? {} : { oldest_age_s: Math.max(0, Math.round((nowMs - oldestAtMs) / 1000)) }),
    shape: shapeOf(
      messages.map((message) => sampledMessage(message, weight)),
      nowMs,
    ),
  };
}

function sampledMessage(message: EximEnvelope, weight: number): SampledMessage {
  const { wasTried, isFrozen, recipients, arrivedAtMs } = message;
  return { side: wasTried || isFrozen ? "deferred" : "queue", weight, recipients, arrivedAtMs };
}
