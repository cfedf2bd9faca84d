// What people do to single messages: hold, release, cancel. Only a message that is not claimed can be stopped; one that
// is being handed over is past stopping, and the caller says so. Each takes effect with its commit.

import type { ClientBase } from "pg";
import type { CampaignId, LaneId, MessageId } from "../mail/ids.ts";
import type { WaitingState } from "../mail/state.ts";
import { numberArray, rowsOf, statement } from "../postgres/statement.ts";

/** What the books and the story want to know of a row. */
export interface MovedRow {
  readonly message_id: MessageId;
  readonly lane_id: LaneId;
  readonly campaign_id: CampaignId;
  readonly accepted_on: string;
  readonly attempts: number;
  readonly state: WaitingState;
}

export interface ControlledRow extends MovedRow {
  readonly is_claimed: boolean;
}

export const LOCK = statement<ControlledRow>(
  "control_lock",
  `SELECT message_id, lane_id, campaign_id, accepted_on::text AS accepted_on, attempts, state,
     lease_id IS NOT NULL AS is_claimed
   FROM postlane.queue WHERE message_id = $1 FOR UPDATE`,
);

/** The row that waits, locked for the caller's transaction; undefined when the message waits no longer. */
export async function lockMessage(client: ClientBase, messageId: MessageId): Promise<ControlledRow | undefined> {
  const [row] = await rowsOf(client, LOCK, [messageId]);
  return row;
}

export const HOLD = statement<unknown>(
  "control_hold",
  `UPDATE postlane.queue SET state = 'held', due_at = 'infinity', tx = pg_current_xact_id() WHERE message_id = $1`,
);
export async function holdMessage(client: ClientBase, messageId: MessageId): Promise<void> {
  await rowsOf(client, HOLD, [messageId]);
}

export const RELEASE = statement<{ readonly state: WaitingState }>(
  "control_release",
  `UPDATE postlane.queue SET state = CASE WHEN attempts > 0 THEN 'deferred' ELSE 'queued' END,
     due_at = clock_timestamp(), tx = pg_current_xact_id(), rescues = 0
   WHERE message_id = $1 RETURNING state`,
);
/** Due at once, as `queued` or, when it was tried before, `deferred`. */
export async function releaseMessage(client: ClientBase, messageId: MessageId): Promise<WaitingState> {
  const [row] = await rowsOf(client, RELEASE, [messageId]);
  return row!.state;
}

export const RELEASE_MANY = statement<MovedRow>(
  "control_release_many",
  `UPDATE postlane.queue SET state = CASE WHEN attempts > 0 THEN 'deferred' ELSE 'queued' END,
     due_at = clock_timestamp(), tx = pg_current_xact_id(), rescues = 0
   WHERE message_id = ANY ($1::bigint[]) AND state = 'held' AND lease_id IS NULL
   RETURNING message_id, lane_id, campaign_id, accepted_on::text AS accepted_on, attempts, state`,
);
/** The same for those that are (still) held. */
export async function releaseMessages(client: ClientBase, ids: readonly MessageId[]): Promise<readonly MovedRow[]> {
  return await rowsOf(client, RELEASE_MANY, [numberArray(ids)]);
}

export const REMOVE = statement<unknown>("control_remove", `DELETE FROM postlane.queue WHERE message_id = $1`);
export async function removeFromQueue(client: ClientBase, messageId: MessageId): Promise<void> {
  await rowsOf(client, REMOVE, [messageId]);
}

// Claimed ones are left alone, and so are rows that somebody else is about to move: two sessions that wait for rows of
// each other would deadlock. The caller looks again.
export const REMOVE_MANY = statement<MovedRow>(
  "control_remove_many",
  `WITH picked AS MATERIALIZED (
     SELECT ctid AS tid FROM postlane.queue WHERE message_id = ANY ($1::bigint[]) AND lease_id IS NULL
     FOR UPDATE SKIP LOCKED
   )
   DELETE FROM postlane.queue WHERE ctid = ANY (ARRAY(SELECT tid FROM picked))
   RETURNING message_id, lane_id, campaign_id, accepted_on::text AS accepted_on, attempts, state`,
);
/** Those that wait and are not claimed leave the queue. */
export async function removeUnclaimed(client: ClientBase, ids: readonly MessageId[]): Promise<readonly MovedRow[]> {
  return await rowsOf(client, REMOVE_MANY, [numberArray(ids)]);
}

export const RESCHEDULE = statement<MovedRow>(
  "control_reschedule",
  `WITH picked AS MATERIALIZED (
     SELECT ctid AS tid FROM postlane.queue
     WHERE message_id = ANY ($1::bigint[]) AND state = 'scheduled' AND lease_id IS NULL
     FOR UPDATE SKIP LOCKED
   )
   UPDATE postlane.queue SET due_at = greatest($2::timestamptz, clock_timestamp()), tx = pg_current_xact_id(),
     state = CASE WHEN $2::timestamptz > clock_timestamp() THEN 'scheduled' ELSE 'queued' END
   WHERE ctid = ANY (ARRAY(SELECT tid FROM picked))
   RETURNING message_id, lane_id, campaign_id, accepted_on::text AS accepted_on, attempts, state`,
);
/** Those that are (still) scheduled and not claimed get another time; one that has passed means now. */
export async function rescheduleUnclaimed(
  client: ClientBase,
  ids: readonly MessageId[],
  at: string,
): Promise<readonly MovedRow[]> {
  return await rowsOf(client, RESCHEDULE, [numberArray(ids), at]);
}

// The rules of entry read the time, so that it means what it means there, and is refused with the same words.
export const READ_TIME = statement<{ readonly at: string; readonly is_too_late: boolean }>(
  "control_read_time",
  `SELECT given.at::text AS at,
     EXISTS (
       SELECT FROM postlane.message WHERE id = ANY ($2::bigint[]) AND expires_at <= greatest(given.at, clock_timestamp())
     ) AS is_too_late
   FROM (SELECT postlane.time_field(jsonb_build_object('scheduled_at', $1::text), 'scheduled_at') AS at) AS given`,
);
/** Raises PL006 when it is none. Too late: one of the messages has expired then. */
export async function readScheduledTime(
  client: ClientBase,
  text: string,
  ids: readonly MessageId[],
): Promise<{ readonly at: string; readonly is_too_late: boolean }> {
  const [row] = await rowsOf(client, READ_TIME, [text, numberArray(ids)]);
  return row!;
}

export const WAITING = statement<Pick<ControlledRow, "message_id" | "state" | "is_claimed">>(
  "control_waiting",
  `SELECT message_id, state, lease_id IS NOT NULL AS is_claimed
   FROM postlane.queue WHERE message_id = ANY ($1::bigint[])`,
);
/** Those that wait, as they stand. */
export async function readWaiting(
  client: ClientBase,
  ids: readonly MessageId[],
): Promise<readonly Pick<ControlledRow, "message_id" | "state" | "is_claimed">[]> {
  return await rowsOf(client, WAITING, [numberArray(ids)]);
}

// What is claimed is left to its dispatcher: it is handed over, or comes back and is swept then. The order is the claim
// index's, so that no other is used: the lane may hold millions of another campaign.
export const SWEEP = statement<MovedRow>(
  "control_sweep",
  `WITH picked AS MATERIALIZED (
     SELECT ctid AS tid FROM postlane.queue WHERE lane_id = $1 AND campaign_id = $2 AND lease_id IS NULL
     ORDER BY destination, due_at LIMIT $3 FOR UPDATE SKIP LOCKED
   )
   DELETE FROM postlane.queue WHERE ctid = ANY (ARRAY(SELECT tid FROM picked)) RETURNING message_id, lane_id, campaign_id, accepted_on::text AS accepted_on, attempts, state`,
);

/** Up to `rowsMax` waiting rows of a canceled campaign leave the queue. */
export async function sweepCampaign(
  client: ClientBase,
  laneId: LaneId,
  campaignId: CampaignId,
  rowsMax: number,
): Promise<readonly MovedRow[]> {
  return await rowsOf(client, SWEEP, [laneId, campaignId, rowsMax]);
}

export const IS_EMPTY = statement<{ readonly is_empty: boolean }>(
  "control_is_empty",
  `SELECT NOT EXISTS (
     SELECT FROM (
       SELECT FROM postlane.queue WHERE lane_id = $1 AND campaign_id = $2 ORDER BY destination, due_at LIMIT 1
     ) AS first
   ) AS is_empty`,
);
export async function isCampaignEmpty(client: ClientBase, laneId: LaneId, campaignId: CampaignId): Promise<boolean> {
  const [row] = await rowsOf(client, IS_EMPTY, [laneId, campaignId]);
  return row!.is_empty;
}
