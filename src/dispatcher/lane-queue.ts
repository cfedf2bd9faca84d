// What the dispatcher asks of the queue: the seam at which a simulation puts a model in the database's place.
// database-queue.ts beside this file is the real one.

import type { CampaignId, MessageId } from "../mail/ids.ts";
import type { Reason } from "../mail/reasons.ts";
import type { SettledState, WaitingState } from "../mail/state.ts";
import type { RefusalTarget } from "../outcome/refusal-watch.ts";
import type { LaneOrders } from "../queue/lane-store.ts";
import type { SnapshotCursor } from "../postgres/snapshot-cursor.ts";
import type { ClaimedRow, DestinationRow, Edition, Want } from "../queue/queue-store.ts";
import type { HealthRow } from "./health-store.ts";
import type { Surroundings, VerdictStep } from "./verdict-store.ts";

/** What becomes of a claimed message: the outcome, judged and ready to be written. */
export interface Settlement {
  readonly row: ClaimedRow;
  readonly attempt: number;
  readonly becomes: SettledFate | WaitingFate;
  /** Absent for an unclaim: nothing happened that is worth telling. */
  readonly event?: {
    readonly kind: string;
    readonly outlet?: string;
    readonly host?: string;
    readonly reply?: string;
    /** Of an attempt without a reply: our port of its connection. */
    readonly clientPort?: number | undefined;
    /** Monotonic instant of the reply, which settling may follow much later. */
    readonly happenedAtMs?: number;
  };
}

export interface SettledFate {
  readonly kind: "settled";
  readonly state: SettledState;
}

export interface WaitingFate {
  readonly kind: "waiting";
  readonly state: WaitingState;
  /** As in `BackRow`. */
  readonly delayMs: number | null;
  readonly attempts: number;
  readonly tries: number;
  readonly rescues: number;
}

export interface LaneQueue {
  look(cursor: SnapshotCursor | undefined): Promise<{
    readonly cursor: SnapshotCursor;
    readonly arrivals: readonly DestinationRow[];
  }>;
  discover(campaignId: CampaignId, after: string, rowsMax: number): Promise<readonly DestinationRow[]>;
  nextDue(wants: readonly Pick<Want, "campaignId" | "destination">[]): Promise<readonly DestinationRow[]>;
  /** Durable when it answers. Empty also when the lease is over. */
  claim(
    wants: readonly Want[],
    batchId: number,
    finishedBatchIds: readonly number[],
    editions: readonly Edition[],
  ): Promise<readonly ClaimedRow[]>;
  /** One transaction, and safe to repeat after an error: what an earlier try has settled is left alone. */
  settle(group: readonly Settlement[]): Promise<"settled" | "lease_lost">;
  orders(): Promise<LaneOrders>;
  /** Makes due what was never tried and lies ahead, since the database's clock has gone back. Answers how many. */
  bringForward(): Promise<number>;
  /** False: the lease is over. */
  renew(pulse: unknown): Promise<boolean>;
  /** Who and what else there is: readings, verdicts, other dispatchers, pauses. */
  surroundings(outletNames: readonly string[]): Promise<Surroundings>;
  /** Keeps the step that the governor took from a reading; false: another dispatcher was first. */
  keepVerdict(step: VerdictStep): Promise<boolean>;
  /** What relays tell of these destinations. */
  health(destinations: readonly string[]): Promise<readonly HealthRow[]>;
  /** And what of it changed since the last look. */
  healthChanges(cursor: SnapshotCursor | undefined): Promise<{
    readonly cursor: SnapshotCursor;
    readonly changed: readonly HealthRow[];
  }>;
  /** Stops it for this lane until a person resumes it. */
  pause(target: RefusalTarget, reason: Reason): Promise<void>;
  /** Loads what composing these rows needs and has not been loaded yet. */
  prepare(rows: readonly ClaimedRow[]): Promise<void>;
  /** Which of these must not go out, and why. */
  suppressed(rows: readonly ClaimedRow[]): Promise<ReadonlyMap<MessageId, string>>;
}
