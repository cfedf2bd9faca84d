// The door that every submission passes, whatever it came by: the database's own function holds the rules of entry.

import type { MessageId, SubmissionId } from "../mail/ids.ts";
import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export const ACCEPT = statement<{ readonly id: SubmissionId }>(
  "submission_accept",
  `SELECT postlane.accept_email($1::jsonb, $2) AS id`,
);

export async function acceptEmail(on: Queryable, email: unknown, door: string): Promise<SubmissionId> {
  const [row] = await rowsOf(on, ACCEPT, [JSON.stringify(email), door]);
  return row!.id;
}

export const MESSAGES = statement<{ readonly id: MessageId }>(
  "submission_messages",
  `SELECT id FROM postlane.message WHERE submission_id = $1 ORDER BY id`,
);

export async function messagesOf(on: Queryable, id: SubmissionId): Promise<readonly MessageId[]> {
  return (await rowsOf(on, MESSAGES, [id])).map((row) => row.id);
}
