// The whole engine at one moment, as plain data: what explain and the metrics are made of. `readSnapshot` reads it,
// bounded in time and in rows, in one transaction that writes nothing; `shapeSnapshot` is the pure half of it.

import type { ClientBase, Pool } from "pg";
import type { PausedBecause } from "../campaigns/campaign-store.ts";
import type { LaneId } from "../mail/ids.ts";
import type { Pulse } from "../mail/pulse.ts";
import type { RelayReading } from "../mail/reading.ts";
import type { Reason } from "../mail/reasons.ts";
import { STATES, type State } from "../mail/state.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { EVERY_LANE, type PauseKind } from "../queue/pause-store.ts";
import {
  readEngine,
  readWaitingFor,
  type DestinationLine,
  type EngineRow,
  type LeaseLine,
  type PauseLine,
  type WaitingForRow,
} from "./explain-store.ts";
import { readPulse, readReading, readReason } from "./explain-pulse.ts";
import { limitStatementTime } from "./status-store.ts";

export interface EngineSnapshot {
  /** By the database's clock. */
  readonly atMs: number;
  readonly lanes: readonly LaneView[];
  /** What the guard holds, by the lanes' own words; null: nothing, or it is not known why. */
  readonly guard: { readonly sinceMs: number; readonly reason: Pick<Reason, "code" | "evidence"> } | null;
  readonly pausedCampaigns: readonly PausedCampaign[];
  /** Running, and their recipients wait for their pace or their canary; they count in no lane as to be sent. */
  readonly heldBackCampaigns: readonly HeldBackCampaign[];
  readonly pauses: readonly PauseView[];
  readonly readings: readonly ReadingView[];
  readonly destinations: {
    /** By what relays' logs and notices say. */
    readonly failing: number;
    readonly worst: readonly DestinationLine[];
  };
  /** Of the destinations that are paused or throttled, as far as they were counted. */
  readonly waitingFor: Readonly<Record<string, { readonly waiting: number; readonly isMore: boolean }>>;
  readonly unaccounted: readonly { readonly outlet: string; readonly messages: number }[];
  readonly returns: { readonly unjudged: number; readonly oldestMs: number | null };
  readonly transaction: { readonly pid: number; readonly openMs: number; readonly application: string } | null;
  /** How long a commit has waited for the database's disk; null: none waits. */
  readonly commitStuckMs: number | null;
}

export interface LaneView {
  readonly name: string;
  readonly pausedAtMs: number | null;
  readonly isHeldByGuard: boolean;
  /** Why it takes no more mail for now. */
  readonly fullBecause: string | null;
  readonly states: Readonly<Record<State, number>>;
  /** Queued or deferred, of no paused campaign, and not held back by a pace or a canary. */
  readonly toSend: number;
  /** Of those, never tried. */
  readonly queued: number;
  readonly dispatchers: readonly DispatcherView[];
}

export interface DispatcherView {
  readonly id: number;
  /** Its lease holds. */
  readonly isAlive: boolean;
  /** Until the end of its lease; negative past it. */
  readonly leaseLeftMs: number;
  readonly heldMs: number;
  readonly pulse: Pulse;
}

export interface PausedCampaign {
  readonly name: string;
  readonly lane: string;
  readonly waiting: number;
  /** Null: a person did. */
  readonly because: PausedBecause | null;
}

export interface HeldBackCampaign {
  readonly name: string;
  readonly lane: string;
  readonly waiting: number;
  readonly pacePerS: number | null;
  /** Null: none, or it is decided. */
  readonly canaryRows: number | null;
}

export interface PauseView {
  readonly kind: PauseKind;
  readonly name: string;
  /** Null: every lane. */
  readonly lane: string | null;
  readonly pausedAtMs: number;
  readonly isByRule: boolean;
  /** A rule's, unless another version of Postlane wrote one that this one does not know. */
  readonly reason: Reason | null;
}

export interface ReadingView {
  readonly outlet: string;
  readonly ageMs: number;
  readonly reading: RelayReading;
}

/** Of the database's own work on it; whoever asks bounds the whole. */
const SNAPSHOT_MS_MAX = 1500;
const COUNT_MS_MAX = 300;
/** For one destination in one campaign: enough to see which one matters. */
const WAITING_ROWS_MAX = 1000;
const WAITING_DESTINATIONS_MAX = 40;

export async function readSnapshot(pool: Pool): Promise<EngineSnapshot> {
  const row = await inTransaction(pool, async (client) => {
    await limitStatementTime(client, SNAPSHOT_MS_MAX);
    return await readEngine(client);
  });
  return shapeSnapshot(row, await countInTime(pool, throttledIn(row)));
}

function throttledIn({ leases, worst, pauses }: EngineRow): readonly string[] {
  const told = leases.flatMap(({ pulse }) => readPulse(pulse).throttled.some.map(({ destination }) => destination));
  const paused = pauses.filter(({ kind }) => kind === "destination").map(({ name }) => name);
  return [...new Set([...paused, ...told, ...worst.map(({ name }) => name)])].slice(0, WAITING_DESTINATIONS_MAX);
}

/** Dead index entries that no vacuum has removed can make the count slow: then nothing is known of it. */
async function countInTime(pool: Pool, destinations: readonly string[]): Promise<readonly WaitingForRow[]> {
  if (destinations.length === 0) return [];
  try {
    return await inTransaction(pool, (client) => countWaitingFor(client, destinations));
  } catch (error) {
    if ((error as { readonly code?: string }).code === QUERY_CANCELED) return [];
    throw error;
  }
}

const QUERY_CANCELED = "57014";

export async function countWaitingFor(
  client: ClientBase,
  destinations: readonly string[],
): Promise<readonly WaitingForRow[]> {
  await limitStatementTime(client, COUNT_MS_MAX);
  return await readWaitingFor(client, destinations, WAITING_ROWS_MAX);
}

export function shapeSnapshot(row: EngineRow, counted: readonly WaitingForRow[]): EngineSnapshot {
  const laneName = (id: LaneId): string => row.lanes.find((lane) => lane.id === id)?.name ?? String(id);
  return {
    atMs: row.at_ms,
    lanes: row.lanes.map((lane) => shapeLane(lane, row)),
    guard: shapeGuard(row.guard),
    pausedCampaigns: row.campaigns.map(({ id, name, lane_id, paused_because }) => ({
      name,
      lane: laneName(lane_id),
      waiting: sumOf(row.books.filter((line) => line.paused_campaign_id === id && isToSend(line.state))),
      because: paused_because,
    })),
    heldBackCampaigns: row.held_back.map(({ name, lane_id, unmade, pace_per_s, canary_rows }) => ({
      name,
      lane: laneName(lane_id),
      waiting: unmade,
      pacePerS: pace_per_s,
      canaryRows: canary_rows,
    })),
    pauses: row.pauses.map((line) => shapePause(line, line.lane_id === EVERY_LANE ? null : laneName(line.lane_id))),
    readings: row.readings.map(({ outlet, age_ms, body }) => ({
      outlet,
      ageMs: Math.max(0, age_ms),
      reading: readReading(body),
    })),
    destinations: { failing: row.failing, worst: row.worst },
    waitingFor: Object.fromEntries(
      counted.map(({ destination, waiting, is_more }) => [destination, { waiting, isMore: is_more }]),
    ),
    unaccounted: row.unaccounted,
    returns: { unjudged: row.unjudged, oldestMs: row.unjudged_oldest_ms },
    transaction:
      row.transaction === null
        ? null
        : {
            pid: row.transaction.pid,
            openMs: row.transaction.open_ms,
            application: row.transaction.application.replaceAll(/\p{Cc}/gu, " "),
          },
    commitStuckMs: row.commit_stuck_ms,
  };
}

function shapeLane(lane: EngineRow["lanes"][number], row: EngineRow): LaneView {
  const books = row.books.filter((line) => line.lane_id === lane.id);
  const going = books.filter((line) => line.paused_campaign_id === null);
  const heldBack = row.held_back.reduce((sum, line) => sum + (line.lane_id === lane.id ? line.unmade : 0), 0);
  return {
    name: lane.name,
    pausedAtMs: lane.paused_at_ms,
    isHeldByGuard: lane.is_held_by_guard,
    fullBecause: lane.full_because,
    states: Object.fromEntries(
      STATES.map((state) => [state, sumOf(books.filter((line) => line.state === state))]),
    ) as Record<State, number>,
    toSend: sumOf(going.filter((line) => isToSend(line.state))) - heldBack,
    queued: sumOf(going.filter((line) => line.state === "queued")) - heldBack,
    dispatchers: row.leases.filter((lease) => lease.lane_id === lane.id).map(shapeDispatcher),
  };
}

function shapeGuard(guard: EngineRow["guard"]): EngineSnapshot["guard"] {
  const reason = readReason(guard?.reason);
  return guard === null || reason === undefined ? null : { sinceMs: guard.held_at_ms, reason };
}

function shapeDispatcher(lease: LeaseLine): DispatcherView {
  return {
    id: lease.id,
    isAlive: lease.late_ms < 0,
    leaseLeftMs: -lease.late_ms,
    heldMs: lease.held_ms,
    pulse: readPulse(lease.pulse),
  };
}

function shapePause({ kind, name, paused_at_ms, reason }: PauseLine, lane: string | null): PauseView {
  return { kind, name, lane, pausedAtMs: paused_at_ms, isByRule: reason !== null, reason: readReason(reason) ?? null };
}

function isToSend(state: State): boolean {
  return state === "queued" || state === "deferred";
}

function sumOf(lines: readonly { readonly n: number }[]): number {
  return lines.reduce((total, { n }) => total + n, 0);
}
