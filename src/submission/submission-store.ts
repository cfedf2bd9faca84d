// The door that every submission passes, whatever it came by: the database's own functions hold the rules of entry.

import type { ClientBase } from "pg";
import type { MessageId, SubmissionId } from "../mail/ids.ts";
import { numberArray, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";
import type { Email, RefusalCode, Submission } from "./submission.ts";

export interface AcceptedRow {
  /** In the group, from 1. */
  readonly place: number;
  readonly submission_id: SubmissionId | null;
  readonly is_repeated: boolean | null;
  readonly code: RefusalCode | null;
  readonly message: string | null;
  readonly hint: string | null;
  readonly field: string | null;
}

export const ACCEPT_GROUP = statement<AcceptedRow>(
  "submission_accept_group",
  `SELECT place, submission_id, is_repeated, code, message, hint, field
   FROM postlane.accept_group($1::jsonb, $2::bytea, $3::integer[], $4::text[], $5::text[])`,
);

/** The fields of a submission as the database takes them. */
export function fieldsText(submission: Submission): string {
  return JSON.stringify(submission.kind === "email" ? submission.email : submission.envelope);
}

/** One transaction: when it answers, what is accepted is durable. `texts`: `fieldsText` of each, where it is known. */
export async function acceptGroup(
  on: Queryable,
  group: readonly Submission[],
  texts: readonly string[] = group.map(fieldsText),
): Promise<readonly AcceptedRow[]> {
  return await rowsOf(on, ACCEPT_GROUP, [
    `[${texts.join(",")}]`,
    Buffer.concat(group.flatMap((each) => (each.kind === "mail" ? [each.raw] : []))),
    numberArray(group.map((each) => (each.kind === "mail" ? each.raw.length : null))),
    textArray(group.map(({ door }) => door)),
    textArray(group.map(({ credential }) => credential)),
  ]);
}

export const MESSAGES = statement<{ readonly id: MessageId }>(
  "submission_messages",
  `SELECT id FROM postlane.message WHERE submission_id = $1 ORDER BY id`,
);

export async function messagesOf(on: Queryable, id: SubmissionId): Promise<readonly MessageId[]> {
  return (await rowsOf(on, MESSAGES, [id])).map((row) => row.id);
}

// The lock that the rules of entry take for a key (postlane.enqueue_once), held until the end of the transaction. Without
// it, two of the same batch could each get the keys of some items, and both would be refused.
export const LOCK_KEY = statement<{ readonly is_mine: boolean }>(
  "submission_lock_key",
  `SELECT pg_try_advisory_xact_lock(hashtextextended($1, hashtext($2))) AS is_mine`,
);

/** False: another request is using the key right now. */
export async function lockKey(client: ClientBase, key: string, credential: string): Promise<boolean> {
  const [row] = await rowsOf(client, LOCK_KEY, [key, credential]);
  return row!.is_mine;
}

// The rules of entry keep it, as they keep every other key; the id is of whatever it names: a batch's first submission, a
// subscription.
export const NAME_ONCE = statement<{ readonly earlier_id: number | null }>(
  "submission_name_once",
  `SELECT postlane.enqueue_once($1, $2, $3, $4, $5) AS earlier_id`,
);

/** What the credential has named so before, with this fingerprint; undefined: it names this from now on. Raises PL005 and PL008. */
export async function nameOnce(
  client: ClientBase,
  given: {
    readonly key: string;
    readonly fingerprint: Buffer;
    readonly id: number;
    readonly door: string;
    readonly credential: string;
  },
): Promise<number | undefined> {
  const { key, fingerprint, id, door, credential } = given;
  const [row] = await rowsOf(client, NAME_ONCE, [key, fingerprint, id, door, credential]);
  return row!.earlier_id ?? undefined;
}

export const CHECK_EMAIL = statement<unknown>(
  "submission_check_email",
  `SELECT cardinality(checked.recipients), (postlane.lane_of($2)).id
   FROM postlane.check_email($1::jsonb, clock_timestamp()) AS checked`,
);

/** Raises what the rules of entry would, but for a lane that is full, and accepts nothing. */
export async function checkEmail(on: Queryable, email: Email): Promise<void> {
  await rowsOf(on, CHECK_EMAIL, [JSON.stringify(email), email.lane ?? "transactional"]);
}
