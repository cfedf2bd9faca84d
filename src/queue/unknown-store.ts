// Messages whose hand-over may or may not have arrived: they are settled by evidence that comes late, or by a person.
// Every write compares state and attempt, so that late evidence never touches a newer claim.

import type { ClientBase } from "pg";
import type { CampaignId, LaneId, MessageId } from "../mail/ids.ts";
import { numberArray, rowsOf, statement } from "../postgres/statement.ts";

export interface UnknownRow {
  readonly message_id: MessageId;
  readonly lane_id: LaneId;
  readonly campaign_id: CampaignId;
  readonly accepted_on: string;
  readonly attempts: number;
  /** Of its campaign's template, that the attempt was made with; null: the first, or no campaign's. */
  readonly version: number | null;
}

// Not the row's own: that is the latest claim's, and a claim that was given back since has left its version there. Where the
// story is no longer kept, the row's is the best that is known.
const VERSION = `nullif(coalesce((
     SELECT coalesce(told.version, 0) FROM (
       SELECT attempt, kind, at, version FROM postlane.event WHERE message_id = q.message_id OFFSET 0
     ) AS told WHERE told.attempt = q.attempts AND told.kind = 'unknown' ORDER BY told.at DESC LIMIT 1
   ), q.version), 0) AS version`;

export const SETTLE_UNKNOWN = statement<UnknownRow>(
  "unknown_settle",
  `DELETE FROM postlane.queue AS q USING unnest($1::bigint[], $2::smallint[]) AS given (message_id, attempt)
   WHERE q.message_id = ANY ($1::bigint[]) AND q.message_id = given.message_id AND q.state = 'unknown' AND q.lease_id IS NULL
     AND (given.attempt IS NULL OR q.attempts = given.attempt)
   RETURNING q.message_id, q.lane_id, q.campaign_id, q.accepted_on::text AS accepted_on, q.attempts,
     ${VERSION}`,
);

/** Rows that are (still) unknown after this very attempt leave the queue; a null attempt means whichever it was. */
export async function settleIfUnknown(
  client: ClientBase,
  attempts: readonly { readonly messageId: MessageId; readonly attempt: number | null }[],
): Promise<readonly UnknownRow[]> {
  return await rowsOf(client, SETTLE_UNKNOWN, [
    numberArray(attempts.map(({ messageId }) => messageId)),
    numberArray(attempts.map(({ attempt }) => attempt)),
  ]);
}

export const RETRY_UNKNOWN = statement<UnknownRow>(
  "unknown_retry",
  `UPDATE postlane.queue AS q SET state = 'deferred', due_at = clock_timestamp(), tx = pg_current_xact_id()
   FROM unnest($1::bigint[], $2::smallint[]) AS given (message_id, attempt)
   WHERE q.message_id = ANY ($1::bigint[]) AND q.message_id = given.message_id AND q.state = 'unknown' AND q.lease_id IS NULL
     AND (given.attempt IS NULL OR q.attempts = given.attempt)
   RETURNING q.message_id, q.lane_id, q.campaign_id, q.accepted_on::text AS accepted_on, q.attempts,
     ${VERSION}`,
);

/** Rows that are (still) unknown are due again now: evidence says they did not arrive, or a person accepts two copies. */
export async function retryIfUnknown(
  client: ClientBase,
  attempts: readonly { readonly messageId: MessageId; readonly attempt: number | null }[],
): Promise<readonly UnknownRow[]> {
  return await rowsOf(client, RETRY_UNKNOWN, [
    numberArray(attempts.map(({ messageId }) => messageId)),
    numberArray(attempts.map(({ attempt }) => attempt)),
  ]);
}
