// What the HTTP door asks of submissions: one with its content, a page of them, their messages as they stand, and their
// stories. By primary keys, the index over a credential's submissions and the one over a submission's messages; the
// sessions leave the planner no other way (queue/session-store.ts). Writes nothing.

import type { MessageId, SubmissionId } from "../mail/ids.ts";
import type { SettledState, WaitingState } from "../mail/state.ts";
import { numberArray, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";
import type { EventRow } from "./message-store.ts";

/** The fields of the content that a list shows; of a whole mail there is only its sender. */
export interface ListedRow {
  readonly id: SubmissionId;
  readonly credential: string;
  readonly accepted_at: Date;
  readonly sender: string | null;
  readonly from: string | null;
  readonly to: readonly string[] | null;
  readonly cc: readonly string[] | null;
  readonly reply_to: readonly string[] | null;
  readonly subject: string | null;
}

export interface EmailRow extends ListedRow {
  readonly door: string;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly text: string | null;
  readonly html: string | null;
  readonly headers: Readonly<Record<string, string>> | null;
  readonly tags: readonly { readonly name: string; readonly value: string }[] | null;
  readonly template: { readonly id: string; readonly variables: Readonly<Record<string, unknown>> } | null;
}

const LISTED = `s.id, s.credential, s.accepted_at, c.body ->> 'sender' AS sender, c.body ->> 'from' AS "from",
     c.body -> 'to' AS "to", c.body -> 'cc' AS cc, c.body -> 'reply_to' AS reply_to, c.body ->> 'subject' AS subject`;

export const FIND = statement<EmailRow>(
  "email_find",
  `SELECT ${LISTED}, s.door, s.metadata, c.body ->> 'text' AS text, c.body ->> 'html' AS html,
     c.body -> 'headers' AS headers, c.body -> 'tags' AS tags, c.body -> 'template' AS template
   FROM postlane.submission AS s CROSS JOIN LATERAL (SELECT body FROM postlane.content WHERE id = s.id OFFSET 0) AS c
   WHERE s.id = $1`,
);
export async function findSubmission(on: Queryable, id: SubmissionId): Promise<EmailRow | undefined> {
  const [row] = await rowsOf(on, FIND, [id]);
  return row;
}

export const OWNER = statement<{ readonly credential: string }>(
  "email_owner",
  `SELECT credential FROM postlane.submission WHERE id = $1`,
);
export async function findOwner(on: Queryable, id: SubmissionId): Promise<string | undefined> {
  const [row] = await rowsOf(on, OWNER, [id]);
  return row?.credential;
}

// `door` is in the condition since it is in the index's: what came by SQL has no row there.
export const LIST_OF = statement<ListedRow>(
  "email_list_of",
  `SELECT ${LISTED} FROM (
     SELECT id, credential, accepted_at FROM postlane.submission
     WHERE credential = $1 AND door <> 'sql' AND id < $2 ORDER BY credential DESC, id DESC LIMIT $3
   ) AS s CROSS JOIN LATERAL (SELECT body FROM postlane.content WHERE id = s.id OFFSET 0) AS c
   ORDER BY s.id DESC`,
);
export const LIST_ALL = statement<ListedRow>(
  "email_list_all",
  `SELECT ${LISTED} FROM (
     SELECT id, credential, accepted_at FROM postlane.submission WHERE id < $1 ORDER BY id DESC LIMIT $2
   ) AS s CROSS JOIN LATERAL (SELECT body FROM postlane.content WHERE id = s.id OFFSET 0) AS c
   ORDER BY s.id DESC`,
);

/** The newest first, from before `before` on; of one credential, or of all. */
export async function listSubmissions(
  on: Queryable,
  question: { readonly credential?: string | undefined; readonly before: number; readonly rowsMax: number },
): Promise<readonly ListedRow[]> {
  const { credential, before, rowsMax } = question;
  if (credential === undefined) return await rowsOf(on, LIST_ALL, [before, rowsMax]);
  return await rowsOf(on, LIST_OF, [credential, before, rowsMax]);
}

export interface SubmittedRow {
  readonly submission_id: SubmissionId;
  readonly id: MessageId;
  readonly recipient: string;
  readonly lane: string;
  readonly expires_at: Date | null;
  /** Null, and so is the next one: it waits no longer. */
  readonly queue_state: WaitingState | null;
  /** Null also when it waits for a person. */
  readonly due_at: Date | null;
}

export const MESSAGES = statement<SubmittedRow>(
  "email_messages",
  `SELECT m.submission_id, m.id, m.recipient, lane.name AS lane, m.expires_at, q.state AS queue_state, q.due_at
   FROM unnest($1::bigint[]) AS given (id) CROSS JOIN LATERAL (
     SELECT * FROM (
       SELECT submission_id, id, recipient, lane_id, expires_at FROM postlane.message
       WHERE submission_id = given.id OFFSET 0
     ) AS all_of_it ORDER BY id LIMIT $2
   ) AS m CROSS JOIN LATERAL (SELECT name FROM postlane.lane WHERE id = m.lane_id OFFSET 0) AS lane
   LEFT JOIN LATERAL (
     SELECT state, CASE WHEN due_at < 'infinity' THEN due_at END AS due_at FROM postlane.queue
     WHERE message_id = m.id OFFSET 0
   ) AS q ON true
   ORDER BY m.submission_id, m.id`,
);
/** Of each submission its first ones. */
export async function readSubmitted(
  on: Queryable,
  ids: readonly SubmissionId[],
  messagesMax: number,
): Promise<readonly SubmittedRow[]> {
  return await rowsOf(on, MESSAGES, [numberArray(ids), messagesMax]);
}

export interface SubmittedEventRow extends EventRow {
  readonly message_id: MessageId;
}

// A descent for each message and each day that is kept.
export const EVENTS = statement<SubmittedEventRow>(
  "email_events",
  `SELECT e.message_id, e.at, e.attempt, e.kind, e.outlet, e.host, e.reply
   FROM unnest($1::bigint[]) AS given (id) CROSS JOIN LATERAL (
     SELECT message_id, at, attempt, kind, outlet, host, reply FROM postlane.event WHERE message_id = given.id OFFSET 0
   ) AS e
   ORDER BY e.message_id, e.at, e.attempt`,
);
export async function readEventsOf(on: Queryable, ids: readonly MessageId[]): Promise<readonly SubmittedEventRow[]> {
  return await rowsOf(on, EVENTS, [numberArray(ids)]);
}

export const ENDS = statement<{ readonly message_id: MessageId; readonly state: SettledState }>(
  "email_ends",
  `SELECT given.id AS message_id, last.kind AS state
   FROM unnest($1::bigint[]) AS given (id) CROSS JOIN LATERAL (
     SELECT e.kind FROM (
       SELECT at, kind FROM postlane.event WHERE message_id = given.id OFFSET 0
     ) AS e WHERE e.kind = ANY ($2::text[]) ORDER BY e.at DESC LIMIT 1
   ) AS last`,
);
/** How messages that wait no longer have ended, so far as it is still known. */
export async function readEnds(
  on: Queryable,
  ids: readonly MessageId[],
  settledStates: readonly SettledState[],
): Promise<ReadonlyMap<MessageId, SettledState>> {
  if (ids.length === 0) return new Map();
  const rows = await rowsOf(on, ENDS, [numberArray(ids), textArray(settledStates)]);
  return new Map(rows.map((row) => [row.message_id, row.state]));
}
