// The law for a relay whose queue is measured: keep its working queue at what it drains in a short horizon, so that it
// never idles and never chokes. pace = drain + (target - queue) / tau.
//
// `learnReading` takes one step per reading; whoever sees a reading first takes it, for all dispatchers of the outlet, so
// the state is plain JSON and all times are the database's. `governRelay` tells what follows from the state now. Neither
// knows who shares the relay: that is `sharePace`'s.

import type { Evidence, Reason, ReasonCode } from "../mail/reasons.ts";
import {
  drainPerS,
  fastPerS,
  knownForS,
  learnDrain,
  restartDrain,
  suspectedPerS,
  type DrainSample,
  type DrainState,
} from "./drain-estimate.ts";
import { judgeLimits, noLimits, type LimitFigures, type RelayLimits } from "./relay-limits.ts";
import { threeDigits } from "./three-digits.ts";

export interface RelaySettings {
  /** Of the outlet, for evidence. */
  readonly name?: string;
  /** The relay's working queue is kept at what it drains in this time. */
  readonly horizonMs: number;
  /**
   * A gap between queue and target is closed in a third of the time that the target lasts, and in so much at most.
   * Absent: `TAU_MS_MAX`.
   */
  readonly tauMs?: number;
  readonly maxQueue: number;
  readonly maxPlug: number;
  readonly maxRatePerS?: number;
  /**
   * So many may hang on servers that stay silent and are no queue: a relay for retries always has some. Absent: none.
   */
  readonly hangingMax?: number;
}

export interface RelayFigures extends LimitFigures {
  /** When it was read, by the database's clock. */
  readonly atMs: number;
  /** Absent: the gauge could not count. Then nothing is learnt of the drain, and the state grows stale. */
  readonly queue?: number;
  /** Messages that all dispatchers together have handed over since the reading before. */
  readonly handedSince: number;
}

export interface RelayState {
  readonly atMs: number;
  readonly queue: number;
  readonly deferred?: number;
  /** Handed over since the last reading that the drain was learnt from. */
  readonly handedPending: number;
  /** Absent: nothing is known yet. */
  readonly drain?: DrainState;
  /** The drain was seen at work; else the relay only ever ran empty, and can drain that much at least. */
  readonly isMeasured: boolean;
  /** What the relay drains in its horizon; of a relay that stands still, what it usually did. */
  readonly target: number;
  readonly usualDrainPerS: number;
  /** Since when nothing was drained; absent while it drains. */
  readonly stalledSinceMs?: number;
  /** The queue went far over the target, and is left to drain down to it. */
  readonly isOver: boolean;
  readonly limits: RelayLimits;
  /** Of the reading, for evidence. */
  readonly fsyncMs?: number;
  readonly fsyncUsualMs?: number;
  readonly diskFreeShare?: number;
}

export interface RelayVerdict {
  /** Hand-overs per second by all lanes together. */
  readonly pace: number;
  /** Of these, what bulk may have at most: a full plug slows bulk alone. */
  readonly bulkPace: number;
  /** What transactional mail may have even if the pace is less: somebody waits for it, and a relay is not filled by it. */
  readonly urgentPace: number;
  readonly target: number;
  /** The tightest first; never empty. */
  readonly reasons: readonly Reason[];
}

/** Faster than this a correction only follows the noise of a queue that is read once a second and acted on later. */
const TAU_MS_MIN = 2_000;
const TAU_MS_MAX = 10_000;
const TAUS_PER_HORIZON = 3;
/**
 * The pace of a relay of which nothing is known, or that has run empty. Two readings tell what it makes of it, so even a
 * relay that delivers nothing then holds some 120 messages; less would cost a fast one seconds of its time.
 */
const START_PER_S = 50;
/** A reading has its effect within this time: growth does not fill up a target sooner. */
const GROWTH_TARGET_S = 2;
/** A relay that runs empty is given up to so many times what it was seen to drain. */
const GROWTH_MAX = 4;
/** What a relay that seems to stand still is asked with. Also what is left to bulk when a plug is full. */
const PROBE_PER_S = 1;
/** A relay may always have so many, however slow it is: else it could never show that it has become faster. */
const TARGET_MIN = 10;
/** Far over the target: no more until it has drained. Within it, the feedback alone does it. */
const OVER_SHARE = 1.25;
/** Of the drain, for transactional mail while the queue is left to drain; and how full a relay that stands still gets. */
const URGENT_SHARE = 0.05;
const URGENT_QUEUE_SHARE_MAX = 1.05;
/** A slightly longer queue is noise, and no reason of its own. */
const QUEUE_REASON_SHARE = 1.1;
/** Below this part of its usual drain a relay stands still; above the other it moves again. */
const STALLED_SHARE = 0.03;
const MOVING_SHARE = 0.1;
/** Or if for so long it has moved a little. */
const MOVING_S = 30;
/** A drain that has been seen for so long is the usual one. */
const USUAL_S = 30;
/** A relay that holds less than it drains in this time has run empty meanwhile: what it drained says little. */
const BUSY_S = 0.25;
/** The first measure of a drain wants more in the queue than one message that happens to be on its way. */
const MEASURED_QUEUE_MIN = 5;
/**
 * An estimate of the first few readings may have met a burst: a relay is not filled up by it to the last. A third less
 * still doubles and trebles the pace of a relay that runs empty with each reading.
 */
const YOUNG_S = 6;
const YOUNG_SHARE = 0.65;
/** Two readings closer than this tell nothing of a rate; with a longer gap they tell of a time that is over. */
const SAMPLE_S_MIN = 0.25;
const SAMPLE_S_MAX = 10;
/**
 * Errors of counting, as standard deviations: files that move while they are counted (0.2 % of a queue, measured at
 * 20,000 files in 0.08 s), and what was handed over at the moment of the reading, known between two pulses (5 %).
 */
const COUNT_ERROR_SHARE = 0.002;
const HANDED_ERROR_SHARE = 0.05;
/** An agent writes every second: after so much silence something is wrong with it. */
const STALE_MS = 5_000;
/** While its disk or machine is pressed, a relay holds half as much, and is given no more than it drains. */
const PRESSED_TARGET_SHARE = 0.5;

export function learnReading(
  before: RelayState | undefined,
  given: RelayFigures,
  settings: RelaySettings,
): RelayState | undefined {
  if (!Number.isFinite(given.atMs)) return before;
  const figures = withoutHanging(soundFigures(given), settings);
  const handed = (before?.handedPending ?? 0) + figures.handedSince;
  if (figures.queue === undefined) return before && { ...before, handedPending: handed };
  const s = before === undefined ? Infinity : (figures.atMs - before.atMs) / 1000;
  if (before !== undefined && s < SAMPLE_S_MIN && s >= 0) return { ...before, handedPending: handed };
  const known = before === undefined ? NOTHING_KNOWN : { drain: before.drain, isMeasured: before.isMeasured };
  const learnt = s <= SAMPLE_S_MAX && s > 0 ? learnSample(known, sampleOf(before!, figures, handed, s)) : known;
  return judge(before, figures, learnt, settings);
}

/** What the state says now. Never throws and never gives more than the bounds set by people. */
export function governRelay(state: RelayState | undefined, settings: RelaySettings, nowMs: number): RelayVerdict {
  const limits = state === undefined ? [unmeasured(START_PER_S)] : limitsOf(state, settings, nowMs);
  const { maxRatePerS } = settings;
  if (maxRatePerS !== undefined) {
    limits.push(paceReason("max_rate", maxRatePerS, { max_per_s: threeDigits(maxRatePerS) }));
  }
  const reasons = limits.toSorted((one, other) => one.limit - other.limit);
  const ofAll = reasons.filter(({ code }) => code !== "plug_full");
  const pace = ofAll[0]?.limit ?? 0;
  return {
    pace,
    bulkPace: reasons[0]?.limit ?? 0,
    urgentPace: state === undefined ? 0 : urgentPace(state, settings),
    target: state === undefined ? TARGET_MIN : targetOf(state, settings),
    reasons,
  };
}

/** When the verdict changes by silence alone. */
export function staleAtMs(state: RelayState): number {
  return state.atMs + STALE_MS;
}

// ---- learning --------------------------------------------------------------------------------------------------------

/** More bytes than a disk has, more messages than a relay holds. */
const FIGURE_MAX = 1e15;

/** Gauges read what others write: a figure that can't be one counts as not measured. */
function soundFigures(given: RelayFigures): RelayFigures {
  const sound = Object.entries(given).filter(
    ([, figure]) => (figure as number) >= 0 && (figure as number) <= FIGURE_MAX,
  );
  return { atMs: given.atMs, handedSince: 0, ...Object.fromEntries(sound) };
}

function withoutHanging(figures: RelayFigures, { hangingMax = 0 }: RelaySettings): RelayFigures {
  if (figures.queue === undefined || hangingMax === 0) return figures;
  return { ...figures, queue: Math.max(0, figures.queue - hangingMax) };
}

/**
 * Drained is what left the relay altogether, delivered or bounced: handed over less what its queues have grown by. What
 * moves between the working queue and the deferred one cancels out in the sum, so a plug that builds up does not look
 * like a fast relay, nor one that is tried again like a slow one. What others hand to the same relay counts against its
 * drain, rightly: it is not ours to use.
 */
function sampleOf(before: RelayState, figures: RelayFigures, handed: number, s: number): DrainSample & BusySample {
  const queue = figures.queue!;
  const isDeferredKnown = figures.deferred !== undefined && before.deferred !== undefined;
  const deferredGrowth = isDeferredKnown ? figures.deferred - before.deferred : 0;
  const drained = handed - (queue - before.queue) - deferredGrowth;
  const counting = (countingError(before.queue) + countingError(queue)) * (isDeferredKnown ? 2 : 1);
  return { s, drained, errorSquare: counting + handedError(handed, s), queueMin: Math.min(before.queue, queue) };
}

interface BusySample {
  readonly queueMin: number;
}

interface KnownDrain {
  readonly drain: DrainState | undefined;
  readonly isMeasured: boolean;
}
const NOTHING_KNOWN: KnownDrain = { drain: undefined, isMeasured: false };

function learnSample(before: KnownDrain, { queueMin, ...sample }: DrainSample & BusySample): KnownDrain {
  const known = before.drain === undefined ? 0 : drainPerS(before.drain);
  const isBusy = queueMin > 0 && queueMin >= BUSY_S * known;
  if (isBusy && before.isMeasured && before.drain !== undefined) {
    return { drain: learnDrain(before.drain, sample), isMeasured: true };
  }
  if (isBusy && queueMin >= MEASURED_QUEUE_MIN) return { drain: restartDrain(sample), isMeasured: true };
  // It ran empty: it could have done more, how much nobody knows. So only what is more than known is news.
  if (sample.drained / sample.s <= known) return before;
  return { drain: restartDrain(sample), isMeasured: before.isMeasured && known > 0 };
}

function countingError(queue: number): number {
  return (1 + COUNT_ERROR_SHARE * queue) ** 2;
}

function handedError(handed: number, s: number): number {
  return (HANDED_ERROR_SHARE * (handed / s)) ** 2;
}

function judge(
  before: RelayState | undefined,
  figures: RelayFigures,
  { drain, isMeasured }: KnownDrain,
  settings: RelaySettings,
): RelayState {
  const queue = figures.queue!;
  const limits = judgeLimits(before?.limits ?? noLimits, figures, settings.maxPlug);
  const isStalled = drain !== undefined && isStandingStill(before, queue, drain);
  const usual = isStalled ? before!.usualDrainPerS : usualAfter(before, drain);
  const perS = isStalled || drain === undefined ? usual : drainPerS(drain);
  const target = Math.max(TARGET_MIN, (perS * settings.horizonMs) / 1000);
  const next: RelayState = {
    atMs: figures.atMs,
    queue,
    handedPending: 0,
    target,
    usualDrainPerS: usual,
    isMeasured,
    isOver: false,
    limits,
    ...definedOf({
      drain,
      deferred: figures.deferred,
      fsyncMs: figures.fsync_ms,
      fsyncUsualMs: figures.fsync_usual_ms,
      diskFreeShare: freeShare(figures),
      stalledSinceMs: isStalled ? (before?.stalledSinceMs ?? stalledSince(figures.atMs, drain)) : undefined,
    }),
  };
  const bound = targetOf(next, settings);
  return { ...next, isOver: queue > (before?.isOver === true ? bound : bound * OVER_SHARE) };
}

function isStandingStill(before: RelayState | undefined, queue: number, drain: DrainState): boolean {
  if (before === undefined || queue === 0) return false;
  const usual = before.usualDrainPerS;
  if (before.stalledSinceMs !== undefined) return !isMovingAgain(drain, usual);
  const fast = fastPerS(drain, usual);
  return fast !== undefined && fast <= STALLED_SHARE * usual;
}

/** Of the readings that made it sure. */
function stalledSince(atMs: number, drain: DrainState): number {
  return atMs - Math.min(STALL_SEEN_S, knownForS(drain)) * 1000;
}
const STALL_SEEN_S = 4;

/** By the slow estimate, which noise does not move: an hour has 3,600 readings in which the fast one could be wrong. */
function isMovingAgain(drain: DrainState, usual: number): boolean {
  const share = knownForS(drain) >= MOVING_S ? 2 * STALLED_SHARE : MOVING_SHARE;
  return drainPerS(drain) > share * usual;
}

/** What was seen for long enough, or more than that: an estimate on its way down to a stall must not become the usual. */
function usualAfter(before: RelayState | undefined, drain: DrainState | undefined): number {
  const usual = before?.usualDrainPerS ?? 0;
  if (drain === undefined) return usual;
  return knownForS(drain) >= USUAL_S ? drainPerS(drain) : Math.max(usual, drainPerS(drain));
}

function freeShare({ disk_free_bytes, disk_total_bytes }: RelayFigures): number | undefined {
  if (disk_free_bytes === undefined || disk_total_bytes === undefined || disk_total_bytes === 0) return undefined;
  return Math.min(1, disk_free_bytes / disk_total_bytes);
}

function definedOf<Given extends object>(given: Given): { [Key in keyof Given]?: NonNullable<Given[Key]> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as never;
}

// ---- the verdict -----------------------------------------------------------------------------------------------------

function limitsOf(state: RelayState, settings: RelaySettings, nowMs: number): Reason[] {
  const reasons = [...causes(state, settings), lawReason(state, settings)];
  if (state.limits.isPlugFull) reasons.push(plugFull(state, settings));
  const silentMs = nowMs - state.atMs;
  if (silentMs < STALE_MS) return reasons;
  const blind = stale(reasons, state, settings, silentMs);
  return [
    blind,
    ...reasons.filter(({ code, limit }) => code === "plug_full" || code === "disk_full" || limit >= blind.limit),
  ];
}

/** The law with a given target; with nothing known, a start that cannot fill the relay. */
function lawPace(state: RelayState, target: number, settings: RelaySettings): number {
  if (state.drain === undefined) return state.queue < START_PER_S ? START_PER_S : PROBE_PER_S;
  if (state.stalledSinceMs !== undefined) return stalledPace(state, state.stalledSinceMs, target, settings);
  if (state.isOver) return 0;
  const known = drainPerS(state.drain);
  const drain = suspectedPerS(state.drain) ?? known;
  const pace = drain + (gapOf(state, state.drain, target) * 1000) / tauOf(target, known, settings);
  return Math.max(pace, startPace(state, known, target), state.queue < target ? PROBE_PER_S : 0);
}

/** What it holds shows whether it moves again; only after a horizon without any movement something else is tried. */
function stalledPace(state: RelayState, sinceMs: number, target: number, { horizonMs }: RelaySettings): number {
  const isWaitedFor = state.queue >= TARGET_MIN && state.atMs - sinceMs < horizonMs;
  return isWaitedFor || state.queue >= target ? 0 : PROBE_PER_S;
}

/** To find out what a relay can do that has all done: growing from one reading to the next as its target allows. */
function startPace({ queue, isMeasured }: RelayState, known: number, target: number): number {
  if (queue > 0 && queue >= BUSY_S * known) return 0;
  const grown = Math.min(GROWTH_MAX * known, known + target / GROWTH_TARGET_S);
  return isMeasured ? grown : Math.max(START_PER_S, grown);
}

/** What is missing in the relay's queue, or too much there. */
function gapOf({ queue }: RelayState, drain: DrainState, target: number): number {
  if (queue >= target) return target - queue;
  const trust = Math.min(1, YOUNG_SHARE + (1 - YOUNG_SHARE) * (knownForS(drain) / YOUNG_S));
  return Math.max(0, target * trust - queue);
}

/** A third of the time that the target lasts: with a target that `max_queue` has cut, the horizon is shorter. */
function tauOf(target: number, drain: number, { tauMs }: RelaySettings): number {
  const lastsMs = drain > 0 ? (target * 1000) / drain : Infinity;
  return Math.max(TAU_MS_MIN, Math.min(tauMs ?? TAU_MS_MAX, lastsMs / TAUS_PER_HORIZON));
}

function targetOf(state: RelayState, settings: RelaySettings): number {
  const isPressed = state.limits.isDiskSlow || state.limits.pressed !== undefined;
  return freeTargetOf(state, settings) * (isPressed ? PRESSED_TARGET_SHARE : 1);
}

function freeTargetOf(state: RelayState, { maxQueue }: RelaySettings): number {
  return Math.min(state.target, maxQueue);
}

/** Never more in a relay that stands still than a little over its target, not even for mail that somebody waits for. */
function urgentPace(state: RelayState, { maxRatePerS }: RelaySettings): number {
  const isFull = state.stalledSinceMs !== undefined && state.queue > state.target * URGENT_QUEUE_SHARE_MAX;
  if (state.limits.isDiskFull || isFull) return 0;
  const drain = state.drain === undefined ? 0 : drainPerS(state.drain);
  return Math.min(maxRatePerS ?? Infinity, Math.max(PROBE_PER_S, URGENT_SHARE * drain));
}

function lawReason(state: RelayState, settings: RelaySettings): Reason {
  const target = freeTargetOf(state, settings);
  const pace = lawPace(state, target, settings);
  if (state.drain === undefined || !state.isMeasured) return unmeasured(pace);
  const figures = { queue: state.queue, target: Math.round(target), drain_per_s: threeDigits(drainPerS(state.drain)) };
  if (state.stalledSinceMs !== undefined) {
    const stalled_s = Math.round((state.atMs - state.stalledSinceMs) / 1000);
    return paceReason("relay_stalled", pace, { queue: state.queue, stalled_s });
  }
  if (state.isOver || state.queue > target * QUEUE_REASON_SHARE) return paceReason("relay_queue", pace, figures);
  if (state.target <= settings.maxQueue) return paceReason("relay_drain", pace, figures);
  const { queue, drain_per_s } = figures;
  return paceReason("max_queue", pace, { queue, max_queue: settings.maxQueue, drain_per_s });
}

/** What lies behind a queue that does not drain as it used to: told before the law, of which it is the cause. */
function causes(state: RelayState, settings: RelaySettings): Reason[] {
  const { limits } = state;
  const reasons: Reason[] = [];
  if (limits.isDiskFull) reasons.push(diskFull(state));
  if (limits.isDiskSlow) reasons.push(diskSlow(state, pressedPace(state, settings)));
  if (limits.pressed !== undefined) {
    const { resource, waiting } = limits.pressed;
    const evidence = { resource, waiting_percent: Math.round(waiting * 100) };
    reasons.push(paceReason("machine_pressed", pressedPace(state, settings), evidence));
  }
  return reasons;
}

function pressedPace(state: RelayState, settings: RelaySettings): number {
  const pace = lawPace(state, targetOf(state, settings), settings);
  return Math.min(pace, state.drain === undefined ? START_PER_S : Math.max(PROBE_PER_S, drainPerS(state.drain)));
}

function diskSlow(state: RelayState, pace: number): Reason {
  const evidence = { fsync_ms: threeDigits(state.fsyncMs ?? 0), usual_ms: threeDigits(state.fsyncUsualMs ?? 0) };
  return paceReason("disk_slow", pace, evidence);
}

function diskFull(state: RelayState): Reason {
  const evidence = { free_percent: threeDigits((state.diskFreeShare ?? 0) * 100) };
  return { code: "disk_full", limits: "stop", limit: 0, evidence };
}

function plugFull(state: RelayState, { maxPlug }: RelaySettings): Reason {
  return paceReason("plug_full", PROBE_PER_S, { deferred: state.deferred ?? maxPlug, max_plug: maxPlug });
}

/**
 * Blind, the relay gets what it was last seen to drain, and no more than it was last given: its queue then stays about as
 * it was. A probe is left of a pace of zero, or an agent that fell silent at the wrong moment would stop all mail.
 */
function stale(reasons: readonly Reason[], state: RelayState, settings: RelaySettings, silentMs: number): Reason {
  const last = Math.min(...reasons.filter(({ code }) => code !== "plug_full").map(({ limit }) => limit));
  const drain = state.drain === undefined ? PROBE_PER_S : drainPerS(state.drain);
  const pace = state.limits.isDiskFull ? 0 : Math.max(PROBE_PER_S, Math.min(last, drain));
  const evidence = { outlet: settings.name ?? "the outlet", silent_s: Math.round(silentMs / 1000) };
  return paceReason("readings_stale", pace, evidence);
}

function unmeasured(pace: number): Reason {
  return paceReason("relay_unmeasured", pace, { pace_per_s: threeDigits(pace) });
}

function paceReason(code: ReasonCode, limit: number, evidence: Evidence): Reason {
  return { code, limits: "pace", limit, evidence };
}
