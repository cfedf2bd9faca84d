// What the doctor asks of what keeps the database fit: who holds back vacuum, dead rows, indexes, partitions. Catalogues
// and statistics only, and one probe of the default partition; never scans a table of ours.

import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface HorizonRow {
  readonly transaction: { readonly pid: number; readonly open_s: number; readonly application: string } | null;
  readonly prepared: readonly { readonly gid: string; readonly open_s: number; readonly database: string }[];
  readonly slots: readonly SlotRow[];
  /** Of standbys with hot_standby_feedback: the oldest, in transactions. */
  readonly standby_age: number | null;
  /** Of the oldest of all databases. */
  readonly freeze_age: number;
}

export interface SlotRow {
  readonly name: string;
  readonly is_active: boolean;
  readonly held_bytes: number | null;
  /** Transactions since its horizon; null: it holds none. */
  readonly age: number | null;
}

// A transaction counts that only vacuum's horizon feels: one with a snapshot or an id of its own. This session has none
// that matters, and is left out.
export const HORIZON = statement<HorizonRow>(
  "doctor_horizon",
  `SELECT
     (SELECT row_to_json(one) FROM (
       SELECT pid, extract(epoch FROM clock_timestamp() - xact_start)::float8 AS open_s, application_name AS application
       FROM pg_stat_activity
       WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
         AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
       ORDER BY xact_start LIMIT 1) AS one) AS transaction,
     (SELECT coalesce(json_agg(one), '[]') FROM (
       SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::float8 AS open_s, database
       FROM pg_prepared_xacts ORDER BY prepared LIMIT 20) AS one) AS prepared,
     (SELECT coalesce(json_agg(one), '[]') FROM (
       SELECT slot_name AS name, active AS is_active,
         CASE WHEN pg_is_in_recovery() THEN NULL
           ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 END AS held_bytes,
         greatest(age(xmin), age(catalog_xmin)) AS age
       FROM pg_replication_slots ORDER BY restart_lsn LIMIT 20) AS one) AS slots,
     (SELECT max(age(backend_xmin)) FROM pg_stat_replication) AS standby_age,
     (SELECT max(age(datfrozenxid)) FROM pg_database) AS freeze_age`,
);

export async function readHorizon(on: Queryable): Promise<HorizonRow> {
  const [row] = await rowsOf(on, HORIZON);
  return row!;
}

export interface TableRow {
  readonly name: string;
  readonly live_rows: number;
  readonly dead_rows: number;
  readonly index_bytes: number;
  readonly table_bytes: number;
  readonly options: readonly string[];
}

export const TABLES = statement<TableRow>(
  "doctor_tables",
  `SELECT stat.relname AS name, stat.n_live_tup AS live_rows, stat.n_dead_tup AS dead_rows,
     pg_indexes_size(stat.relid)::bigint AS index_bytes, pg_relation_size(stat.relid)::bigint AS table_bytes,
     coalesce(class.reloptions, '{}') AS options
   FROM pg_stat_user_tables AS stat JOIN pg_class AS class ON class.oid = stat.relid
   WHERE stat.schemaname = 'postlane' ORDER BY stat.relname`,
);

export async function readTables(on: Queryable): Promise<readonly TableRow[]> {
  return await rowsOf(on, TABLES);
}

export interface PartitionsRow {
  /** Of today and the next day (UTC), as event-store.ts names them; null: there is none. */
  readonly has_today: boolean;
  readonly has_tomorrow: boolean;
  readonly is_default_used: boolean;
}

export const PARTITIONS = statement<PartitionsRow>(
  "doctor_partitions",
  `SELECT to_regclass('postlane.event_' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')) IS NOT NULL AS has_today,
     to_regclass('postlane.event_' || to_char(now() AT TIME ZONE 'UTC' + interval '1 day', 'YYYYMMDD')) IS NOT NULL
       AS has_tomorrow,
     EXISTS (SELECT FROM postlane.event_default) AS is_default_used`,
);

export async function readPartitions(on: Queryable): Promise<PartitionsRow> {
  const [row] = await rowsOf(on, PARTITIONS);
  return row!;
}
