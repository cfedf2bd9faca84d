// What unsubscribing reads and writes: whom a message went to and by which list, and the suppression that follows.

import type { MessageId } from "../mail/ids.ts";
import { numberArray, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";

export interface AddressedMessage {
  readonly id: MessageId;
  readonly recipient: string;
  /** Empty: none. */
  readonly list: string;
  readonly age_ms: number;
  /** The mailbox that it is from, if it or its template says one. */
  readonly sender: string | null;
  /** What the recipient's data say of their language. */
  readonly locale: string | null;
}

// An email's list and sender stand in its content; a campaign's list in the campaign, its sender in the template.
export const ADDRESSED = statement<AddressedMessage>(
  "unsubscribe_addressed",
  `SELECT m.id, m.recipient, (extract(epoch FROM clock_timestamp() - m.accepted_at) * 1000)::float8 AS age_ms,
     coalesce(CASE WHEN m.campaign_id = 0 THEN content.body ->> 'list' ELSE campaign.list END, '') AS list,
     nullif(content.body ->> CASE WHEN content.raw IS NULL THEN 'from' ELSE 'sender' END, '') AS sender,
     coalesce(m.data ->> 'locale', m.data ->> 'language') AS locale
   FROM unnest($1::bigint[]) AS wanted (id) CROSS JOIN LATERAL (
     SELECT id, campaign_id, content_id, recipient, data, accepted_at FROM postlane.message WHERE id = wanted.id OFFSET 0
   ) AS m LEFT JOIN LATERAL (
     SELECT body, raw FROM postlane.content WHERE id = m.content_id OFFSET 0
   ) AS content ON true LEFT JOIN LATERAL (
     SELECT list FROM postlane.campaign WHERE id = m.campaign_id OFFSET 0
   ) AS campaign ON true`,
);

export async function readAddressed(on: Queryable, ids: readonly MessageId[]): Promise<readonly AddressedMessage[]> {
  return ids.length === 0 ? [] : await rowsOf(on, ADDRESSED, [numberArray(ids)]);
}

export interface NewUnsubscribe {
  /** In hex. */
  readonly hash: string;
  /** As it is kept (`suppressionName`). */
  readonly address: string;
  /** Empty: all bulk mail. */
  readonly list: string;
  readonly source: string;
}

// Who has unsubscribed already is not written again: what is returned has just come into force, so that whoever says it
// twice, or twice at the same time, is told of once. A suppression that would have ended by itself becomes one that does
// not. Sorted as in `suppression_add`, so that the two wait for each other in one order.
export const UNSUBSCRIBE = statement<{ readonly source: string }>(
  "unsubscribe_add",
  `INSERT INTO postlane.suppression AS kept (hash, scope, list, address, reason, source)
   SELECT DISTINCT ON (scope, hash, list) decode(hash, 'hex'), scope, list, address, 'unsubscribe', source
   FROM (
     SELECT hash, CASE list WHEN '' THEN 'bulk' ELSE 'list' END AS scope, list, address, source
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS row (hash, address, list, source)
   ) AS given
   ORDER BY scope, hash, list
   ON CONFLICT (hash, scope, list) DO UPDATE SET reason = excluded.reason, source = excluded.source, expires_at = NULL,
       address = coalesce(kept.address, excluded.address)
     WHERE kept.expires_at IS NOT NULL
   RETURNING source`,
);

/** The sources of those that were not in force before. */
export async function addUnsubscribes(on: Queryable, given: readonly NewUnsubscribe[]): Promise<ReadonlySet<string>> {
  if (given.length === 0) return new Set();
  const rows = await rowsOf(on, UNSUBSCRIBE, [
    textArray(given.map(({ hash }) => hash)),
    textArray(given.map(({ address }) => address)),
    textArray(given.map(({ list }) => list)),
    textArray(given.map(({ source }) => source)),
  ]);
  return new Set(rows.map(({ source }) => source));
}

export const END = statement<{ readonly scope: "bulk" | "list" }>(
  "unsubscribe_end",
  `DELETE FROM postlane.suppression WHERE hash = decode($1, 'hex') AND reason = 'unsubscribe'
     AND (scope = 'bulk' OR (scope = 'list' AND list = $2))
   RETURNING scope`,
);

/** Of the list, and of all bulk mail. Answers which there were; `hash` in hex. */
export async function endUnsubscribes(on: Queryable, hash: string, list: string): Promise<readonly string[]> {
  return (await rowsOf(on, END, [hash, list])).map(({ scope }) => scope);
}
