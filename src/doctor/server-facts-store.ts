// What the doctor asks of the server itself: settings, room, replicas. Runs on any PostgreSQL from 15 on and reads
// catalogues only; what this role may not see comes as null.

import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface ServerRow {
  readonly version_number: number;
  readonly version: string;
  readonly is_in_recovery: boolean;
  /** By name, in the units of pg_settings; what this server does not have is missing. */
  readonly settings: Readonly<Record<string, string>>;
  /** As a session gets it that asks for nothing. */
  readonly synchronous_commit: string;
  readonly sees_others: boolean;
  readonly at_ms: number;
  readonly up_s: number;
  /** Sessions of the whole server, and those of them that are Postlane's. */
  readonly sessions: number;
  readonly own_sessions: number;
  /** Of the role or the database, whichever is less; null: none. */
  readonly session_limit: number | null;
  readonly is_superuser: boolean;
  readonly replicas: readonly ReplicaRow[];
}

export interface ReplicaRow {
  readonly name: string;
  /** Null: this role may not see it. */
  readonly sync_state: string | null;
  readonly state: string | null;
  readonly gap_bytes: number | null;
}

const SETTINGS = [
  "fsync",
  "full_page_writes",
  "synchronous_standby_names",
  "data_checksums",
  "default_transaction_read_only",
  "default_transaction_isolation",
  "max_connections",
  "superuser_reserved_connections",
  "reserved_connections",
  "max_locks_per_transaction",
  "shared_buffers",
  "statement_timeout",
  "transaction_timeout",
  "idle_in_transaction_session_timeout",
  "old_snapshot_threshold",
  "jit",
  "autovacuum",
  "track_counts",
  "autovacuum_freeze_max_age",
];

// Sessions are counted of all databases: max_connections is the server's.
export const SERVER_FACTS = statement<ServerRow>(
  "doctor_server",
  `SELECT current_setting('server_version_num')::int AS version_number, current_setting('server_version') AS version,
     pg_is_in_recovery() AS is_in_recovery,
     (SELECT json_object_agg(name, setting) FROM pg_settings WHERE name = ANY ($1::text[])) AS settings,
     coalesce(nullif(current_setting('postlane.server_synchronous_commit', true), ''),
       current_setting('synchronous_commit')) AS synchronous_commit,
     pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_others,
     (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS at_ms,
     extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8 AS up_s,
     (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS sessions,
     (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend'
       AND application_name LIKE 'postlane%' AND datname = current_database()) AS own_sessions,
     (SELECT least(nullif(role.rolconnlimit, -1), nullif(base.datconnlimit, -1)) FROM pg_roles AS role, pg_database AS base
       WHERE role.rolname = current_user AND base.datname = current_database()) AS session_limit,
     (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
     (SELECT coalesce(json_agg(line), '[]') FROM (
       SELECT application_name AS name, sync_state, state,
         CASE WHEN pg_is_in_recovery() THEN NULL
           ELSE pg_wal_lsn_diff(pg_current_wal_flush_lsn(), flush_lsn)::float8 END AS gap_bytes
       FROM pg_stat_replication ORDER BY application_name LIMIT 20) AS line) AS replicas`,
);

export async function readServerFacts(on: Queryable): Promise<ServerRow> {
  const [row] = await rowsOf(on, SERVER_FACTS, [SETTINGS]);
  return row!;
}
