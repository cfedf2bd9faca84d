// Leases: a dispatcher's right to what it has claimed, one row for all of it. The deadline is judged by the database's
// clock (`clock_timestamp()`, since `now()` is the transaction's start and would let a late settle through).
// A lease also ends with the timeline of the server that gave it (docs/decisions/0024): a replica that took over gives a new one.
// A renewal carries the guard's heartbeat with it (src/guard): one statement, one commit.
// Claim and settle take the row FOR SHARE; a rescuer takes it FOR UPDATE first, so that neither can be in between.

import type { ClientBase } from "pg";
import type { CampaignId, LaneId, LeaseId, MessageId } from "../mail/ids.ts";
import type { WaitingState } from "../mail/state.ts";
import type { Sight } from "../guard/judge-guard.ts";
import { countOf, rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface AcquiredLease {
  readonly id: LeaseId;
  /** By the database's clock, in microseconds: tells the lease from another with its id, in a database that was set back. */
  readonly acquired_us: number;
}

export const ACQUIRE = statement<AcquiredLease>(
  "lease_acquire",
  `INSERT INTO postlane.lease (lane_id, holder, boot_id, deadline)
   VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 millisecond')
   RETURNING id, (extract(epoch FROM acquired_at) * 1000000)::bigint AS acquired_us`,
);

export async function acquireLease(
  on: Queryable,
  given: {
    readonly laneId: LaneId;
    readonly holder: string;
    readonly bootId: string;
    readonly leaseMs: number;
  },
): Promise<AcquiredLease> {
  const [row] = await rowsOf(on, ACQUIRE, [given.laneId, given.holder, given.bootId, given.leaseMs]);
  return row!;
}

export const RENEW = statement<{ readonly beat: Sight }>(
  "lease_renew",
  `WITH renewed AS (
     UPDATE postlane.lease SET deadline = clock_timestamp() + $2 * interval '1 millisecond', pulse = $3::jsonb
     WHERE id = $1 AND deadline > clock_timestamp() AND timeline = postlane.timeline() RETURNING id)
   SELECT postlane.guard_beat() AS beat FROM renewed`,
);

/** What the guard saw with it. Undefined: the lease is over. It is never revived, since a rescuer may be at work. */
export async function renewLeaseIfHeld(
  on: Queryable,
  leaseId: LeaseId,
  leaseMs: number,
  pulse: unknown,
): Promise<Sight | undefined> {
  const [row] = await rowsOf(on, RENEW, [leaseId, leaseMs, JSON.stringify(pulse)]);
  return row?.beat;
}

export const HOLD = statement<unknown>(
  "lease_hold",
  `SELECT FROM postlane.lease
   WHERE id = $1 AND deadline > clock_timestamp() AND timeline = postlane.timeline() FOR SHARE`,
);

/** Takes the lease for the rest of the caller's transaction. */
export async function holdLease(client: ClientBase, leaseId: LeaseId): Promise<boolean> {
  return (await countOf(client, HOLD, [leaseId])) === 1;
}

export interface LeaseRow {
  readonly id: LeaseId;
  readonly lane_id: LaneId;
  readonly holder: string;
  readonly boot_id: string;
  readonly acquired_us: number;
  /** Milliseconds past its deadline; negative while it holds. */
  readonly late_ms: number;
}

export const LIST = statement<LeaseRow>(
  "lease_list",
  `SELECT id, lane_id, holder, boot_id, (extract(epoch FROM acquired_at) * 1000000)::bigint AS acquired_us,
     (extract(epoch FROM clock_timestamp() - deadline) * 1000)::float8 AS late_ms
   FROM postlane.lease ORDER BY id`,
);

export async function listLeases(on: Queryable): Promise<readonly LeaseRow[]> {
  return await rowsOf(on, LIST);
}

export interface TakenLease extends LeaseRow {
  /** The database's clock. */
  readonly now_ms: number;
}

export const TAKE = statement<TakenLease>(
  "lease_take_for_rescue",
  `SELECT id, lane_id, holder, boot_id, (extract(epoch FROM acquired_at) * 1000000)::bigint AS acquired_us,
     (extract(epoch FROM clock_timestamp() - deadline) * 1000)::float8 AS late_ms,
     (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms
   FROM postlane.lease WHERE id = $1 FOR UPDATE`,
);

/** The rescuer's lock: waits for a settle that is under way. Undefined when somebody else has rescued it. */
export async function takeLeaseForRescue(client: ClientBase, leaseId: LeaseId): Promise<TakenLease | undefined> {
  const [row] = await rowsOf(client, TAKE, [leaseId]);
  return row;
}

export interface ClaimedUnderLease {
  readonly message_id: MessageId;
  readonly campaign_id: CampaignId;
  readonly lane_id: LaneId;
  readonly accepted_on: string;
  readonly attempts: number;
  readonly tries: number;
  readonly rescues: number;
  readonly state: WaitingState;
  readonly accepted_ms: number;
  readonly expires_ms: number | null;
  readonly version: number | null;
}

export const CLAIMED_UNDER = statement<ClaimedUnderLease>(
  "lease_claimed_under",
  `SELECT q.message_id, q.campaign_id, q.lane_id, q.accepted_on::text AS accepted_on, q.attempts, q.tries, q.rescues,
     q.state, q.version, (extract(epoch FROM m.accepted_at) * 1000)::float8 AS accepted_ms,
     (extract(epoch FROM m.expires_at) * 1000)::float8 AS expires_ms
   FROM (SELECT DISTINCT unnest(message_ids) AS message_id FROM postlane.claim_batch WHERE lease_id = $1) AS claimed
   CROSS JOIN LATERAL (
     SELECT * FROM postlane.queue WHERE message_id = claimed.message_id AND lease_id = $1 OFFSET 0
   ) AS q
   CROSS JOIN LATERAL (SELECT accepted_at, expires_at FROM postlane.message WHERE id = q.message_id OFFSET 0) AS m`,
);

export async function claimedUnderLease(on: Queryable, leaseId: LeaseId): Promise<readonly ClaimedUnderLease[]> {
  return await rowsOf(on, CLAIMED_UNDER, [leaseId]);
}

export const END = statement<unknown>(
  "lease_end",
  `WITH forgotten AS (DELETE FROM postlane.claim_batch WHERE lease_id = $1)
   DELETE FROM postlane.lease WHERE id = $1`,
);

/** Only for a lease under which nothing is claimed any more. */
export async function endLease(on: Queryable, leaseId: LeaseId): Promise<void> {
  await countOf(on, END, [leaseId]);
}
