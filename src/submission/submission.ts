// One request by which the site hands over mail (RFC 6409), as the doors give it to the station: either the fields of
// an email, or a whole mail as it came by SMTP with its envelope. And the answer, which is a value whatever it says.

import type { SubmissionId } from "../mail/ids.ts";

export type Door = "http" | "smtp" | "sendmail" | "sql" | "cli" | "notice";

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
  /** Instead of both: a pushed template, by name or name@version. */
  readonly template?: { readonly id: string; readonly variables?: Readonly<Record<string, unknown>> | null };
  readonly headers?: Readonly<Record<string, string>>;
  readonly attachments?: readonly EmailAttachment[];
  readonly tags?: readonly { readonly name: string; readonly value: string }[];
  readonly lane?: string;
  /** What the recipient unsubscribes from. */
  readonly list?: string;
  readonly scheduled_at?: string;
  readonly expires_at?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly idempotency_key?: string;
}

export interface EmailAttachment {
  readonly filename: string;
  /** In base64. */
  readonly content: string;
  readonly content_type?: string;
  readonly content_id?: string;
}

/** What came beside a whole mail. */
export interface MailEnvelope {
  readonly to: readonly string[];
  readonly lane?: string;
  readonly scheduled_at?: string;
  readonly expires_at?: string;
  readonly idempotency_key?: string;
  /** With a key: the SHA-256 of what was submitted, in hex, before the door added anything. */
  readonly fingerprint?: string;
  /** Seconds for which the key names this submission; absent: for ever. */
  readonly key_kept_s?: number;
  readonly mail: KeptMail;
}

/** What is kept beside the octets of a mail, for whoever hands it over and tells its sender what became of it. */
export interface KeptMail {
  /** MAIL FROM; empty: the null sender. */
  readonly sender: string;
  /** The client asked for SMTPUTF8 (RFC 6531 §3.4). */
  readonly is_utf8?: true;
  /** RFC 3461: as they were given. `notify` and `orcpt` by recipient. */
  readonly ret?: "FULL" | "HDRS";
  readonly envid?: string;
  readonly notify?: Readonly<Record<string, string>>;
  readonly orcpt?: Readonly<Record<string, string>>;
  /** Its sender gets no failure notice from here. */
  readonly is_silent?: true;
  /** What the recipient unsubscribes from. */
  readonly list?: string;
}

export type Submission = {
  readonly door: Door;
  /** Who submits: `key:7`, `loopback`, `cli`, or the database user. Idempotency keys are unique within it. */
  readonly credential: string;
} & (
  | { readonly kind: "email"; readonly email: Email }
  | { readonly kind: "mail"; readonly envelope: MailEnvelope; readonly raw: Buffer }
);

export type SubmissionAnswer = SubmissionAccepted | SubmissionRefused;

export interface SubmissionAccepted {
  readonly kind: "accepted";
  readonly submissionId: SubmissionId;
  /** It had been accepted before, under the same idempotency key. */
  readonly isRepeated: boolean;
}

/** Nothing was queued. */
export interface SubmissionRefused {
  readonly kind: "refused";
  readonly code: RefusalCode;
  /** What is wrong, and what to do. */
  readonly message: string;
  readonly hint: string;
  /** Of the email's fields, the one to blame. */
  readonly field?: string;
}

/** SQLSTATEs of the rules of entry (docs/reference/sql.md). */
export const REFUSAL_CODES = {
  badField: "PL001",
  badAddress: "PL002",
  noSuchLane: "PL003",
  limitExceeded: "PL004",
  keyUsedForOther: "PL005",
  badTime: "PL006",
  keyInProgress: "PL008",
  laneFull: "PL009",
} as const;
export type RefusalCode = (typeof REFUSAL_CODES)[keyof typeof REFUSAL_CODES];
