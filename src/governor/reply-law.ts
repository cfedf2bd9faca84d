// What an outlet's own replies say of it, also where no gauge looks at its queue: slower than usual, or pushing back
// (4yz, 421). Each cuts the window by a factor and gives it back step by step. Pure; the state is plain JSON, learnt from
// once a second, so that it costs nothing per message.
//
// Slow is judged against what was usual with as many hand-overs open: a relay that takes one after another answers forty
// open ones forty times later than a single one, and is no worse for that.

import type { Reason } from "../mail/reasons.ts";

/** The answers of one second. */
export interface ReplySample {
  readonly atMs: number;
  /** Answers to hand-overs, of any kind. */
  readonly answers: number;
  /** Mean or median from the start of a hand-over to its answer. */
  readonly latencyMs: number;
  /** Of these answers, temporary refusals (4yz) that the outlet is to blame for. */
  readonly temporary: number;
  /** Connections that the other side closed by 421. */
  readonly closings: number;
  /** The last such reply, for people. */
  readonly reply?: string;
}

export interface ReplyState {
  readonly atMs: number;
  /** Usual latency by how many are open: from 2^n to 2^(n+1); null where that was never seen. */
  readonly usualMs: readonly (number | null)[];
  readonly slowFactor: number;
  /** Of the last sample that was judged slow, for evidence. */
  readonly slowMs?: number;
  readonly slowUsualMs?: number;
  readonly pushFactor: number;
  /** Counts of about the last `PUSH_MEMORY_S`. */
  readonly answers: number;
  readonly pushes: number;
  readonly reply?: string;
}

/** Several times the usual, and at least so much more that it can't be our own event loop or a neighbour's moment. */
const SLOW_TIMES = 3;
const SLOW_MS_MIN = 50;
/** Seconds in which the usual follows while all is well, and while it is slow: what lasts for long becomes usual. */
const USUAL_S = 30;
const USUAL_SLOW_S = 900;
/** The window halves in two slow seconds, and is back from there in five good ones. */
const SLOW_CUT = 0.7;
const GROWTH = 1.15;
/** The window by the factors alone; `replyWindow` leaves one slot of any window. */
const FACTOR_MIN = 1 / 1024;
/** Over so many seconds 4yz and 421 are counted; above this share, and so many, the window is cut. */
const PUSH_MEMORY_S = 30;
const PUSH_SHARE_MAX = 0.05;
const PUSHES_MIN = 5;
const PUSH_CUT = 0.8;
/** Up to 2^14 open: more than any outlet is configured for. */
const LOADS = 15;
/** A factor above this limits nothing worth telling. */
const FACTOR_TOLD_MAX = 0.99;

export function learnReplies(before: ReplyState | undefined, given: ReplySample): ReplyState {
  const known = before ?? freshReplies(given.atMs);
  const sample = soundSample(given);
  const passedS = Math.max(0, (given.atMs - known.atMs) / 1000);
  if (!Number.isFinite(passedS)) return known;
  return { ...known, ...learnLatency(known, sample), ...learnPushes(known, sample, passedS), atMs: given.atMs };
}

/** The window that replies leave of a given one: one slot at least, so that they can tell when it is well again. */
export function replyWindow(state: ReplyState | undefined, window: number): number {
  const factor = state === undefined ? 1 : Math.min(state.slowFactor, state.pushFactor);
  return cut(window, factor);
}

/** Why, as far as replies cut the window. */
export function replyReasons(state: ReplyState | undefined, window: number): readonly Reason[] {
  if (state === undefined) return [];
  const reasons: Reason[] = [];
  if (state.pushFactor <= FACTOR_TOLD_MAX) {
    const share_percent = Math.round((100 * state.pushes) / Math.max(1, state.answers));
    const evidence = { share_percent, ...(state.reply === undefined ? {} : { reply: state.reply }) };
    reasons.push({ code: "relay_pushes_back", limits: "window", limit: cut(window, state.pushFactor), evidence });
  }
  if (state.slowFactor <= FACTOR_TOLD_MAX) {
    const evidence = { reply_ms: Math.round(state.slowMs ?? 0), usual_ms: Math.round(state.slowUsualMs ?? 0) };
    reasons.push({ code: "reply_slow", limits: "window", limit: cut(window, state.slowFactor), evidence });
  }
  return reasons;
}

/** What is usual with about so many open; undefined before anything was seen. */
export function usualLatencyMs({ usualMs }: ReplyState, open: number): number | undefined {
  const at = loadOf(open);
  const exact = usualMs[at];
  if (typeof exact === "number") return exact;
  const below = usualMs.findLastIndex((usual, load) => load < at && usual !== null);
  const above = usualMs.findIndex((usual, load) => load > at && usual !== null);
  // With more open it may take as many times longer; with fewer it does not take longer.
  const fromBelow = below === -1 ? Infinity : usualMs[below]! * 2 ** (at - below);
  const fromAbove = above === -1 ? Infinity : usualMs[above]!;
  const usual = Math.min(fromBelow, fromAbove);
  return usual === Infinity ? undefined : usual;
}

function freshReplies(atMs: number): ReplyState {
  const usualMs = Array.from({ length: LOADS }, () => null);
  return { atMs, usualMs, slowFactor: 1, pushFactor: 1, answers: 0, pushes: 0 };
}

function soundSample(given: ReplySample): ReplySample {
  const sound = (figure: number): number => (Number.isFinite(figure) && figure > 0 ? figure : 0);
  return {
    ...given,
    answers: sound(given.answers),
    latencyMs: sound(given.latencyMs),
    temporary: sound(given.temporary),
    closings: sound(given.closings),
  };
}

/** Little's law: so many were open on average, if a second's answers took so long each. */
function openOf({ answers, latencyMs }: ReplySample): number {
  return (answers * latencyMs) / 1000;
}

function loadOf(open: number): number {
  return Math.min(LOADS - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, open)))));
}

function learnLatency(known: ReplyState, sample: ReplySample): Partial<ReplyState> {
  // Without an answer it is not known whether nothing was asked or nothing was answered.
  if (sample.answers === 0) return {};
  const { latencyMs } = sample;
  const usual = usualLatencyMs(known, openOf(sample));
  const isSlow = usual !== undefined && latencyMs > Math.max(SLOW_TIMES * usual, usual + SLOW_MS_MIN);
  const usualMs = followUsual(known.usualMs, loadOf(openOf(sample)), latencyMs, usual, isSlow);
  if (!isSlow) return { usualMs, slowFactor: Math.min(1, known.slowFactor * GROWTH) };
  const slowFactor = Math.max(FACTOR_MIN, known.slowFactor * SLOW_CUT);
  return { usualMs, slowFactor, slowMs: latencyMs, slowUsualMs: usual };
}

function followUsual(
  usualMs: ReplyState["usualMs"],
  load: number,
  latencyMs: number,
  usual: number | undefined,
  isSlow: boolean,
): ReplyState["usualMs"] {
  const from = usualMs[load] ?? (isSlow ? usual : undefined) ?? latencyMs;
  const next = from + (latencyMs - from) / (isSlow ? USUAL_SLOW_S : USUAL_S);
  return usualMs.map((each, at) => (at === load ? next : each));
}

function learnPushes(known: ReplyState, sample: ReplySample, passedS: number): Partial<ReplyState> {
  const keep = Math.exp(-passedS / PUSH_MEMORY_S);
  const newPushes = sample.temporary + sample.closings;
  const answers = known.answers * keep + sample.answers + sample.closings;
  const pushes = known.pushes * keep + newPushes;
  const isPushing = newPushes > 0 && pushes >= PUSHES_MIN && pushes > PUSH_SHARE_MAX * answers;
  const cutOrGrown = isPushing ? known.pushFactor * PUSH_CUT : known.pushFactor * GROWTH;
  const reply = sample.reply ?? known.reply;
  return {
    answers,
    pushes,
    pushFactor: Math.min(1, Math.max(FACTOR_MIN, cutOrGrown)),
    ...(reply === undefined ? {} : { reply }),
  };
}

function cut(window: number, factor: number): number {
  return Math.min(window, Math.max(1, Math.floor(window * factor)));
}
