// Suppressions in the database: found by hash, never by address, since an address may have been erased.

import { countOf, numberArray, statement, textArray, type Queryable } from "../postgres/statement.ts";
import type { Mac } from "../mail/return-token.ts";
import { suppressionHash, suppressionName } from "./suppression-hash.ts";
import type { NewSuppression } from "./suppression.ts";

// Said again, it stays as it was said first, but for its end: of two ends the later one counts.
export const ADD = statement<unknown>(
  "suppression_add",
  `INSERT INTO postlane.suppression AS kept (hash, scope, list, address, reason, source, expires_at)
   SELECT DISTINCT ON (hash, scope, list) decode(hash, 'hex'), scope, list, address, reason, source,
     clock_timestamp() + days * interval '1 day'
   FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::float8[])
     AS given (hash, scope, list, address, reason, source, days)
   ORDER BY hash, scope, list
   ON CONFLICT (hash, scope, list) DO UPDATE SET address = coalesce(kept.address, excluded.address),
     expires_at = CASE WHEN kept.expires_at IS NULL OR excluded.expires_at IS NULL THEN NULL
       ELSE greatest(kept.expires_at, excluded.expires_at) END`,
);

/** All of them, or none. Sorted by hash, so that two who add the same at the same time wait for each other in one order. */
export async function addSuppressions(on: Queryable, mac: Mac, given: readonly NewSuppression[]): Promise<void> {
  if (given.length === 0) return;
  await countOf(on, ADD, [
    textArray(given.map(({ address }) => Buffer.from(suppressionHash(address, mac)).toString("hex"))),
    textArray(given.map(({ scope }) => scope.kind)),
    textArray(given.map(({ scope }) => (scope.kind === "list" ? scope.list : ""))),
    textArray(given.map(({ address }) => suppressionName(address))),
    textArray(given.map(({ reason }) => reason)),
    textArray(given.map(({ source }) => source)),
    numberArray(given.map(({ days }) => days ?? null)),
  ]);
}
