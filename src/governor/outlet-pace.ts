// The pace of one dispatcher on one outlet: what the relay can take and what people allow, less the part of the others who
// use it. Pure; joins the relay law and the sharing.

import type { LanePriority } from "../mail/lane.ts";
import type { Reason } from "../mail/reasons.ts";
import { governRelay, staleAtMs, type RelaySettings, type RelayState, type RelayVerdict } from "./relay-law.ts";
import { sharePace, type PaceUser } from "./share-pace.ts";
import { threeDigits } from "./three-digits.ts";

export interface PaceSettings {
  /** Of the lane. Absent: bulk, whose bounds are the tighter ones. */
  readonly priority?: LanePriority;
  /** Hand-overs per second by all lanes and dispatchers together. */
  readonly maxRatePerS?: number;
  /** Of a relay with a gauge. Absent: there is none, and only people and replies limit. */
  readonly relay?: MeasuredRelay;
  /** All dispatchers of the outlet, from their pulses. Absent: this one is alone. */
  readonly sharers?: { readonly users: readonly PaceUser[]; readonly me: string };
}

export interface MeasuredRelay {
  readonly settings: RelaySettings;
  /** As it was last learnt by any dispatcher; undefined before the first reading. */
  readonly state: RelayState | undefined;
  /** The database's clock, by which readings are dated. */
  readonly databaseMs: number;
}

export interface OutletPace {
  readonly pace: number;
  /** The tightest first; empty if nothing limits the pace. */
  readonly reasons: readonly Reason[];
  /** Milliseconds until silence alone changes it. */
  readonly changesInMs?: number;
}

/** Transactional mail that takes less than this is not what keeps bulk back most: the relay is. */
const SHARED_FIRST_SHARE = 0.5;

export function paceOutlet(settings: PaceSettings): OutletPace {
  const whole = paceOfAll(settings);
  const isUrgent = settings.priority === "transactional";
  const share = shareOf(whole, settings);
  const isHeldBack = isUrgent && whole.pace < whole.urgentPace;
  const pace = isHeldBack ? whole.urgentPace / urgentUsers(settings) : share.pace;
  const reasons = isUrgent ? whole.reasons.filter(({ code }) => code !== "plug_full") : whole.reasons;
  return { pace, reasons: placeShared(share.reasons, reasons, whole.pace), ...changeOf(settings.relay) };
}

type PaceOfAll = Pick<RelayVerdict, "pace" | "bulkPace" | "urgentPace" | "reasons">;

function paceOfAll({ relay, maxRatePerS }: PaceSettings): PaceOfAll {
  if (relay !== undefined) {
    const bounded = maxRatePerS === undefined ? relay.settings : { ...relay.settings, maxRatePerS };
    return governRelay(relay.state, bounded, relay.databaseMs);
  }
  const pace = maxRatePerS ?? Infinity;
  const evidence = { max_per_s: threeDigits(pace) };
  const reasons: Reason[] = pace === Infinity ? [] : [{ code: "max_rate", limits: "pace", limit: pace, evidence }];
  return { pace, bulkPace: pace, urgentPace: 0, reasons };
}

function shareOf(
  { pace, bulkPace }: PaceOfAll,
  { priority, sharers }: PaceSettings,
): { readonly pace: number; readonly reasons: readonly Reason[] } {
  if (sharers !== undefined) return sharePace({ pace, bulkPace, ...sharers });
  return { pace: priority === "transactional" ? pace : bulkPace, reasons: [] };
}

function urgentUsers({ sharers }: PaceSettings): number {
  return Math.max(1, sharers?.users.filter(({ priority }) => priority === "transactional").length ?? 1);
}

/** The others' limits are the whole relay's; what binds bulk most is said first. */
function placeShared(shared: readonly Reason[], others: readonly Reason[], pace: number): readonly Reason[] {
  const isFirst = shared.some(({ evidence }) => Number(evidence["transactional_per_s"]) >= SHARED_FIRST_SHARE * pace);
  return isFirst ? [...shared, ...others] : [...others, ...shared];
}

function changeOf(relay: MeasuredRelay | undefined): { readonly changesInMs?: number } {
  if (relay?.state === undefined) return {};
  const inMs = staleAtMs(relay.state) - relay.databaseMs;
  return inMs > 0 ? { changesInMs: inMs } : {};
}
