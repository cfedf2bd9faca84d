// Questions to the server itself, before and beside any table of ours. Each runs on any PostgreSQL from 15 on, except
// the check, which must also run on older ones in order to refuse them.

import type { ClientBase } from "pg";
import { rowsOf, statement } from "./statement.ts";

/** Tells `checkServer` what the server would have given a session that had not asked for anything. */
const SERVER_SYNCHRONOUS_COMMIT = "postlane.server_synchronous_commit";

export interface ServerSettings {
  readonly versionNumber: number;
  readonly version: string;
  readonly isFsyncOn: boolean;
  readonly isFullPageWritesOn: boolean;
  readonly isInRecovery: boolean;
  readonly synchronousCommit: string;
}

const dataDirectory = statement<{ readonly setting: string }>(
  "data_directory",
  "SELECT current_setting('data_directory') AS setting",
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

const optionsTaken = statement<{ readonly is_taken: boolean }>(
  "session_options_taken",
  `SELECT coalesce(current_setting('${SERVER_SYNCHRONOUS_COMMIT}', true), '') <> '' AS is_taken`,
);

/** The startup options of this session reached the server. */
export async function hasSessionOptions(client: ClientBase): Promise<boolean> {
  const [row] = await rowsOf(client, optionsTaken);
  return row!.is_taken;
}

export async function readDataDirectory(client: ClientBase): Promise<string> {
  const [row] = await rowsOf(client, dataDirectory);
  return row!.setting;
}

export async function readServerSettings(client: ClientBase): Promise<ServerSettings> {
  const [settings] = await rowsOf(client, serverSettings);
  return settings!;
}

export async function readSynchronousCommit(client: ClientBase): Promise<string> {
  const [row] = await rowsOf(client, synchronousCommit);
  return row!.setting;
}

/** The startup options of every session of ours, as `-c name=value`; values hold no blanks. */
export function sessionOptions(serverSynchronousCommit: string): string {
  const settings = {
    // Accepted means durable. Stronger than `on` is what the site chose for its replicas, and stays.
    synchronous_commit: serverSynchronousCommit === "remote_apply" ? "remote_apply" : "on",
    [SERVER_SYNCHRONOUS_COMMIT]: serverSynchronousCommit,
    search_path: "postlane,pg_catalog",
    // The patterns of the rules of entry mean something else without it.
    standard_conforming_strings: "on",
    TimeZone: "UTC",
    DateStyle: "ISO",
    client_encoding: "UTF8",
  };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" ");
}
