// Sees when a refusal is not about the recipient: when too large a part of the answers of a destination, or of an
// outlet, are refusals of policy or reputation. Then bulk stops there and a person decides, since going on would turn a
// blocked sender into a list of bounces. Pure: answers and their time in, a trip out.

import type { AttemptResult } from "../mail/attempt.ts";
import type { Outcome } from "../mail/outcome.ts";

export interface RefusalWatch {
  /** One answer of `name`. With it, too many may be refusals. */
  note(name: string, isRefusal: boolean, nowMs: number): RefusalCount & { readonly isTripped: boolean };
  /** What counted before counts no more: a person has decided. */
  forget(name: string): void;
}

export interface RefusalCount {
  readonly answers: number;
  readonly refusals: number;
}

/** Fewer answers than this say nothing of a share of a few percent. */
export const ANSWERS_MIN = 20;
/** Counted in two halves, so that an answer counts for 5 to 10 minutes. */
const HALF_WINDOW_MS = 300_000;
/** Names that are counted in one half; about 150 bytes each. What comes later waits for the next half. */
const NAMES_MAX = 50_000;

export function createRefusalWatch(shareMax: number): RefusalWatch {
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
      const answers = counter.answers + (before.get(name)?.answers ?? 0);
      const refusals = counter.refusals + (before.get(name)?.refusals ?? 0);
      return { answers, refusals, isTripped: isRefusal && answers >= ANSWERS_MIN && refusals > shareMax * answers };
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

/**
 * A permanent refusal that names no recipient: of policy (5.7.z), of the sender, of the message, or a bare 5yz to MAIL,
 * DATA or the content. What we did not offer, the server has not refused.
 */
export function isPolicyRefusal(result: AttemptResult, outcome: Outcome): boolean {
  return result.kind === "replied" && outcome.kind === "bounced" && outcome.scope === "message";
}
