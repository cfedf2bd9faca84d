// The queue as `postqueue -j` lists it: for an agent that may not read the spool's folders. Slower (3 s for 20,000
// messages, where a walk takes 0.05 s), it loads the relay, and it may miss or repeat what moves meanwhile, so it is the
// second choice, and the reading says that it was made. The output is read as a stream with bounds; messages beyond
// `LISTED_MAX` are not counted, and the answer says so. Only root and members of a group that Postfix trusts may ask for
// an instance other than the system's own.

import { spawn } from "node:child_process";
import type { Random } from "../../platform/random.ts";
import { boundedLines } from "../bounded-lines.ts";
import { readableText } from "../readable-text.ts";
import { systemEnvironment } from "../run-command.ts";
import { createReservoir } from "../reservoir.ts";
import { shapeOf, type SampledMessage } from "../shape.ts";
import { SAMPLE_FILES_MAX, type SpoolCounts } from "./spool.ts";

export interface PostqueuePorts {
  readonly random: Random;
  readonly wallMs: () => number;
  /** Another program in its place, for tests. */
  readonly command?: readonly string[];
}

export type PostqueueReading =
  | ({ readonly kind: "read"; readonly isWhole: boolean } & SpoolCounts)
  /** What `postqueue` said. */
  | { readonly kind: "failed"; readonly problem: string };

export const LISTED_MAX = 2_000_000;
const RUN_MS_MAX = 120_000;
const PROBLEM_CHARS_MAX = 300;
/** A message with as many recipients as Postfix takes in one (1,000), each with a long reason, stays below it. */
const LINE_CHARS_MAX = 2_000_000;

export async function readPostqueue(configDir: string, ports: PostqueuePorts): Promise<PostqueueReading> {
  const [program = "", ...words] = ports.command ?? ["postqueue", "-c", configDir, "-j"];
  const child = spawn(program, words, {
    stdio: ["ignore", "pipe", "pipe"],
    // The option `timeout` would keep its timer, and the process alive, after a start that failed.
    signal: AbortSignal.timeout(RUN_MS_MAX),
    killSignal: "SIGKILL",
    env: systemEnvironment(),
  });
  const said = collectText(child.stderr);
  const end = new Promise<string | undefined>((resolve) => {
    child.once("error", ({ name, message }) =>
      resolve(name === "AbortError" ? `it did not end within ${RUN_MS_MAX / 1000} s` : message),
    );
    child.once("close", (code, signal) => resolve(code === 0 ? undefined : `it ended with ${code ?? signal}`));
  });
  const tally = createTally(ports);
  child.stdout.setEncoding("utf8");
  for await (const line of boundedLines(child.stdout, LINE_CHARS_MAX)) {
    if (tally.note(line)) continue;
    child.kill("SIGKILL");
    break;
  }
  const problem = await end;
  if (problem === undefined || tally.isFull()) return { kind: "read", isWhole: !tally.isFull(), ...tally.counts() };
  return { kind: "failed", problem: said() === "" ? `${program}: ${problem}` : said() };
}

function collectText(stream: NodeJS.ReadableStream): () => string {
  let text = "";
  stream.setEncoding("utf8");
  stream.on("data", (piece: string) => {
    text = (text + piece).slice(0, PROBLEM_CHARS_MAX);
  });
  return () => readableText(text.trim());
}

interface Tally {
  /** False once there are too many. */
  note(line: string): boolean;
  isFull(): boolean;
  counts(): SpoolCounts;
}

function createTally({ random, wallMs }: PostqueuePorts): Tally {
  const queues = new Map<string, number>();
  const samples = {
    queue: createReservoir<ListedMessage>(SAMPLE_FILES_MAX / 2, random),
    deferred: createReservoir<ListedMessage>(SAMPLE_FILES_MAX / 2, random),
  };
  let listed = 0;
  let oldestAtMs = Infinity;
  const isFull = (): boolean => listed > LISTED_MAX;
  const sampled = (side: "queue" | "deferred"): readonly SampledMessage[] => {
    const taken = samples[side].taken();
    return taken.map((message) => ({ ...message, side, weight: samples[side].seen() / taken.length }));
  };
  return {
    note(line) {
      const message = parseListed(line);
      if (message === undefined) return true;
      listed++;
      if (isFull()) return false;
      queues.set(message.queue, (queues.get(message.queue) ?? 0) + 1);
      oldestAtMs = Math.min(oldestAtMs, message.arrivedAtMs);
      const side = sideOf(message.queue);
      if (side !== undefined) samples[side].offer(() => message);
      return true;
    },
    isFull,
    counts() {
      const nowMs = wallMs();
      const count = (...names: string[]): number => names.reduce((sum, name) => sum + (queues.get(name) ?? 0), 0);
      return {
        queue: count("incoming", "active"),
        deferred: count("deferred"),
        hold: count("hold"),
        maildrop: count("maildrop"),
        ...(oldestAtMs === Infinity ? {} : { oldest_age_s: Math.max(0, Math.round((nowMs - oldestAtMs) / 1000)) }),
        shape: shapeOf([...sampled("queue"), ...sampled("deferred")], nowMs),
      };
    },
  };
}

function sideOf(queue: string): "queue" | "deferred" | undefined {
  if (queue === "incoming" || queue === "active") return "queue";
  return queue === "deferred" ? "deferred" : undefined;
}

export interface ListedMessage {
  readonly queue: string;
  readonly arrivedAtMs: number;
  readonly recipients: readonly string[];
}

const QUEUES: ReadonlySet<string> = new Set(["incoming", "active", "deferred", "hold", "maildrop"]);
const RECIPIENTS_MAX = 100;

/** A line of `postqueue -j`; undefined when it is none. */
export function parseListed(line: string): ListedMessage | undefined {
  const { queue_name, arrival_time, recipients } = parseObject(line);
  if (typeof queue_name !== "string" || !QUEUES.has(queue_name)) return undefined;
  if (typeof arrival_time !== "number" || !Number.isSafeInteger(arrival_time)) return undefined;
  const listed = Array.isArray(recipients) ? recipients.slice(0, RECIPIENTS_MAX) : [];
  return { queue: queue_name, arrivedAtMs: arrival_time * 1000, recipients: listed.flatMap(addressOf) };
}

function addressOf(recipient: unknown): readonly string[] {
  if (typeof recipient !== "object" || recipient === null) return [];
  const { address } = recipient as { readonly address?: unknown };
  return typeof address === "string" ? [readableText(address)] : [];
}

function parseObject(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
