// What `postlane message show` asks: the message as it was accepted, its row in the queue if it waits, and its story.

import type { CampaignId, MessageId, SubmissionId } from "../mail/ids.ts";
import type { WaitingState } from "../mail/state.ts";
import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface MessageRow {
  readonly id: MessageId;
  readonly lane: string;
  readonly recipient: string;
  readonly submission_id: SubmissionId | null;
  readonly door: string | null;
  readonly credential: string | null;
  readonly metadata: unknown;
  readonly campaign_id: CampaignId;
  readonly campaign: string | null;
  readonly campaign_status: string | null;
  readonly accepted_at: Date;
  readonly expires_at: Date | null;
  /** Null, and so are the next ones: it waits no longer. */
  readonly queue_state: WaitingState | null;
  /** Milliseconds since the epoch; null also when it waits for a person. */
  readonly due_ms: number | null;
  readonly attempts: number | null;
  readonly is_claimed: boolean | null;
}

export const FIND = statement<MessageRow>(
  "message_find",
  `SELECT m.id, lane.name AS lane, m.recipient, m.submission_id, s.door, s.credential, s.metadata,
     m.campaign_id, c.name AS campaign, c.status AS campaign_status, m.accepted_at, m.expires_at,
     q.state AS queue_state,
     CASE WHEN q.due_at < 'infinity' THEN (extract(epoch FROM q.due_at) * 1000)::float8 END AS due_ms,
     q.attempts, q.lease_id IS NOT NULL AS is_claimed
   FROM postlane.message AS m JOIN postlane.lane ON lane.id = m.lane_id
   LEFT JOIN postlane.submission AS s ON s.id = m.submission_id
   LEFT JOIN postlane.campaign AS c ON c.id = m.campaign_id
   LEFT JOIN postlane.queue AS q ON q.message_id = m.id
   WHERE m.id = $1`,
);
export async function findMessage(on: Queryable, id: MessageId): Promise<MessageRow | undefined> {
  const [row] = await rowsOf(on, FIND, [id]);
  return row;
}

export const IDS_OF_SUBMISSION = statement<{ readonly id: MessageId }>(
  "message_ids_of_submission",
  `SELECT id FROM postlane.message WHERE submission_id = $1 ORDER BY id`,
);
export async function messagesOfSubmission(on: Queryable, submissionId: number): Promise<readonly MessageId[]> {
  return (await rowsOf(on, IDS_OF_SUBMISSION, [submissionId])).map((row) => row.id);
}

export interface EventRow {
  readonly at: Date;
  readonly attempt: number;
  readonly kind: string;
  readonly outlet: string | null;
  readonly host: string | null;
  readonly reply: string | null;
}

// By the index of each day's partition: a descent for every day that is kept.
export const EVENTS = statement<EventRow>(
  "message_events",
  `SELECT at, attempt, kind, outlet, host, reply FROM postlane.event WHERE message_id = $1 ORDER BY at, attempt`,
);
export async function readEvents(on: Queryable, id: MessageId): Promise<readonly EventRow[]> {
  return await rowsOf(on, EVENTS, [id]);
}
