// The outbox of notices to submitters. It is filled by the statement that appends events; a row goes in the transaction
// that accepts its notice as mail, or when no notice is due after all.

import type { ClientBase } from "pg";
import type { MessageId } from "../mail/ids.ts";
import { countOf, numberArray, rowsOf, statement, textArray } from "../postgres/statement.ts";
import type { KeptMail } from "../submission/submission.ts";

export interface OwedNotice {
  readonly message_id: MessageId;
  readonly kind: "bounced" | "expired" | "sent" | "delivered";
  readonly attempt: number;
  readonly host: string | null;
  readonly reply: string | null;
  /** Null: the message is no longer kept, or was no whole mail. */
  readonly recipient: string | null;
  readonly accepted_ms: number | null;
  readonly mail: KeptMail | null;
  /** All of it, if it is to be sent back whole and is not too large; else its beginning. */
  readonly original: Buffer | null;
  readonly is_whole: boolean | null;
  /** The outlet whose relay had taken this very attempt, before it became what it is. */
  readonly sent_by: string | null;
  /** Whatever kept it back, it is no news any more. */
  readonly is_stale: boolean;
}

/** As long as a mail server commonly keeps a mail that it cannot deliver (RFC 5321 §4.5.4.1). */
const STALE_AFTER_DAYS = 5;

/** `RET=FULL` brings back no more: a notice that is larger than many a limit would not arrive. */
export const RETURNED_OCTETS_MAX = 1024 * 1024;
/** In which a header ends, nearly always. */
const HEAD_OCTETS_MAX = 64 * 1024;

export const TAKE = statement<OwedNotice>(
  "owed_notice_take",
  `SELECT owed.message_id, owed.kind, owed.attempt, owed.host, owed.reply, m.recipient,
     (extract(epoch FROM m.accepted_at) * 1000)::float8 AS accepted_ms, said.mail, said.is_whole,
     (SELECT e.outlet FROM postlane.event AS e WHERE e.message_id = owed.message_id AND e.attempt = owed.attempt
        AND e.kind = 'sent' AND owed.kind = 'bounced' LIMIT 1) AS sent_by,
     owed.at < clock_timestamp() - ${STALE_AFTER_DAYS} * interval '1 day' AS is_stale,
     CASE WHEN said.is_whole THEN said.raw ELSE substring(said.raw FROM 1 FOR ${HEAD_OCTETS_MAX}) END AS original
   FROM (
     SELECT * FROM postlane.owed_notice WHERE due_at <= now() ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
   ) AS owed LEFT JOIN LATERAL (
     SELECT recipient, accepted_at, content_id FROM postlane.message WHERE id = owed.message_id OFFSET 0
   ) AS m ON true LEFT JOIN LATERAL (
     SELECT body AS mail, raw, body ->> 'ret' = 'FULL' AND octet_length(raw) <= ${RETURNED_OCTETS_MAX} AS is_whole
     FROM postlane.content WHERE id = m.content_id AND raw IS NOT NULL OFFSET 0
   ) AS said ON true`,
);

/** Up to so many, locked for the caller's transaction. */
export async function takeOwedNotices(client: ClientBase, rowsMax: number): Promise<readonly OwedNotice[]> {
  return await rowsOf(client, TAKE, [rowsMax]);
}

export const DROP = statement<unknown>(
  "owed_notice_drop",
  `DELETE FROM postlane.owed_notice AS o USING unnest($1::bigint[], $2::text[]) AS done (message_id, kind)
   WHERE o.message_id = ANY ($1::bigint[]) AND o.message_id = done.message_id AND o.kind = done.kind`,
);

type NoticeName = Pick<OwedNotice, "message_id" | "kind">;

/** They are accepted, or will never be. */
export async function dropOwedNotices(client: ClientBase, done: readonly NoticeName[]): Promise<void> {
  if (done.length === 0) return;
  await countOf(client, DROP, [
    numberArray(done.map(({ message_id }) => message_id)),
    textArray(done.map(({ kind }) => kind)),
  ]);
}

export const PUT_OFF = statement<unknown>(
  "owed_notice_put_off",
  `UPDATE postlane.owed_notice SET due_at = clock_timestamp() + $3 * interval '1 millisecond'
   WHERE message_id = $1 AND kind = $2`,
);

export async function putOffNotice(client: ClientBase, { message_id, kind }: NoticeName, ms: number): Promise<void> {
  await countOf(client, PUT_OFF, [message_id, kind, ms]);
}
