// Sees when a refusal is not about the recipient: when too large a part of the answers of a destination, or of an
// outlet, are refusals of policy or reputation. Then bulk stops there and a person decides, since going on would turn a
// blocked sender into a list of bounces. Pure: answers and their time in, a trip out.

import type { AttemptResult } from "../mail/attempt.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { Reason } from "../mail/reasons.ts";

export interface RefusalWatch {
  /** One answer by way of the outlet, of the destination: what counts now, and what becomes too much with it. */
  note(answer: Answer, nowMs: number): NotedAnswer;
  /** What counted before counts no more: a person has decided. */
  forget(target: RefusalTarget): void;
}

export interface Answer {
  readonly outlet: string;
  readonly destination: string;
  readonly isRefusal: boolean;
  /** Share of refusals, of 1, from which on bulk stops. */
  readonly shareMax: number;
}

export interface RefusalTarget {
  readonly kind: "outlet" | "destination";
  readonly name: string;
}

export interface RefusalCount {
  readonly answers: number;
  readonly refusals: number;
}

export interface NotedAnswer {
  /** With this answer it is more than the share. */
  readonly tripped: readonly (RefusalTarget & RefusalCount)[];
  /** The destination gave enough answers to tell a refusal of this message from one of the sender. */
  readonly isTelling: boolean;
}

/** Fewer answers than this say nothing of a share of a few percent. */
const ANSWERS_MIN = 20;
/** Counted in two halves, so that an answer counts for 5 to 10 minutes. */
const HALF_WINDOW_MS = 300_000;
/** Names that are counted in one half; about 150 bytes each. What comes later waits for the next half. */
const NAMES_MAX = 50_000;

export function createRefusalWatch(): RefusalWatch {
  const counters = { outlet: createCounters(), destination: createCounters() };
  const countedAtMs = new Map<string, number>();
  /** One destination counts once against the outlet: else a large one that refuses would stop all the others. */
  const isNewAgainst = (outlet: string, destination: string, nowMs: number): boolean => {
    const key = `${outlet} ${destination}`;
    if (nowMs - (countedAtMs.get(key) ?? -Infinity) < 2 * HALF_WINDOW_MS) return false;
    if (countedAtMs.size >= NAMES_MAX) countedAtMs.clear();
    countedAtMs.set(key, nowMs);
    return true;
  };
  return {
    note({ outlet, destination, isRefusal, shareMax }, nowMs) {
      const here = counters.destination.note(destination, isRefusal, nowMs);
      const there = counters.outlet.note(outlet, isRefusal && isNewAgainst(outlet, destination, nowMs), nowMs);
      const isTooMuch = ({ answers, refusals }: RefusalCount): boolean =>
        isRefusal && answers >= ANSWERS_MIN && refusals > shareMax * answers;
      return {
        tripped: [
          ...(isTooMuch(there) ? [{ kind: "outlet", name: outlet, ...there } as const] : []),
          ...(isTooMuch(here) ? [{ kind: "destination", name: destination, ...here } as const] : []),
        ],
        isTelling: here.answers >= ANSWERS_MIN,
      };
    },
    forget({ kind, name }) {
      counters[kind].forget(name);
    },
  };
}

interface Counters {
  note(name: string, isRefusal: boolean, nowMs: number): RefusalCount;
  forget(name: string): void;
}

function createCounters(): Counters {
  let halves: readonly [Map<string, Counter>, Map<string, Counter>] = [new Map(), new Map()];
  let sinceMs = 0;
  const turn = (nowMs: number): void => {
    if (nowMs - sinceMs < HALF_WINDOW_MS) return;
    halves = [new Map(), nowMs - sinceMs < 2 * HALF_WINDOW_MS ? halves[0] : new Map<string, Counter>()];
    sinceMs = nowMs;
  };
  return {
    note(name, isRefusal, nowMs) {
      turn(nowMs);
      const [now, before] = halves;
      const counter = now.get(name) ?? { answers: 0, refusals: 0 };
      counter.answers++;
      if (isRefusal) counter.refusals++;
      if (now.size < NAMES_MAX || now.has(name)) now.set(name, counter);
      const older = before.get(name);
      return {
        answers: counter.answers + (older?.answers ?? 0),
        refusals: counter.refusals + (older?.refusals ?? 0),
      };
    },
    forget(name) {
      for (const half of halves) half.delete(name);
    },
  };
}

interface Counter {
  answers: number;
  refusals: number;
}

/** The reason of a stop, for `explain` and whoever resumes it. */
export function refusalReason(
  { kind, name, answers, refusals }: RefusalTarget & RefusalCount,
  shareMax: number,
  reply: string,
): Reason {
  const evidence = { scope: kind, name, refusals, answers, max_percent: Math.round(shareMax * 1000) / 10, reply };
  return { code: "policy_refusals", limits: "stop", limit: 0, evidence };
}

/**
 * What becomes of a refusal of policy in bulk that nothing has stopped yet: it bounces when it is known to be about this
 * message, or was refused so often that it does not matter; else it is tried once more.
 */
export function isBounceAlready(isTelling: boolean, attempt: number): boolean {
  return isTelling || attempt >= TRIES_MAX;
}

const TRIES_MAX = 3;
/** Long enough for a campaign to bring the answers that tell, short enough not to matter to one message. */
export const REFUSAL_WAIT_MS = 60_000;

/**
 * A permanent refusal that names no recipient: of policy (5.7.z), of the sender, of the message, or a bare 5yz to MAIL,
 * DATA or the content. What we did not offer, the server has not refused.
 */
export function isPolicyRefusal(result: AttemptResult, outcome: Outcome): boolean {
  return result.kind === "replied" && outcome.kind === "bounced" && outcome.scope === "message";
}
