// Suppressions in the database: found by hash, never by address, since an address may have been erased.

import { countOf, numberArray, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";
import type { Mac } from "../mail/token-octets.ts";
import { suppressionHash, suppressionName } from "./suppression-hash.ts";
import type { NewSuppression, SuppressionReason, SuppressionScope } from "./suppression.ts";

const IS_OVER = "kept.expires_at <= clock_timestamp()";

// Said again, it stays as it was said first, but for its end: of two ends the later one counts. What is over already is as
// good as gone, and begins anew. Sorted by scope and hash, so that two who add the same at the same time wait for each other
// in one order (strike-store.ts keeps to it, too).
export const ADD = statement<unknown>(
  "suppression_add",
  `INSERT INTO postlane.suppression AS kept (hash, scope, list, address, reason, source, expires_at)
   SELECT DISTINCT ON (scope, hash, list) decode(hash, 'hex'), scope, list, address, reason, source,
     clock_timestamp() + days * interval '1 day'
   FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::float8[])
     AS given (hash, scope, list, address, reason, source, days)
   ORDER BY scope, hash, list, days DESC NULLS FIRST
   ON CONFLICT (hash, scope, list) DO UPDATE SET address = coalesce(kept.address, excluded.address),
     reason = CASE WHEN ${IS_OVER} THEN excluded.reason ELSE kept.reason END,
     source = CASE WHEN ${IS_OVER} THEN excluded.source ELSE kept.source END,
     created_at = CASE WHEN ${IS_OVER} THEN excluded.created_at ELSE kept.created_at END,
     expires_at = CASE WHEN kept.expires_at IS NULL OR excluded.expires_at IS NULL THEN NULL
       ELSE greatest(kept.expires_at, excluded.expires_at) END`,
);

/** All of them, or none. */
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

// ---- reading --------------------------------------------------------------------------------------------------------

export interface SuppressionRow {
  /** In hexadecimal digits. */
  readonly hash: string;
  readonly scope: SuppressionScope["kind"];
  readonly list: string;
  readonly address: string | null;
  readonly reason: SuppressionReason;
  readonly source: string;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  /** As text: a Date has no microseconds. Where the next page begins. */
  readonly created_us: number;
}

// `hash` in here is the text, and not the column: what is sorted by it must say `kept.hash`.
const COLUMNS = `encode(hash, 'hex') AS hash, scope, list, address, reason, source, created_at, expires_at,
  (extract(epoch FROM created_at) * 1000000)::bigint AS created_us`;

export interface SuppressionSearch {
  readonly domain?: string | undefined;
  readonly reason?: SuppressionReason | undefined;
  readonly scope?: SuppressionScope["kind"] | undefined;
  readonly list?: string | undefined;
  readonly since?: Date | undefined;
  /** The last row of the page before. */
  readonly after?: SuppressionPlace | undefined;
  readonly limit: number;
}

export interface SuppressionPlace {
  readonly createdUs: number;
  readonly hash: string;
  readonly scope: string;
  readonly list: string;
}

// Down the index by time from where the page before has ended; what does not match is passed over. What is over is not told.
export const SEARCH = statement<SuppressionRow>(
  "suppression_search",
  `SELECT ${COLUMNS} FROM postlane.suppression AS kept
   WHERE (created_at, hash, scope, list) < (
       CASE WHEN $1::bigint IS NULL THEN 'infinity'::timestamptz
         ELSE 'epoch'::timestamptz + $1 * interval '1 microsecond' END,
       decode(coalesce($2::text, ''), 'hex'), coalesce($3::text, '') COLLATE "C", coalesce($4::text, '') COLLATE "C")
     AND created_at >= coalesce($5::timestamptz, '-infinity')
     AND ($6::text IS NULL OR split_part(address, '@', -1) = $6)
     AND ($7::text IS NULL OR reason = $7) AND ($8::text IS NULL OR scope = $8) AND ($9::text IS NULL OR list = $9)
     AND (expires_at IS NULL OR expires_at > clock_timestamp())
   ORDER BY kept.created_at DESC, kept.hash DESC, kept.scope DESC, kept.list DESC LIMIT $10`,
);

/** The newest first. */
export async function searchSuppressions(
  on: Queryable,
  { domain, reason, scope, list, since, after, limit }: SuppressionSearch,
): Promise<readonly SuppressionRow[]> {
  const wire = domain === undefined ? null : suppressionName(`@${domain}`).slice(1);
  return await rowsOf(on, SEARCH, [
    after?.createdUs ?? null,
    after?.hash ?? null,
    after?.scope ?? null,
    after?.list ?? null,
    since ?? null,
    wire,
    reason ?? null,
    scope ?? null,
    list ?? null,
    limit,
  ]);
}

export const OF_NAMES = statement<SuppressionRow>(
  "suppression_of_names",
  `SELECT ${COLUMNS} FROM postlane.suppression AS kept
   WHERE hash = ANY (ARRAY(SELECT decode(hash, 'hex') FROM unnest($1::text[]) AS given (hash)))
     AND (expires_at IS NULL OR expires_at > clock_timestamp())
   ORDER BY kept.created_at DESC, kept.hash DESC, kept.scope, kept.list`,
);

/** All that holds for an address, its domain's included; found by hash, so that it may have been erased. */
export async function findSuppressions(on: Queryable, mac: Mac, address: string): Promise<readonly SuppressionRow[]> {
  const name = suppressionName(address);
  const domain = name.slice(name.lastIndexOf("@"));
  return await rowsOf(on, OF_NAMES, [textArray([...new Set([hexOf(name, mac), hexOf(domain, mac)])])]);
}

function hexOf(address: string, mac: Mac): string {
  return Buffer.from(suppressionHash(address, mac)).toString("hex");
}

// By the primary key: a slice costs the same wherever it lies.
export const SLICE = statement<SuppressionRow>(
  "suppression_slice",
  `SELECT ${COLUMNS} FROM postlane.suppression AS kept
   WHERE (hash, scope, list) > (decode($1, 'hex'), $2::text COLLATE "C", $3::text COLLATE "C")
     AND (expires_at IS NULL OR expires_at > clock_timestamp())
   ORDER BY kept.hash, kept.scope, kept.list LIMIT $4`,
);

/** All of them in slices, in the order of their hashes; to be read to the end. */
export async function* readAllSuppressions(on: Queryable, rowsMax: number): AsyncGenerator<readonly SuppressionRow[]> {
  let last = { hash: "", scope: "", list: "" };
  for (;;) {
    const rows = await rowsOf(on, SLICE, [last.hash, last.scope, last.list, rowsMax]);
    if (rows.length > 0) yield rows;
    if (rows.length < rowsMax) return;
    last = rows.at(-1)!;
  }
}

// ---- ending ---------------------------------------------------------------------------------------------------------

export const REMOVE = statement<unknown>(
  "suppression_remove",
  `DELETE FROM postlane.suppression WHERE hash = decode($1, 'hex') AND ($2::text IS NULL OR (scope = $2 AND list = $3))`,
);

/** Without a scope: whatever it is. Answers how many there were. */
export async function removeSuppressions(
  on: Queryable,
  mac: Mac,
  address: string,
  scope: SuppressionScope | undefined,
): Promise<number> {
  const list = scope?.kind === "list" ? scope.list : "";
  return await countOf(on, REMOVE, [hexOf(address, mac), scope?.kind ?? null, list]);
}

export const ERASE = statement<unknown>(
  "suppression_erase",
  `UPDATE postlane.suppression SET address = NULL WHERE hash = decode($1, 'hex')`,
);

/** The address goes, the promise stays. Answers how many there are of it. */
export async function eraseAddress(on: Queryable, mac: Mac, address: string): Promise<number> {
  return await countOf(on, ERASE, [hexOf(address, mac)]);
}

export const PRUNE = statement<unknown>(
  "suppression_prune",
  `DELETE FROM postlane.suppression WHERE (hash, scope, list) IN (
     SELECT hash, scope, list FROM postlane.suppression WHERE expires_at <= clock_timestamp()
     ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
   )`,
);

/** What is over. Answers how many went. */
export async function pruneSuppressions(on: Queryable, rowsMax: number): Promise<number> {
  return await countOf(on, PRUNE, [rowsMax]);
}
