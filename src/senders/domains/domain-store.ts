// Sender domains and their keys in the database. Private keys pass through here sealed only. Whoever changes keys holds
// the row of their domain, so that two people who rotate at once do not undo each other.

import { countOf, rowsOf, statement, textArray, type Queryable } from "../../postgres/statement.ts";
import type { DkimAlgorithm } from "./dkim-key-pair.ts";

export interface DomainRow {
  readonly name: string;
  readonly added_at: Date;
}

export interface DkimKeyRow {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
  readonly public_key: string;
  readonly created_at: Date;
  readonly activated_at: Date | null;
  readonly retired_at: Date | null;
  /** By the database's clock; null: it is not retired. */
  readonly retired_for_ms: number | null;
}

export interface SealedKeyRow {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
  readonly public_key: string;
  readonly sealed_key: Buffer;
}

/** More than a site has; each active key is read every few seconds. */
export const DOMAINS_MAX = 1000;

/** Nothing: it is there already, or there are too many. */
export const ADD = statement<DomainRow>(
  "domain_add",
  `INSERT INTO postlane.sender_domain (name)
     SELECT $1 WHERE (SELECT count(*) FROM postlane.sender_domain) < ${DOMAINS_MAX}
   ON CONFLICT (name) DO NOTHING RETURNING name, added_at`,
);

export async function addDomainIfNew(on: Queryable, name: string): Promise<DomainRow | undefined> {
  return (await rowsOf(on, ADD, [name]))[0];
}

export const LOCK = statement<DomainRow>(
  "domain_lock",
  `SELECT name, added_at FROM postlane.sender_domain WHERE name = $1 FOR UPDATE`,
);

/** Undefined: there is no such domain. */
export async function lockDomain(on: Queryable, name: string): Promise<DomainRow | undefined> {
  return (await rowsOf(on, LOCK, [name]))[0];
}

export const LIST = statement<DomainRow>(
  "domain_list",
  `SELECT name, added_at FROM postlane.sender_domain ORDER BY name`,
);

export async function listDomains(on: Queryable): Promise<readonly DomainRow[]> {
  return await rowsOf(on, LIST);
}

/** With all its keys. */
export const REMOVE = statement<unknown>("domain_remove", `DELETE FROM postlane.sender_domain WHERE name = $1`);

export async function removeDomainIfThere(on: Queryable, name: string): Promise<boolean> {
  return (await countOf(on, REMOVE, [name])) > 0;
}

export const ADD_KEY = statement<unknown>(
  "dkim_key_add",
  `INSERT INTO postlane.dkim_key (domain, selector, algorithm, public_key, sealed_key) VALUES ($1, $2, $3, $4, $5)`,
);

export async function addKey(on: Queryable, key: SealedKeyRow): Promise<void> {
  await countOf(on, ADD_KEY, [key.domain, key.selector, key.algorithm, key.public_key, key.sealed_key]);
}

const KEY = `domain, selector, algorithm, public_key, created_at, activated_at, retired_at,
  extract(epoch FROM clock_timestamp() - retired_at)::float8 * 1000 AS retired_for_ms`;

/** Those that wait, those that sign, those that are retired, each with Ed25519 before RSA. */
export const LIST_KEYS = statement<DkimKeyRow>(
  "dkim_key_list",
  `SELECT ${KEY} FROM postlane.dkim_key WHERE $1::text IS NULL OR domain = $1
   ORDER BY domain, retired_at IS NOT NULL, activated_at IS NOT NULL, created_at, selector`,
);

/** Without a domain: of all. */
export async function listKeys(on: Queryable, domain: string | null = null): Promise<readonly DkimKeyRow[]> {
  return await rowsOf(on, LIST_KEYS, [domain]);
}

/** Retires what signed, of the same algorithms, in the same statement as nothing else: the index allows one that signs. */
export const RETIRE = statement<unknown>(
  "dkim_key_retire",
  `UPDATE postlane.dkim_key AS old SET retired_at = clock_timestamp()
   WHERE old.domain = $1 AND old.activated_at IS NOT NULL AND old.retired_at IS NULL AND EXISTS (
     SELECT FROM postlane.dkim_key AS next WHERE next.domain = $1 AND next.selector = ANY($2::text[])
       AND next.activated_at IS NULL AND next.algorithm = old.algorithm)`,
);

export const ACTIVATE = statement<{ readonly selector: string }>(
  "dkim_key_activate",
  `UPDATE postlane.dkim_key SET activated_at = clock_timestamp()
   WHERE domain = $1 AND selector = ANY($2::text[]) AND activated_at IS NULL RETURNING selector`,
);

/** In a transaction that holds the domain's row. Answers those that were new. */
export async function activateIfNew(on: Queryable, domain: string, selectors: readonly string[]) {
  await countOf(on, RETIRE, [domain, textArray(selectors)]);
  return (await rowsOf(on, ACTIVATE, [domain, textArray(selectors)])).map(({ selector }) => selector);
}

export const FORGET = statement<{ readonly selector: string }>(
  "dkim_key_forget",
  `DELETE FROM postlane.dkim_key WHERE domain = $1 AND selector = ANY($2::text[])
     AND retired_at < clock_timestamp() - $3::float8 * interval '1 ms' RETURNING selector`,
);

/** Answers those that were. */
export async function forgetIfRetiredFor(on: Queryable, domain: string, selectors: readonly string[], ms: number) {
  return (await rowsOf(on, FORGET, [domain, textArray(selectors), ms])).map(({ selector }) => selector);
}

export const READ_ACTIVE = statement<SealedKeyRow>(
  "dkim_key_read_active",
  `SELECT domain, selector, algorithm, public_key, sealed_key FROM postlane.dkim_key
   WHERE activated_at IS NOT NULL AND retired_at IS NULL ORDER BY domain, algorithm, selector`,
);

export async function readActiveKeys(on: Queryable): Promise<readonly SealedKeyRow[]> {
  return await rowsOf(on, READ_ACTIVE);
}

export const READ_SEALED = statement<{ readonly sealed_key: Buffer }>(
  "dkim_key_read_sealed",
  `SELECT sealed_key FROM postlane.dkim_key WHERE retired_at IS NULL`,
);

/** Of the keys that sign or will. */
export async function readSealedKeys(on: Queryable): Promise<readonly Buffer[]> {
  return (await rowsOf(on, READ_SEALED)).map(({ sealed_key }) => sealed_key);
}

export const IS_SIGNED = statement<{ readonly is_signed: boolean }>(
  "dkim_key_is_signed",
  `SELECT EXISTS (SELECT FROM postlane.dkim_key
     WHERE domain = ANY($1::text[]) AND activated_at IS NOT NULL AND retired_at IS NULL) AS is_signed`,
);

/** Whether a key of one of these domains signs. */
export async function hasActiveKey(on: Queryable, domains: readonly string[]): Promise<boolean> {
  return (await rowsOf(on, IS_SIGNED, [textArray(domains)]))[0]!.is_signed;
}
