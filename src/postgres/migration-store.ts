// The book of migrations, `postlane.migration`, and the lock around it. The one store that opens transactions of its
// own: a migration and its entry in the book commit together, and there is no caller's transaction to join.

import type { ClientBase, QueryConfig } from "pg";
import { rowsOf, statement, type Queryable } from "./statement.ts";

export interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
}

/** The eight letters "postlane" as one integer: advisory locks share one space of numbers with everybody in the database. */
const LOCK_KEY = "8101821198534536805";

/** A migration, or the wait for somebody else's, may take as long as an index on a big table takes. */
const MIGRATION_MS_MAX = 3_600_000;

export async function lockMigrations(client: ClientBase): Promise<void> {
  await slowQuery(client, `SELECT pg_advisory_lock(${LOCK_KEY})`);
}

/** A lost session has let go of the lock already. */
export async function unlockMigrations(client: ClientBase): Promise<void> {
  await client.query(`SELECT pg_advisory_unlock(${LOCK_KEY})`).catch(() => {});
}

/** Looks before it creates: CREATE … IF NOT EXISTS needs the right to create even when there is nothing to do. */
export async function prepareMigrationTable(client: ClientBase): Promise<void> {
  const there = await readWhatIsThere(client);
  if (!there.hasSchema) await client.query("CREATE SCHEMA postlane");
  if (!there.hasTable) await client.query(CREATE_TABLE);
}

export async function readWhatIsThere(on: Queryable): Promise<WhatIsThere> {
  const [there] = await rowsOf(on, whatIsThere);
  return there!;
}

export async function readAppliedMigrations(on: Queryable): Promise<readonly AppliedMigration[]> {
  return rowsOf(on, appliedMigrations);
}

export async function applyMigration(
  client: ClientBase,
  { version, name, checksum, sql }: AppliedMigration & { readonly sql: string },
): Promise<void> {
  await client.query("BEGIN");
  try {
    await client.query("SET LOCAL search_path = postlane, pg_catalog");
    await slowQuery(client, sql);
    await rowsOf(client, recordMigration, [version, name, checksum]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => {});
    throw error;
  }
}

interface WhatIsThere {
  readonly hasSchema: boolean;
  readonly hasTable: boolean;
}

const whatIsThere = statement<WhatIsThere>(
  "migration_what_is_there",
  `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'postlane') AS "hasSchema",
          EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                  WHERE nspname = 'postlane' AND relname = 'migration') AS "hasTable"`,
);

const CREATE_TABLE = `
  CREATE TABLE postlane.migration (
    version    int PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
  )`;

const appliedMigrations = statement<AppliedMigration>(
  "migration_applied",
  "SELECT version, name, checksum FROM postlane.migration ORDER BY version",
);

const recordMigration = statement<never>(
  "migration_record",
  "INSERT INTO postlane.migration (version, name, checksum) VALUES ($1, $2, $3)",
);

async function slowQuery(client: ClientBase, text: string): Promise<void> {
  // The driver takes a timeout per query; its declared types do not say so.
  const query: QueryConfig & { readonly query_timeout: number } = { text, query_timeout: MIGRATION_MS_MAX };
  await client.query(query);
}
