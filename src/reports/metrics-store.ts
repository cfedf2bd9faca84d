// What the metrics ask beside the snapshot, once in ten seconds at most: what would cost too much each second. Each is
// bounded, and one that fails is left out.

import type { ClientBase } from "pg";
import { rowsOf, statement, type Statement } from "../postgres/statement.ts";

export interface JudgedRow {
  readonly source: string;
  readonly judgement: string;
  readonly returns: number;
}

/** Of the latest: notices are kept for as long as their messages, and may be many. */
const JUDGED_ROWS_MAX = 20_000;
const JUDGEMENTS_MAX = 30;

// A judgement is a sentence and may name a message or a code; what stands before its first digit, colon or bracket is the
// kind. One with an address in it is "other". The number of kinds is bounded all the same.
export const JUDGED = statement<JudgedRow>(
  "metrics_judged",
  `SELECT source, CASE WHEN judgement LIKE '%@%' THEN 'other'
     ELSE btrim(substring(judgement FROM '^[^0-9:(]{1,60}')) END AS judgement, count(*)::float8 AS returns
   FROM (SELECT source, judgement FROM postlane.return WHERE judged_at IS NOT NULL ORDER BY id DESC
     LIMIT ${JUDGED_ROWS_MAX}) AS latest
   WHERE judgement IS NOT NULL AND judgement <> '' GROUP BY 1, 2 ORDER BY 3 DESC LIMIT ${JUDGEMENTS_MAX}`,
);
export async function readJudged(client: ClientBase): Promise<readonly JudgedRow[]> {
  return await rowsOf(client, JUDGED);
}

export const VERSION = statement<{ readonly version: number }>(
  "metrics_version",
  `SELECT current_setting('server_version_num')::integer AS version`,
);

// Not exported: each of the two fails on the versions that the other is for. PostgreSQL 18 moved the counter.
const WAL_SYNCS_UNTIL_17: Statement<{ readonly fsyncs: number }> = {
  name: "metrics_wal_fsyncs_until_17",
  text: `SELECT wal_sync::float8 AS fsyncs FROM pg_stat_wal`,
};
const WAL_SYNCS_FROM_18: Statement<{ readonly fsyncs: number }> = {
  name: "metrics_wal_fsyncs_from_18",
  text: `SELECT sum(fsyncs)::float8 AS fsyncs FROM pg_stat_io WHERE object = 'wal'`,
};
const VERSION_18 = 180_000;

/** Of the whole server, since its statistics were reset. */
export async function readWalFsyncs(client: ClientBase): Promise<number | undefined> {
  const [server] = await rowsOf(client, VERSION);
  const [row] = await rowsOf(client, server!.version < VERSION_18 ? WAL_SYNCS_UNTIL_17 : WAL_SYNCS_FROM_18);
  return row?.fsyncs;
}

export const DEAD_ROWS = statement<{ readonly rows: number }>(
  "metrics_dead_rows",
  `SELECT coalesce(sum(n_dead_tup), 0)::float8 AS rows FROM pg_stat_user_tables WHERE schemaname = 'postlane'`,
);
export async function readDeadRows(client: ClientBase): Promise<number> {
  const [row] = await rowsOf(client, DEAD_ROWS);
  return row!.rows;
}
