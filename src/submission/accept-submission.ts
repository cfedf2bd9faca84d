// One submission through a door of ours. The rules of entry stand in the database, where the SQL door has them too
// (docs/reference/sql.md); what they refuse comes back as a value, with the hint of what to do.

import type { Pool } from "pg";
import pg from "pg";
import type { MessageId, SubmissionId } from "../mail/ids.ts";
import { acceptEmail, messagesOf } from "./submission-store.ts";

/** The fields of `POST /emails`, as `postlane.enqueue` takes them. */
export interface Email {
  readonly from?: string;
  readonly to: string | readonly string[];
  readonly cc?: string | readonly string[];
  readonly bcc?: string | readonly string[];
  readonly reply_to?: string | readonly string[];
  readonly subject?: string;
  readonly text?: string;
  readonly html?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly lane?: string;
  readonly scheduled_at?: string;
  readonly expires_at?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly idempotency_key?: string;
}

export type SubmissionAnswer =
  | { readonly kind: "accepted"; readonly submissionId: SubmissionId; readonly messageIds: readonly MessageId[] }
  | { readonly kind: "refused"; readonly code: string; readonly message: string; readonly hint: string };

/** Answers after the commit. Throws when the database fails: then nothing is known of the commit. */
export async function acceptSubmission(pool: Pool, email: Email, door = "cli"): Promise<SubmissionAnswer> {
  try {
    const submissionId = await acceptEmail(pool, email, door);
    return { kind: "accepted", submissionId, messageIds: await messagesOf(pool, submissionId) };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { kind: "refused", code: error.code ?? "", message: error.message, hint: error.hint ?? "" };
  }
}

/** The SQLSTATE class of the rules of entry. */
function isRefusal(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && error.code !== undefined && /^PL00\d$/.test(error.code);
}
