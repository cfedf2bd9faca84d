// Strikes in the database: what suppresses by itself. Written in the transaction that settles the bounce. The row for bulk
// remembers the latest strike and the one before it, so that the second within 30 days is seen under that row's lock, also
// when two bounces are settled at the same time.

import type { MessageId } from "../mail/ids.ts";
import { countOf, numberArray, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";
import { suppressionName } from "./suppression-hash.ts";
import { STRIKE_DAYS, STRIKE_ENDS_DAYS, type Strike } from "./suppression.ts";

const END = `clock_timestamp() + interval '${STRIKE_ENDS_DAYS} days'`;
/** Said about the same message before. */
const IS_AGAIN = "kept.struck_by = excluded.struck_by";
const IS_OVER = "kept.expires_at <= clock_timestamp()";

// The rows for bulk first, then those for everything, each sorted by hash: the order of whoever else adds
// (suppression-store.ts), so that two never wait for each other. What a person has said without an end keeps none, and whose
// address was erased stays without one.
export const STRIKE = statement<unknown>(
  "suppression_strike",
  `WITH given AS MATERIALIZED (
     SELECT hash, min(address) AS address, min(reason) AS reason, min(source) AS source, max(about) AS about,
       count(DISTINCT about) + count(*) FILTER (WHERE about IS NULL) AS strikes
     FROM (
       SELECT postlane.suppression_hash(address) AS hash, address, reason, source, about
       FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS one (address, reason, source, about)
     ) AS hashed WHERE hash IS NOT NULL GROUP BY hash
   ), struck AS (
     INSERT INTO postlane.suppression AS kept
       (hash, scope, address, reason, source, expires_at, struck_at, struck_by, struck_before_at)
     SELECT hash, 'bulk', address, reason, source, ${END}, clock_timestamp(), about,
       CASE WHEN strikes > 1 THEN clock_timestamp() END
     FROM given ORDER BY hash
     ON CONFLICT (hash, scope, list) DO UPDATE SET
       reason = CASE WHEN ${IS_OVER} THEN excluded.reason ELSE kept.reason END,
       source = CASE WHEN ${IS_OVER} THEN excluded.source ELSE kept.source END,
       created_at = CASE WHEN ${IS_OVER} THEN excluded.created_at ELSE kept.created_at END,
       expires_at = CASE WHEN ${IS_AGAIN} OR kept.expires_at IS NULL THEN kept.expires_at
         ELSE greatest(kept.expires_at, excluded.expires_at) END,
       struck_before_at = CASE WHEN ${IS_AGAIN} THEN kept.struck_before_at
         ELSE coalesce(excluded.struck_before_at, kept.struck_at) END,
       struck_at = CASE WHEN ${IS_AGAIN} THEN kept.struck_at ELSE excluded.struck_at END,
       struck_by = excluded.struck_by
     RETURNING hash, address, struck_at, struck_before_at
   )
   INSERT INTO postlane.suppression AS kept (hash, scope, address, reason, source, expires_at)
   SELECT hash, 'everything', struck.address, given.reason, given.source, ${END}
   FROM struck JOIN given USING (hash)
   WHERE struck.struck_before_at > struck.struck_at - interval '${STRIKE_DAYS} days'
   ORDER BY hash
   ON CONFLICT (hash, scope, list) DO UPDATE SET
     expires_at = CASE WHEN kept.expires_at IS NULL THEN NULL ELSE greatest(kept.expires_at, excluded.expires_at) END`,
);

/** In the caller's transaction. */
export async function addStrikes(on: Queryable, strikes: readonly Strike[]): Promise<void> {
  if (strikes.length === 0) return;
  await countOf(on, STRIKE, [
    textArray(strikes.map(({ address }) => suppressionName(address))),
    textArray(strikes.map(({ reason }) => reason)),
    textArray(strikes.map(({ source }) => source)),
    textArray(strikes.map(({ about }) => about)),
  ]);
}

export interface Recipient {
  readonly id: MessageId;
  readonly recipient: string;
}

export const RECIPIENTS = statement<Recipient>(
  "suppression_recipients",
  `SELECT id, recipient FROM postlane.message WHERE id = ANY ($1::bigint[])`,
);

export async function readRecipients(on: Queryable, ids: readonly MessageId[]): Promise<readonly Recipient[]> {
  return await rowsOf(on, RECIPIENTS, [numberArray(ids)]);
}
