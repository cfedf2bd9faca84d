// Who keeps vacuum from cleaning up behind the queue, and how much there is to clean up. Runs for a role without rights of
// its own: such a role sees of other roles' sessions the process, the role, the application's name and the horizon, but
// not since when.

import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

/** Something whose horizon vacuum waits for, or a slot that keeps the server's log of changes. */
export interface Holder {
  readonly kind: "session" | "prepared" | "replica" | "slot";
  /** Of the server process; null: there is none. */
  readonly pid: number | null;
  /** Of a prepared transaction or a slot. */
  readonly name: string | null;
  readonly application: string | null;
  readonly user_name: string | null;
  /** Null: not known, or not to be seen. */
  readonly open_ms: number | null;
  /** The transaction id that it holds on to; null: a slot that holds none. */
  readonly horizon: string | null;
  /** How many transactions ago that was. */
  readonly transactions: number | null;
  /** Of a slot. */
  readonly wal_bytes: number | null;
  readonly is_active: boolean;
}

export interface VacuumState {
  /** In all tables of ours, as the server's statistics have it. */
  readonly dead_rows: number;
  /** The one that has most of them. */
  readonly table: string | null;
  readonly is_autovacuum_on: boolean;
  /** Tables of ours that were told to do without. */
  readonly tables_without_autovacuum: readonly string[];
  /** It may see since when other roles' transactions are open. */
  readonly sees_all: boolean;
  readonly holders: readonly Holder[];
}

const MS_SINCE = (instant: string): string => `(extract(epoch FROM clock_timestamp() - ${instant}) * 1000)::float8`;

// Vacuum itself waits for nobody else's vacuum; whoever runs one holds nothing back, and autovacuum has no role. A sender to a
// replica belongs to no database and holds back all of them, if the replica tells it to (hot_standby_feedback).
export const VACUUM = statement<VacuumState>(
  "upkeep_vacuum",
  `SELECT dead.rows AS dead_rows, dead.worst AS table,
     current_setting('autovacuum')::boolean AND current_setting('track_counts')::boolean AS is_autovacuum_on,
     ARRAY(SELECT c.relname::text FROM pg_class AS c
       WHERE c.relnamespace = 'postlane'::regnamespace AND EXISTS (
         SELECT FROM pg_options_to_table(c.reloptions)
         WHERE option_name = 'autovacuum_enabled' AND NOT option_value::boolean)
       ORDER BY 1) AS tables_without_autovacuum,
     pg_has_role('pg_read_all_stats', 'USAGE') AS sees_all,
     (SELECT coalesce(json_agg(holder), '[]') FROM (
       SELECT CASE WHEN datname IS NULL THEN 'replica' ELSE 'session' END AS kind, pid, NULL AS name,
         nullif(application_name, '') AS application, usename::text AS user_name,
         ${MS_SINCE("coalesce(xact_start, backend_start)")} AS open_ms,
         coalesce(backend_xid, backend_xmin)::text AS horizon,
         greatest(age(backend_xid), age(backend_xmin)) AS transactions, NULL::float8 AS wal_bytes, true AS is_active
       FROM pg_stat_activity
       WHERE (datname = current_database() OR datname IS NULL) AND usename IS NOT NULL AND pid <> pg_backend_pid()
         AND (backend_xid IS NOT NULL OR backend_xmin IS NOT NULL) AND coalesce(query !~* '^\\s*vacuum', true)
       UNION ALL
       SELECT 'prepared', NULL, gid, NULL, owner::text, ${MS_SINCE("prepared")}, transaction::text, age(transaction),
         NULL, false
       FROM pg_prepared_xacts WHERE database = current_database()
       UNION ALL
       SELECT 'slot', active_pid, slot_name::text, NULL, NULL, NULL, xmin::text, age(xmin),
         pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8, active
       FROM pg_replication_slots
     ) AS holder) AS holders
   FROM (SELECT coalesce(sum(n_dead_tup), 0)::float8 AS rows,
       (array_agg(relname::text ORDER BY n_dead_tup DESC))[1] AS worst
     FROM pg_stat_user_tables WHERE schemaname = 'postlane') AS dead`,
);

export async function readVacuumState(on: Queryable): Promise<VacuumState> {
  const [state] = await rowsOf(on, VACUUM);
  return state!;
}
