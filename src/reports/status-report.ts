// The state of the whole engine at one moment, from the books, the dispatchers' pulses and one bounded look at the
// queue. Reads only. The shape is what `postlane status --json` prints, so its keys are a contract.
//
// Cost: the books have a row per lane, campaign, day and state; pulses one per dispatcher; the look for the oldest
// message takes one index descent (some 15 µs) per destination, at most `OLDEST_DESTINATIONS_MAX` per running campaign,
// and is given up after `OLDEST_MS_MAX`.

import type { Pool } from "pg";
import type { LaneId } from "../mail/ids.ts";
import { REASON_CODES, tellReason, type Evidence } from "../mail/reasons.ts";
import {
  SETTLED_STATES,
  STATES,
  WAITING_STATES,
  type SettledState,
  type State,
  type WaitingState,
} from "../mail/state.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { listLanes, type LaneRow } from "../queue/lane-store.ts";
import {
  countAll,
  limitStatementTime,
  readLaneSheet,
  readOldest,
  readPulses,
  type CountRow,
  type OldestRow,
  type PulseRow,
  type SheetRow,
} from "./status-store.ts";

export interface StatusReport {
  readonly lanes: readonly LaneStatus[];
  readonly totals: SheetTotals;
}

export interface LaneStatus {
  readonly name: string;
  readonly paused_at: string | null;
  readonly is_held_by_guard: boolean;
  readonly dispatchers: number;
  /** Leases that ran out and wait for their rescue. */
  readonly dispatchers_gone: number;
  readonly in_flight: number;
  readonly rate_per_s: number;
  /** How long the longest waiting message of a running campaign, or of none, has been due. Null: none, or not found in time. */
  readonly oldest_waiting_ms: number | null;
  readonly is_oldest_estimate: boolean;
  readonly waiting_p50_ms: number | null;
  readonly waiting_p99_ms: number | null;
  readonly outlets: readonly OutletStatus[];
  readonly books: SheetTotals;
}

export interface OutletStatus {
  readonly name: string;
  readonly window: number;
  readonly open: number;
  readonly reasons: readonly { readonly code: string; readonly evidence: string }[];
}

export interface SheetTotals {
  readonly accepted: number;
  readonly waiting: number;
  readonly settled: number;
  readonly states: Readonly<Record<State, number>>;
  /** No state holds fewer than none: a message that was counted out of a state it never was in shows here. */
  readonly adds_up: boolean;
}

export interface CountedLane {
  readonly name: string;
  readonly accepted_booked: number;
  readonly accepted_counted: number;
  readonly waiting_booked: number;
  readonly waiting_counted: number;
  readonly adds_up: boolean;
}

const OLDEST_DESTINATIONS_MAX = 2000;
const OLDEST_MS_MAX = 250;

export async function readStatus(pool: Pool): Promise<StatusReport> {
  const [lanes, sheet, pulses, oldest] = await Promise.all([
    listLanes(pool),
    readLaneSheet(pool),
    readPulses(pool),
    oldestInTime(pool),
  ]);
  return shapeStatus({ lanes, sheet, pulses, oldest });
}

/** Counts every message and every row of the queue and holds the books against them. */
export async function countEverything(pool: Pool): Promise<readonly CountedLane[]> {
  const [lanes, counts] = await Promise.all([listLanes(pool), countAll(pool)]);
  return counts.map((count) => ({
    name: lanes.find((lane) => lane.id === count.lane_id)?.name ?? String(count.lane_id),
    accepted_booked: count.accepted_booked,
    accepted_counted: count.accepted_counted,
    waiting_booked: count.waiting_booked,
    waiting_counted: count.waiting_counted,
    adds_up: addsUp(count),
  }));
}

function addsUp(count: CountRow): boolean {
  return count.accepted_booked === count.accepted_counted && count.waiting_booked === count.waiting_counted;
}

/** Dead index entries that no vacuum has removed can make the walk slow: then the answer is none. */
async function oldestInTime(pool: Pool): Promise<readonly OldestRow[]> {
  try {
    return await inTransaction(pool, async (client) => {
      await limitStatementTime(client, OLDEST_MS_MAX);
      return await readOldest(client, OLDEST_DESTINATIONS_MAX);
    });
  } catch (error) {
    if ((error as { readonly code?: string }).code === QUERY_CANCELED) return [];
    throw error;
  }
}

const QUERY_CANCELED = "57014";

export function shapeStatus(given: {
  readonly lanes: readonly LaneRow[];
  readonly sheet: readonly SheetRow[];
  readonly pulses: readonly PulseRow[];
  readonly oldest: readonly OldestRow[];
}): StatusReport {
  return {
    lanes: given.lanes.map((lane) =>
      shapeLane(lane, {
        sheet: given.sheet.filter((row) => row.lane_id === lane.id),
        pulses: given.pulses.filter((row) => row.lane_id === lane.id),
        oldest: given.oldest.find((row) => row.lane_id === lane.id),
      }),
    ),
    totals: totalsOf(given.sheet),
  };
}

function shapeLane(
  lane: LaneRow,
  given: {
    readonly sheet: readonly SheetRow[];
    readonly pulses: readonly PulseRow[];
    readonly oldest: OldestRow | undefined;
  },
): LaneStatus {
  const alive = given.pulses.filter((row) => row.is_alive);
  const pulses = alive.map((row) => readPulse(row.pulse ?? {}));
  return {
    name: lane.name,
    paused_at: lane.paused_at?.toISOString() ?? null,
    is_held_by_guard: lane.is_held_by_guard,
    dispatchers: alive.length,
    dispatchers_gone: given.pulses.length - alive.length,
    in_flight: sum(pulses.map((pulse) => pulse.inFlight)),
    rate_per_s: Math.round(sum(pulses.map((pulse) => pulse.ratePerS)) * 10) / 10,
    oldest_waiting_ms: wholeMs(given.oldest?.overdue_ms ?? null),
    is_oldest_estimate: given.oldest?.is_estimate ?? false,
    waiting_p50_ms: byRate(pulses),
    waiting_p99_ms: pulses.reduce<number | null>((worst, { p99Ms }) => maxOf(worst, p99Ms), null),
    outlets: joinOutlets(pulses.flatMap((pulse) => pulse.outlets)),
    books: totalsOf(given.sheet),
  };
}

function wholeMs(ms: number | null): number | null {
  return ms === null ? null : Math.max(0, Math.round(ms));
}

interface Pulse {
  readonly inFlight: number;
  readonly ratePerS: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly outlets: readonly OutletStatus[];
}

/** Another version of Postlane may have written it: what is missing counts as nothing. */
function readPulse(pulse: Readonly<Record<string, unknown>>): Pulse {
  return {
    inFlight: numberOr(pulse["in_flight"], 0),
    ratePerS: numberOr(pulse["rate_per_s"], 0),
    p50Ms: numberOr(pulse["waiting_p50_ms"], null),
    p99Ms: numberOr(pulse["waiting_p99_ms"], null),
    outlets: Array.isArray(pulse["outlets"]) ? pulse["outlets"].map(readOutlet) : [],
  };
}

function readOutlet(given: unknown): OutletStatus {
  const outlet = given as { readonly name?: unknown; readonly window?: unknown; open?: unknown; reasons?: unknown };
  const reasons = Array.isArray(outlet.reasons) ? (outlet.reasons as { code?: unknown; evidence?: unknown }[]) : [];
  return {
    name: String(outlet.name),
    window: numberOr(outlet.window, 0),
    open: numberOr(outlet.open, 0),
    reasons: reasons.map(({ code, evidence }) => ({ code: String(code), evidence: tellEvidence(code, evidence) })),
  };
}

/** A sentence; a dispatcher of another version may give the sentence itself, or a reason that is not known here. */
function tellEvidence(code: unknown, evidence: unknown): string {
  const known = REASON_CODES.find((each) => each === code);
  if (typeof evidence !== "object" || evidence === null || known === undefined) return printEvidence(evidence);
  return tellReason({ code: known, evidence: evidence as Evidence });
}

function printEvidence(evidence: unknown): string {
  return typeof evidence === "string" ? evidence : (JSON.stringify(evidence) ?? "");
}

function numberOr<Other>(value: unknown, other: Other): number | Other {
  return typeof value === "number" && Number.isFinite(value) ? value : other;
}

/** Medians cannot be joined exactly; the mean weighted by rate is near when dispatchers of one lane do the same work. */
function byRate(pulses: readonly Pulse[]): number | null {
  const known = pulses.filter((pulse) => pulse.p50Ms !== null);
  if (known.length === 0) return null;
  const weightSum = sum(known.map((pulse) => Math.max(pulse.ratePerS, 0.001)));
  const weighted = sum(known.map((pulse) => pulse.p50Ms! * Math.max(pulse.ratePerS, 0.001)));
  return Math.round((weighted / weightSum) * 100) / 100;
}

/** Several dispatchers share an outlet's window; each gives the reasons, and the tightest comes first. */
function joinOutlets(outlets: readonly OutletStatus[]): readonly OutletStatus[] {
  const joined = new Map<string, OutletStatus>();
  for (const outlet of outlets) {
    const before = joined.get(outlet.name);
    if (before === undefined) joined.set(outlet.name, outlet);
    else {
      const reasons = outlet.window < before.window ? outlet.reasons : before.reasons;
      const [window, open] = [before.window + outlet.window, before.open + outlet.open];
      joined.set(outlet.name, { name: outlet.name, window, open, reasons });
    }
  }
  return [...joined.values()];
}

export function totalsOf(rows: readonly { readonly state: State; readonly n: number }[]): SheetTotals {
  const states = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<State, number>;
  for (const { state, n } of rows) states[state] += n;
  const waiting = sum(WAITING_STATES.map((state: WaitingState) => states[state]));
  const settled = sum(SETTLED_STATES.map((state: SettledState) => states[state]));
  return {
    accepted: waiting + settled,
    waiting,
    settled,
    states,
    adds_up: STATES.every((state) => states[state] >= 0),
  };
}

/** Whether anybody sends a lane's mail now. */
export async function countDispatchers(pool: Pool, laneName: string): Promise<number> {
  const [lanes, pulses] = await Promise.all([listLanes(pool), readPulses(pool)]);
  const id: LaneId | undefined = lanes.find((lane) => lane.name === laneName)?.id;
  return pulses.filter((row) => row.lane_id === id && row.is_alive).length;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function maxOf(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.max(one, other);
}
