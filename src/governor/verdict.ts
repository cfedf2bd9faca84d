// The governor: how many hand-overs may be open on an outlet or to a destination, how many may start per second, and
// why. Pure: readings, settings and the time in, a verdict out.
//
// The window is the configured one, cut to the lane's share and by what replies say; zero after a failure that the outlet
// (or the destination) is to blame for; one probe when its wait is over; the rest after the first success. The pace is
// what a measured relay drains and what people allow, shared with the others who use it. The parts have files of their
// own: relay-law, reply-law, share-pace, outlet-pace.

import type { Evidence, Reason, ReasonCode } from "../mail/reasons.ts";
import { PROBE_FIRST_MS, PROBE_MS_MAX } from "../mail/trial.ts";
import { paceOutlet, type OutletPace, type PaceSettings } from "./outlet-pace.ts";
import { replyReasons, usualLatencyMs, type ReplyState } from "./reply-law.ts";

/** What is known of an outlet or a destination. Plain data; `recordSuccess` and `recordFailure` make the next one. */
interface Readings<Target extends GovernedKind> {
  readonly target: Target;
  /** Failures since the last success that waited for a probe: those of one wave count once. */
  readonly failuresInARow: number;
  readonly lastFailureAtMs?: number;
  readonly lastFailureReason?: string;
  readonly lastFailureKind?: FailureKind;
}
/** What kept an outlet from taking mail, as far as one can tell; each kind has a reason of its own. */
export type FailureKind = "unreachable" | "credentials" | "tls" | "other";
type GovernedKind = "outlet" | "destination";
export type OutletReadings = Readings<"outlet">;
export type DestinationReadings = Readings<"destination">;

export interface GovernorSettings extends PaceSettings {
  /** Of the outlet or destination, for evidence. */
  readonly name?: string;
  /** Hand-overs open at once, from the configuration. */
  readonly openMax: number;
  /** The lane's part of it, above 0 and up to 1. Absent: all of it. */
  readonly share?: number;
  /** True while this lane gives way to one with more urgent mail. */
  readonly gaveWay?: boolean;
  /** What the outlet's replies have taught this dispatcher. */
  readonly replies?: ReplyState;
}

export interface Verdict {
  /** Hand-overs that may be open at once. */
  readonly window: number;
  /** Hand-overs that may start per second; Infinity: not limited. */
  readonly pace: number;
  /** What limits, the tightest limit first: windows and paces compared by what a window lets through. Never empty. */
  readonly reasons: readonly Reason[];
  /** When the verdict changes by time alone. Absent: only a new reading changes it. */
  readonly changesAtMs?: number;
}

export function governOutlet(readings: OutletReadings, settings: GovernorSettings, nowMs: number): Verdict {
  const byWindow = govern(readings, settings, nowMs);
  const byPace = paceOutlet(settings);
  const changesAtMs = earliest(byWindow.changesAtMs, byPace.changesInMs, nowMs);
  return {
    window: byWindow.window,
    pace: byPace.pace,
    reasons: mergeReasons(byWindow.reasons, byPace, settings.replies),
    ...(changesAtMs === undefined ? {} : { changesAtMs }),
  };
}

export function governDestination(readings: DestinationReadings, settings: GovernorSettings, nowMs: number): Verdict {
  return govern(readings, settings, nowMs);
}

export const healthyOutlet: OutletReadings = { target: "outlet", failuresInARow: 0 };
export const healthyDestination: DestinationReadings = { target: "destination", failuresInARow: 0 };
const HEALTHY: { readonly [Target in GovernedKind]: Readings<Target> } = {
  outlet: healthyOutlet,
  destination: healthyDestination,
};

/** It answered: any outcome that it is not to blame for. Always the same object, so that it may be compared by `===`. */
export function recordSuccess<Target extends GovernedKind>(readings: Readings<Target>): Readings<Target> {
  return HEALTHY[readings.target];
}

/**
 * An outcome whose scope it is. What fails before the probe's turn was started before the stop and is the same wave: it
 * counts once, else forty open hand-overs that fail together would stand for forty probes.
 */
export function recordFailure<Target extends GovernedKind>(
  readings: Readings<Target>,
  atMs: number,
  reason: string,
  kind: FailureKind = "other",
): Readings<Target> {
  const last = { lastFailureReason: reason, lastFailureKind: kind };
  const probeAt = probeAtMs(readings);
  if (probeAt !== undefined && atMs < probeAt) return { ...readings, ...last };
  return {
    target: readings.target,
    failuresInARow: readings.failuresInARow + 1,
    lastFailureAtMs: atMs,
    ...last,
  };
}

/** When one probe may start; undefined while nothing fails. */
export function probeAtMs(readings: Readings<GovernedKind>): number | undefined {
  if (readings.failuresInARow === 0 || readings.lastFailureAtMs === undefined) return undefined;
  const { firstMs, capMs } =
    readings.lastFailureKind === "credentials" ? CREDENTIAL_WAITS : PROBE_WAITS[readings.target];
  return readings.lastFailureAtMs + Math.min(capMs, firstMs * 2 ** (readings.failuresInARow - 1));
}

/**
 * This dispatcher's part of a window that several live dispatchers of the lane share. The parts sum to the window; with
 * fewer slots than dispatchers the first ones have one each, so a probe goes to ordinal 0 alone.
 */
export function divideWindow(window: number, dispatchers: number, ordinal: number): number {
  if (!Number.isInteger(dispatchers) || !Number.isInteger(ordinal) || ordinal < 0 || ordinal >= dispatchers) {
    throw new RangeError(`there is no dispatcher ${ordinal} of ${dispatchers}`);
  }
  return Math.floor(window / dispatchers) + (ordinal < window % dispatchers ? 1 : 0);
}

/**
 * An outlet is mostly a relay next door that restarts within seconds: asking it every few seconds costs nothing, and mail
 * goes on as soon after. A destination is somebody else's server. And who is asked with a wrong password again and again
 * may lock the account.
 */
const PROBE_WAITS: Readonly<Record<GovernedKind, ProbeWait>> = {
  outlet: { firstMs: 1_000, capMs: 8_000 },
  destination: { firstMs: PROBE_FIRST_MS, capMs: PROBE_MS_MAX },
};
const CREDENTIAL_WAITS: ProbeWait = { firstMs: 2_000, capMs: 60_000 };

interface ProbeWait {
  readonly firstMs: number;
  readonly capMs: number;
}

/** Bulk leaves this part of its window to transactional mail while that waits. */
const GAVE_WAY_FACTOR = 0.5;

function govern(readings: Readings<GovernedKind>, settings: GovernorSettings, nowMs: number): Verdict {
  const steady = steadyReasons(settings);
  const probeAt = probeAtMs(readings);
  if (probeAt === undefined) return bind(steady);
  if (nowMs >= probeAt) {
    const probing = probingReason(readings, settings);
    // What the probe is about stands behind it.
    const { code, evidence } = failingReason(readings, settings, 0);
    const failing = windowReason(code, probing.limit, evidence);
    return bind([probing, failing, ...steady]);
  }
  return { ...bind([failingReason(readings, settings, probeAt - nowMs), ...steady]), changesAtMs: probeAt };
}

/** The tightest limit binds; equal ones keep their order, in which the later decision stands first. */
function bind(reasons: readonly Reason[]): Verdict {
  const ordered = reasons.toSorted((one, other) => one.limit - other.limit);
  return { window: ordered[0]?.limit ?? 0, pace: Infinity, reasons: ordered };
}

/** What limits while nothing fails. A lane keeps at least one slot of an open window, however small its share. */
function steadyReasons({ openMax, share, gaveWay, replies }: GovernorSettings): readonly Reason[] {
  const atLeastOne = (window: number) => Math.min(openMax, Math.max(1, Math.floor(window)));
  const reasons: Reason[] = [windowReason("window_fixed", openMax, { max_open: openMax })];
  let window = openMax;
  if (share !== undefined && share < 1) {
    window = atLeastOne(openMax * share);
    const evidence = { share_percent: Math.round(share * 100), max_open: openMax };
    reasons.unshift(windowReason("lane_share", window, evidence));
  }
  if (gaveWay === true) {
    window = atLeastOne(window * GAVE_WAY_FACTOR);
    reasons.unshift(windowReason("gave_way", window, {}));
  }
  return [...replyReasons(replies, window), ...reasons];
}

/**
 * A window of so many lets through so many per second as answers take their time (Little's law); by that it is compared
 * with a pace. Equal ones: what stops the window stands first.
 */
function mergeReasons(
  windows: readonly Reason[],
  { reasons }: OutletPace,
  replies: ReplyState | undefined,
): readonly Reason[] {
  if (reasons.length === 0) return windows;
  const binding = windows[0]!.limit;
  const latencyMs = (replies && usualLatencyMs(replies, binding)) ?? ASSUMED_LATENCY_MS;
  const windowPerS = (binding * 1000) / Math.max(1, latencyMs);
  return windowPerS <= reasons[0]!.limit ? [...windows, ...reasons] : placeBetween(windows, reasons, latencyMs);
}

/** Keeps the order within both, which is that of their limits. */
function placeBetween(windows: readonly Reason[], paces: readonly Reason[], latencyMs: number): readonly Reason[] {
  const perS = ({ limits, limit }: Reason): number =>
    limits === "window" ? (limit * 1000) / Math.max(1, latencyMs) : limit;
  return [paces[0]!, ...[...paces.slice(1), ...windows].toSorted((one, other) => perS(one) - perS(other))];
}

/** Of a relay's answer to a final dot behind one fsync, until answers are seen. */
const ASSUMED_LATENCY_MS = 20;

function earliest(atMs: number | undefined, inMs: number | undefined, nowMs: number): number | undefined {
  if (inMs === undefined) return atMs;
  return Math.min(atMs ?? Infinity, nowMs + inMs);
}

function windowReason(code: ReasonCode, limit: number, evidence: Evidence): Reason {
  return { code, limits: "window", limit, evidence };
}

function probingReason(readings: Readings<GovernedKind>, { openMax }: GovernorSettings): Reason {
  return windowReason("probing", Math.min(1, openMax), failureEvidence(readings));
}

function failingReason(readings: Readings<GovernedKind>, { name }: GovernorSettings, waitMs: number): Reason {
  const evidence = { ...failureEvidence(readings), probe_in_s: Math.ceil(waitMs / 1000) };
  if (readings.target === "destination") {
    const destination = name ?? "the destination";
    return { code: "destination_failing", limits: "stop", limit: 0, evidence: { destination, ...evidence } };
  }
  return { code: OUTLET_FAILING[readings.lastFailureKind ?? "other"], limits: "stop", limit: 0, evidence };
}

const OUTLET_FAILING = {
  unreachable: "relay_unreachable",
  credentials: "credentials_refused",
  tls: "tls_refused",
  other: "outlet_failing",
} as const satisfies Readonly<Record<FailureKind, ReasonCode>>;

function failureEvidence({ failuresInARow, lastFailureReason }: Readings<GovernedKind>): Evidence {
  return {
    failures: failuresInARow,
    ...(lastFailureReason === undefined ? {} : { error: lastFailureReason }),
  };
}
