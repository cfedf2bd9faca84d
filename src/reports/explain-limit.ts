// A limit as explain finds it: its reason, its rank, whom it concerns and what it costs; and what is known when limits are
// looked for. Pure.
//
// The rank is the order of `explain`: first what stops everything, then what stops an outlet, then what stops a part of
// the mail, then what a person or a rule decided for all of it, then the troubles that lie under the verdicts (a slow disk
// shows as a slow drain), then the verdicts themselves, and last what is small or only worth knowing. Within a rank, what
// more messages wait for comes first.

import type { Pulse } from "../mail/pulse.ts";
import type { Reason, ReasonCode } from "../mail/reasons.ts";
import type { Config } from "../platform/config.ts";
import type { DispatcherView, EngineSnapshot, LaneView } from "./engine-snapshot.ts";

export const RANK = {
  everything: 0,
  outlet: 1,
  part: 2,
  decided: 3,
  trouble: 4,
  verdict: 5,
  small: 6,
  note: 7,
} as const;

export interface Limit {
  readonly reason: Reason;
  readonly rank: (typeof RANK)[keyof typeof RANK];
  /** None: every lane. */
  readonly lanes: readonly string[];
  readonly outlet?: string;
  readonly destination?: string;
  readonly costs: Costs;
}

export interface Costs {
  /** Messages that wait for it; null: not known. */
  readonly waiting: number | null;
  /** What goes out per second as it is. */
  readonly allowed_per_s: number | null;
  /** What would go out per second without it, up to the next limit; null: not known. */
  readonly wanted_per_s: number | null;
}

export type ExplainConfig = Pick<Config, "lanes" | "outlets" | "leaseMs" | "noProgressAlarmMs" | "returnsDomain">;

/** What is known beside the database: of itself, and of this machine. */
export interface Surroundings {
  readonly nowMs: number;
  /** The database does not answer, since then. */
  readonly databaseSilent?: { readonly sinceMs: number; readonly error?: string };
  /** When a dispatcher of a lane was last seen, by whoever watches. */
  readonly dispatcherSeenAtMs: Readonly<Record<string, number>>;
  /** Lanes for which upkeep has raised its alarm, since when. */
  readonly alarms: readonly { readonly lane: string; readonly sinceMs: number }[];
  /** Of the database, what upkeep has raised its alarm about. */
  readonly databaseAlarms: readonly Reason[];
  /** Share of the last seconds in which a task of this machine waited for CPU; null: not known. */
  readonly cpuWaiting: number | null;
}

export interface Scene {
  readonly snapshot: EngineSnapshot;
  readonly config: ExplainConfig;
  readonly around: Surroundings;
}

export function limitOf(rank: keyof typeof RANK, reason: Reason, of: Partial<Limit> = {}): Limit {
  return { lanes: [], costs: costsOf(null), ...of, reason, rank: RANK[rank] };
}

export function costsOf(waiting: number | null): Costs {
  return { waiting, allowed_per_s: null, wanted_per_s: null };
}

export function stop(code: ReasonCode, evidence: Reason["evidence"]): Reason {
  return { code, limits: "stop", limit: 0, evidence };
}

export function pace(code: ReasonCode, evidence: Reason["evidence"]): Reason {
  return { code, limits: "pace", limit: 0, evidence };
}

// ---- who is heard ----------------------------------------------------------------------------------------------------

/** A pulse comes every second with the lease; three that are missing are no hiccup of the event loop. */
const DISPATCHER_SILENT_MS = 3000;

/** A commit that has waited for the disk this long is no slow one any more: the disk stands still. */
export const COMMIT_STUCK_MS = 1000;

/** While commits stand still nobody can renew: then only the end of the lease counts. */
export function isHeard(
  dispatcher: DispatcherView,
  { leaseMs }: Pick<Config, "leaseMs">,
  { commitStuckMs }: Pick<EngineSnapshot, "commitStuckMs">,
): boolean {
  if (!dispatcher.isAlive) return (commitStuckMs ?? 0) >= COMMIT_STUCK_MS;
  return silentMs(dispatcher, leaseMs) < DISPATCHER_SILENT_MS + (commitStuckMs ?? 0);
}

/** Each renewal sets the deadline anew: what is gone of the lease is how long ago that was. */
export function silentMs({ leaseLeftMs }: DispatcherView, leaseMs: number): number {
  return Math.max(0, leaseMs - leaseLeftMs);
}

/** What those say whose lease holds. */
export function alivePulses({ lanes }: Pick<EngineSnapshot, "lanes">): readonly Pulse[] {
  return lanes.flatMap((lane) => lane.dispatchers.filter((one) => one.isAlive)).map(({ pulse }) => pulse);
}

// ---- words and figures -----------------------------------------------------------------------------------------------

export function laneNames(
  outlet: string,
  { lanes, outlets }: Pick<ExplainConfig, "lanes" | "outlets">,
): readonly string[] {
  const ways = new Set([outlet]);
  for (const other of Object.values(outlets)) {
    if (other.type === "smtp" && other.retryOutlet === outlet) ways.add(other.name);
  }
  return Object.values(lanes)
    .filter((lane) => lane.outlets.some((name) => ways.has(name)))
    .map(({ name }) => name);
}

export function toSendOf(lanes: readonly LaneView[]): number {
  return lanes.reduce((sum, lane) => sum + lane.toSend, 0);
}

/** `2026-11-26T14:02:10Z`. */
export function printInstant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

export function seconds(ms: number): number {
  return Math.max(0, Math.round(ms / 1000));
}

export function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
