// Where messages stand, for whoever judges what came back about them: the message, locked against other judges, and what
// its story tells. Reads events by the index on the message, no further back than the oldest of the messages.

import type { ClientBase } from "pg";
import type { CampaignId, LaneId, MessageId } from "../mail/ids.ts";
import { numberArray, rowsOf, statement, textArray } from "../postgres/statement.ts";

export interface LockedMessage {
  readonly id: MessageId;
  readonly lane_id: LaneId;
  readonly campaign_id: CampaignId;
  readonly recipient: string;
  readonly accepted_on: string;
  readonly accepted_ms: number;
  readonly expires_ms: number | null;
}

// In the order of the ids: two judges that have messages in common wait for each other, and never both.
export const LOCK = statement<LockedMessage>(
  "standing_lock",
  `SELECT id, lane_id, campaign_id, recipient, (accepted_at AT TIME ZONE 'UTC')::date::text AS accepted_on,
     (extract(epoch FROM accepted_at) * 1000)::float8 AS accepted_ms,
     (extract(epoch FROM expires_at) * 1000)::float8 AS expires_ms
   FROM postlane.message WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE`,
);

export async function lockMessages(client: ClientBase, ids: readonly MessageId[]): Promise<readonly LockedMessage[]> {
  return await rowsOf(client, LOCK, [numberArray(ids)]);
}

export interface ToldEvent {
  readonly message_id: MessageId;
  readonly attempt: number;
  readonly kind: string;
  readonly queue_id: string | null;
  readonly version: number | null;
}

/** Of one message: tries for a week are some dozens. */
const EVENTS_MAX = 200;
/** An event is never older than its message, but a reply is told with the time that it came, by another clock. */
const CLOCKS_APART = "interval '1 hour'";

export const EVENTS = statement<ToldEvent>(
  "standing_events",
  `SELECT told.message_id, told.attempt, told.kind, told.queue_id, told.version
   FROM unnest($1::bigint[]) AS given (message_id) CROSS JOIN LATERAL (
     SELECT message_id, attempt, kind, queue_id, version FROM postlane.event
     WHERE message_id = given.message_id
       AND at >= 'epoch'::timestamptz + $2::float8 * interval '1 millisecond' - ${CLOCKS_APART}
     ORDER BY at DESC LIMIT ${EVENTS_MAX}
   ) AS told`,
);

/** The newest first, message by message. */
export async function readTold(
  client: ClientBase,
  ids: readonly MessageId[],
  sinceMs: number,
): Promise<readonly ToldEvent[]> {
  return await rowsOf(client, EVENTS, [numberArray(ids), sinceMs]);
}

export interface NamedAttempt {
  readonly outlet: string;
  readonly queue_id: string;
  readonly message_id: MessageId;
  readonly attempt: number;
}

// Short queue ids are used again: the latest mail that the outlet sent under it.
export const FIND_BY_QUEUE_ID = statement<NamedAttempt>(
  "standing_find_by_queue_id",
  `SELECT given.outlet, given.queue_id, found.message_id, found.attempt
   FROM unnest($1::text[], $2::text[]) AS given (outlet, queue_id) CROSS JOIN LATERAL (
     SELECT message_id, attempt FROM postlane.event
     WHERE queue_id = given.queue_id AND outlet = given.outlet AND kind = 'sent' ORDER BY at DESC LIMIT 1
   ) AS found`,
);

export async function findByQueueId(
  client: ClientBase,
  names: readonly { readonly outlet: string; readonly queueId: string }[],
): Promise<readonly NamedAttempt[]> {
  if (names.length === 0) return [];
  return await rowsOf(client, FIND_BY_QUEUE_ID, [
    textArray(names.map(({ outlet }) => outlet)),
    textArray(names.map(({ queueId }) => queueId)),
  ]);
}
