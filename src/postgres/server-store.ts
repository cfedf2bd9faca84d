// Questions to the server itself, before and beside any table of ours. Each runs on any PostgreSQL from 15 on, except
// the check, which must also run on older ones in order to refuse them.

import type { ClientBase, QueryConfig } from "pg";
import pg from "pg";
import { rowsOf, statement } from "./statement.ts";

/** Tells `checkServer` what the server would have given a session that had not asked for anything. */
const SERVER_SYNCHRONOUS_COMMIT = "postlane.server_synchronous_commit";

const CREATE_DATABASE_MS_MAX = 60_000;

export interface ServerSettings {
  readonly versionNumber: number;
  readonly version: string;
  readonly isFsyncOn: boolean;
  readonly isFullPageWritesOn: boolean;
  readonly isInRecovery: boolean;
  readonly synchronousCommit: string;
}

interface ServerIdentity {
  readonly dataDirectory: string;
  readonly hasDatabase: boolean;
}

const serverIdentity = statement<ServerIdentity>(
  "server_identity",
  `SELECT current_setting('data_directory') AS "dataDirectory",
          EXISTS (SELECT FROM pg_database WHERE datname = $1) AS "hasDatabase"`,
);

const serverSettings = statement<ServerSettings>(
  "server_settings",
  `SELECT current_setting('server_version_num')::int AS "versionNumber",
          current_setting('server_version') AS "version",
          current_setting('fsync')::bool AS "isFsyncOn",
          current_setting('full_page_writes')::bool AS "isFullPageWritesOn",
          pg_is_in_recovery() AS "isInRecovery",
          coalesce(nullif(current_setting('${SERVER_SYNCHRONOUS_COMMIT}', true), ''),
                   current_setting('synchronous_commit')) AS "synchronousCommit"`,
);

const synchronousCommit = statement<{ readonly setting: string }>(
  "synchronous_commit",
  "SELECT current_setting('synchronous_commit') AS setting",
);

export async function readServerIdentity(client: ClientBase, database: string): Promise<ServerIdentity> {
  const [identity] = await rowsOf(client, serverIdentity, [database]);
  return identity!;
}

export async function readServerSettings(client: ClientBase): Promise<ServerSettings> {
  const [settings] = await rowsOf(client, serverSettings);
  return settings!;
}

export async function readSynchronousCommit(client: ClientBase): Promise<string> {
  const [row] = await rowsOf(client, synchronousCommit);
  return row!.setting;
}

/** Two may try at once: the loser hears that it exists (42P04), or that the catalogue has the name already (23505). */
export async function createDatabaseOnce(client: ClientBase, name: string): Promise<void> {
  // It copies a template and syncs it: on a slow disk longer than a session of the start may wait for an answer.
  const creation: QueryConfig & { readonly query_timeout: number } = {
    text: `CREATE DATABASE ${pg.escapeIdentifier(name)}`,
    query_timeout: CREATE_DATABASE_MS_MAX,
  };
  try {
    await client.query(creation);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || !["42P04", "23505"].includes(error.code ?? "")) throw error;
  }
}

/** The startup options of every session of ours, as `-c name=value`; values hold no blanks. */
export function sessionOptions(serverSynchronousCommit: string): string {
  const settings = {
    // Accepted means durable. Stronger than `on` is what the site chose for its replicas, and stays.
    synchronous_commit: serverSynchronousCommit === "remote_apply" ? "remote_apply" : "on",
    [SERVER_SYNCHRONOUS_COMMIT]: serverSynchronousCommit,
    search_path: "postlane,pg_catalog",
    TimeZone: "UTC",
    DateStyle: "ISO",
    client_encoding: "UTF8",
  };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" ");
}
