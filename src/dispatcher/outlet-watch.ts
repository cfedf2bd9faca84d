// What one dispatcher sees of one outlet: what it started and what was taken of it, how long answers take, and whether
// mail was kept back. Counted for each message by a few additions, learnt from once a second.

import { learnReplies, type ReplyState } from "../governor/reply-law.ts";
import type { AttemptResult } from "../mail/attempt.ts";
import type { Outcome } from "../mail/outcome.ts";
import { printReply } from "../mail/reply.ts";

export interface OutletWatch {
  took(): void;
  finished(result: AttemptResult, outcome: Outcome, tookMs: number): void;
  /** Mail was there, and the verdict kept it back. */
  keptBack(): void;
  /** To be called several times a second. */
  turn(nowMs: number, databaseMs: number): void;
  /** Hand-overs started per second, over about the last second. */
  readonly takenPerS: number;
  /** Messages that the outlet has taken, as of an instant of the database's clock. */
  handedAt(databaseMs: number): number;
  readonly handedTotal: number;
  /** Within the last second or two, and for longer than a moment. */
  readonly wasKeptBack: boolean;
  readonly replies: ReplyState | undefined;
}

const RATE_MS = 1000;
const LEARN_MS = 1000;
/** A second longer than pulses and readings are apart: whoever wants more has said so in each of them. */
const KEPT_BACK_MS = 2000;
/**
 * What was kept back for less is a pair of messages between two tokens, and nobody's want: two password resets at once
 * would take a relay's whole pace from bulk for seconds. A gap as long ends it.
 */
const KEPT_BACK_MS_MIN = 400;
/** Readings come a second apart and are seen within another; the rest is for a slow database. */
const SAMPLES_MS = 10_000;

export function createOutletWatch(nowMs: number): OutletWatch {
  let turnedAtMs = nowMs;
  let learntAtMs = nowMs;
  let keptBackAtMs = -Infinity;
  let keptSinceMs = -Infinity;
  let keptLastMs = -Infinity;
  let [taken, takenPerS, handedTotal] = [0, 0, 0];
  let isKeptBack = false;
  let seconds = freshCounts();
  let replies: ReplyState | undefined;
  let samples: { readonly databaseMs: number; readonly handed: number }[] = [];

  const noteKeptBack = (atMs: number): void => {
    if (atMs - keptLastMs > KEPT_BACK_MS_MIN) keptSinceMs = atMs;
    keptLastMs = atMs;
    if (atMs - keptSinceMs >= KEPT_BACK_MS_MIN) keptBackAtMs = atMs;
  };

  return {
    took() {
      taken++;
    },
    finished(result, outcome, tookMs) {
      if (outcome.kind === "sent") handedTotal++;
      if (result.kind !== "replied") return;
      seconds.answers++;
      seconds.latencySumMs += tookMs;
      if (result.reply.code === 421) seconds.closings++;
      else if (outcome.kind === "deferred" && outcome.scope === "outlet") seconds.temporary++;
      else return;
      seconds.reply = printReply(result.reply);
    },
    keptBack() {
      isKeptBack = true;
    },
    turn(atMs, databaseMs) {
      const passedMs = Math.max(1, atMs - turnedAtMs);
      takenPerS += ((taken * 1000) / passedMs - takenPerS) * (1 - Math.exp(-passedMs / RATE_MS));
      taken = 0;
      turnedAtMs = atMs;
      if (isKeptBack) noteKeptBack(atMs);
      isKeptBack = false;
      samples = [
        ...samples.filter((one) => databaseMs - one.databaseMs < SAMPLES_MS),
        { databaseMs, handed: handedTotal },
      ];
      if (atMs - learntAtMs < LEARN_MS) return;
      learntAtMs = atMs;
      replies = learnReplies(replies, sampleOf(seconds, atMs));
      seconds = freshCounts();
    },
    get takenPerS() {
      return takenPerS;
    },
    handedAt(databaseMs) {
      const before = samples.findLast((one) => one.databaseMs <= databaseMs);
      const after = samples.find((one) => one.databaseMs > databaseMs);
      if (before === undefined) return after?.handed ?? handedTotal;
      if (after === undefined) return handedTotal;
      const part = (databaseMs - before.databaseMs) / (after.databaseMs - before.databaseMs);
      return before.handed + (after.handed - before.handed) * part;
    },
    get handedTotal() {
      return handedTotal;
    },
    get wasKeptBack() {
      return turnedAtMs - keptBackAtMs < KEPT_BACK_MS;
    },
    get replies() {
      return replies;
    },
  };
}

interface Counts {
  answers: number;
  latencySumMs: number;
  temporary: number;
  closings: number;
  reply: string | undefined;
}

function freshCounts(): Counts {
  return { answers: 0, latencySumMs: 0, temporary: 0, closings: 0, reply: undefined };
}

function sampleOf({ answers, latencySumMs, temporary, closings, reply }: Counts, atMs: number) {
  const latencyMs = answers === 0 ? 0 : latencySumMs / answers;
  return { atMs, answers, latencyMs, temporary, closings, ...(reply === undefined ? {} : { reply }) };
}
