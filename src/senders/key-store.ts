// Keys in the database, and what is left of their rates. No secret passes through here, only its hash; whether a key is
// good is judged by the database's clock, which all fronts share.

import { countOf, numberArray, rowsOf, statement, type Queryable } from "../postgres/statement.ts";
import type { Scope } from "./sender.ts";

/** Rights, as they are given once and never changed. */
export interface KeyRights {
  readonly name: string;
  readonly scope: Scope;
  readonly lanes: readonly string[] | null;
  readonly from_domains: readonly string[] | null;
  /** Submissions per second. */
  readonly max_rate: number | null;
  readonly gets_notices: boolean;
  readonly is_deduplicated: boolean;
}

const RIGHTS = "name, scope, lanes, from_domains, max_rate, gets_notices, is_deduplicated";

export interface CheckedKeyRow extends KeyRights {
  readonly id: number;
  readonly owner_id: number;
  readonly secret_hash: Buffer;
  readonly is_revoked: boolean;
  /** Milliseconds; negative: it has ended. Null: it does not. */
  readonly ends_in_ms: number | null;
  /** Its use was written down within the last minute. */
  readonly is_use_noted: boolean;
}

/** By the primary key, a few at once: what is asked for at the same time is asked for together. */
export const CHECK = statement<CheckedKeyRow>(
  "key_check",
  `SELECT id, owner_id, secret_hash, revoked_at IS NOT NULL AS is_revoked,
     extract(epoch FROM expires_at - clock_timestamp())::float8 * 1000 AS ends_in_ms,
     coalesce(last_used_at > clock_timestamp() - interval '1 minute', false) AS is_use_noted, ${RIGHTS}
   FROM postlane.key WHERE id = ANY($1::integer[])`,
);

export async function readKeysToCheck(on: Queryable, ids: readonly number[]): Promise<readonly CheckedKeyRow[]> {
  return await rowsOf(on, CHECK, [numberArray(ids)]);
}

/** Several fronts may note the same use: one of them writes. */
export const NOTE_USE = statement<unknown>(
  "key_note_use",
  `UPDATE postlane.key SET last_used_at = clock_timestamp()
   WHERE id = $1 AND coalesce(last_used_at < clock_timestamp() - interval '1 minute', true)`,
);

export async function noteUseIfOld(on: Queryable, id: number): Promise<void> {
  await countOf(on, NOTE_USE, [id]);
}

export interface TakenRow {
  /** 0: not now. */
  readonly granted: number;
  /** What is left in the bucket; negative: it is being paid off. */
  readonly tokens: number;
}

/**
 * Takes `needed` tokens out of the bucket that all fronts share, and up to `ahead` more if they are there. Whoever needs
 * more than it holds gets that when it is full. The row is locked for the statement alone, which is a transaction of its
 * own and waits for no disk; the clock is read once the lock is there, so that no time is counted twice.
 */
export const TAKE_TOKENS = statement<TakenRow>(
  "key_take_tokens",
  `INSERT INTO postlane.key_rate AS bucket (credential, tokens, granted, at)
     SELECT $1, $3 - granted, granted, clock_timestamp()
     FROM (SELECT $4::float8 + least($5, greatest(floor($3::float8 - $4), 0)) AS granted) AS first
   ON CONFLICT (credential) DO UPDATE SET (tokens, granted, at) = (
     SELECT filled.tokens - given.granted, given.granted, now.at
     FROM (SELECT clock_timestamp() AS at) AS now,
       LATERAL (SELECT least($3, bucket.tokens
         + $2::float8 * greatest(extract(epoch FROM now.at - bucket.at)::float8, 0)) AS tokens) AS filled,
       -- Sums of fractions end a hair below a whole.
       LATERAL (SELECT CASE WHEN filled.tokens + 1e-6 >= least($4, $3)
         THEN $4 + least($5::float8, greatest(floor(filled.tokens - $4), 0)) ELSE 0 END AS granted) AS given
   )
   RETURNING granted, tokens`,
);

export interface TokensAsked {
  readonly credential: string;
  readonly perS: number;
  /** What the bucket holds at most. */
  readonly tokensMax: number;
  readonly needed: number;
  readonly ahead: number;
}

export async function takeTokens(on: Queryable, asked: TokensAsked): Promise<TakenRow> {
  const { credential, perS, tokensMax, needed, ahead } = asked;
  const [row] = await rowsOf(on, TAKE_TOKENS, [credential, perS, tokensMax, needed, ahead]);
  return row!;
}

export interface KeyRow extends KeyRights {
  readonly id: number;
  readonly owner_id: number;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly revoked_at: Date | null;
  readonly last_used_at: Date | null;
  /** By the database's clock. */
  readonly state: "good" | "expired" | "revoked";
}

const ROW = `id, owner_id, ${RIGHTS}, created_at, expires_at, revoked_at, last_used_at,
  CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= clock_timestamp() THEN 'expired' ELSE 'good' END
    AS state`;

/** The id is drawn first, since a key that follows no other is its own owner's. */
export const ADD = statement<KeyRow>(
  "key_add",
  `WITH drawn AS (SELECT nextval('postlane.key_id_seq')::integer AS id)
   INSERT INTO postlane.key (id, owner_id, secret_hash, expires_at, ${RIGHTS})
     SELECT id, id, $1, clock_timestamp() + $2::float8 * interval '1 ms', $3, $4, $5::text[], $6::text[], $7::float8, $8, $9
     FROM drawn
   RETURNING ${ROW}`,
);

export async function addKey(
  on: Queryable,
  rights: KeyRights,
  { secretHash, endsInMs }: { readonly secretHash: Buffer; readonly endsInMs: number | null },
): Promise<KeyRow> {
  const { name, scope, lanes, from_domains, max_rate, gets_notices, is_deduplicated } = rights;
  const given = [name, scope, lanes, from_domains, max_rate, gets_notices, is_deduplicated];
  const [row] = await rowsOf(on, ADD, [secretHash, endsInMs, ...given]);
  return row!;
}

/** The same rights and the same owner as the key $2, if that one is still good. */
export const ADD_SUCCESSOR = statement<KeyRow>(
  "key_add_successor",
  `INSERT INTO postlane.key (owner_id, secret_hash, expires_at, ${RIGHTS})
     SELECT owner_id, $1, clock_timestamp() + $3::float8 * interval '1 ms', ${RIGHTS} FROM postlane.key
     WHERE id = $2 AND revoked_at IS NULL AND coalesce(expires_at > clock_timestamp(), true)
   RETURNING ${ROW}`,
);

export async function addSuccessorIfGood(
  on: Queryable,
  { id, secretHash, endsInMs }: { readonly id: number; readonly secretHash: Buffer; readonly endsInMs: number | null },
): Promise<KeyRow | undefined> {
  const [row] = await rowsOf(on, ADD_SUCCESSOR, [secretHash, id, endsInMs]);
  return row;
}

/** Never later than it would have ended anyway. */
export const END_WITHIN = statement<KeyRow>(
  "key_end_within",
  `UPDATE postlane.key SET expires_at = least(expires_at, clock_timestamp() + $2::float8 * interval '1 ms')
   WHERE id = $1 RETURNING ${ROW}`,
);

export async function endKeyWithin(on: Queryable, id: number, ms: number): Promise<KeyRow> {
  const [row] = await rowsOf(on, END_WITHIN, [id, ms]);
  return row!;
}

export const REVOKE = statement<KeyRow>(
  "key_revoke",
  `UPDATE postlane.key SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE id = $1 RETURNING ${ROW}`,
);

/** Undefined: there is no such key. One that was revoked before keeps its time. */
export async function revokeIfThere(on: Queryable, id: number): Promise<KeyRow | undefined> {
  const [row] = await rowsOf(on, REVOKE, [id]);
  return row;
}

export const LIST = statement<KeyRow>("key_list", `SELECT ${ROW} FROM postlane.key ORDER BY id`);

export async function listKeys(on: Queryable): Promise<readonly KeyRow[]> {
  return await rowsOf(on, LIST);
}

export const READ = statement<KeyRow>("key_read", `SELECT ${ROW} FROM postlane.key WHERE id = $1`);

export async function readKey(on: Queryable, id: number): Promise<KeyRow | undefined> {
  const [row] = await rowsOf(on, READ, [id]);
  return row;
}
