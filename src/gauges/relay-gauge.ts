// The relay's queue, counted: Postfix's by walking its spool, or by `postqueue` where the agent may not read that; any
// other relay's by a command of its own. Says which way it took.

import type { RelayReading } from "../mail/reading.ts";
import { readCommandGauge } from "../mailers/command-gauge.ts";
import { readPostqueue } from "../mailers/postfix/postqueue.ts";
import { createSpoolGauge } from "../mailers/postfix/spool-gauge.ts";
import type { SpoolCounts } from "../mailers/postfix/spool.ts";
import type { Clock } from "../platform/clock.ts";
import type { Random } from "../platform/random.ts";

export type QueueReading = Pick<
  RelayReading,
  "queue" | "deferred" | "oldest_age_s" | "shape" | "queue_source" | "queue_lifetime_s" | "problems"
>;

export type RelayGauge = () => Promise<QueueReading>;

/** Asking `postqueue` loads the relay: 3 s for 20,000 messages. So it rests for as many times its cost. */
const POSTQUEUE_REST_FACTOR = 4;

export function createPostfixGauge(
  given: { readonly configDir: string; readonly queueDir: string; readonly lifetimeMs: number },
  ports: { readonly random: Random; readonly clock: Clock },
): RelayGauge {
  const { random, clock } = ports;
  const spool = createSpoolGauge(given.queueDir, {
    random,
    wallMs: clock.wallMs,
    monotonicMs: clock.monotonicMs,
  });
  let last: { readonly reading: QueueReading; readonly againAtMs: number } | undefined;
  const askPostqueue = async (why: string): Promise<QueueReading> => {
    const beganAtMs = clock.monotonicMs();
    if (last !== undefined && beganAtMs < last.againAtMs) return last.reading;
    const answer = await readPostqueue(given.configDir, { random, wallMs: clock.wallMs });
    if (answer.kind === "failed") throw new Error(`${why}, and postqueue failed: ${answer.problem}`);
    const problems = [why, ...(answer.isWhole ? [] : ["postqueue listed more than were counted"])];
    const reading = { ...queueOf(answer), ...lifetime, queue_source: "postqueue" as const, problems };
    const endedAtMs = clock.monotonicMs();
    last = { reading, againAtMs: endedAtMs + POSTQUEUE_REST_FACTOR * (endedAtMs - beganAtMs) };
    return reading;
  };
  const lifetime = { queue_lifetime_s: Math.round(given.lifetimeMs / 1000) };
  return async () => {
    const read = await spool.read();
    switch (read.kind) {
      case "read":
        return { ...queueOf(read), ...lifetime, queue_source: "spool" };
      case "denied":
        return await askPostqueue(`${read.path} may not be read: give the agent CAP_DAC_READ_SEARCH`);
      case "missing":
        throw new Error(`${read.path} is not there`);
    }
  };
}

/** `command`: what the configuration names. */
export function createCommandGauge(command: readonly string[]): RelayGauge {
  return async () => {
    const answer = await readCommandGauge(command);
    if (answer.kind === "failed") throw new Error(answer.problem);
    return answer.reading;
  };
}

/** Mail on hold waits for a person, and is neither worked on nor kept being tried. */
function queueOf({ queue, deferred, oldest_age_s, shape }: SpoolCounts): QueueReading {
  return { queue, deferred, ...(oldest_age_s === undefined ? {} : { oldest_age_s }), shape };
}
