// Lists, the imports into them and what these left out. A list without a name belongs to the one campaign that was made of
// a file.

import type { ClientBase } from "pg";
import type { ListId } from "../mail/ids.ts";
import { countOf, numberArray, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";
import type { ListColumn } from "./list-columns.ts";

export interface ListRow {
  readonly id: ListId;
  readonly name: string | null;
  readonly columns: readonly ListColumn[];
  readonly created_at: Date;
  /** Recipients: the sum of what all imports have added. */
  readonly recipients: number;
  readonly doubled: number;
  readonly rejected: number;
}

const LISTED = `l.id, l.name, l.columns, l.created_at, sums.recipients, sums.doubled, sums.rejected
   FROM postlane.list AS l CROSS JOIN LATERAL (
     SELECT coalesce(sum(added), 0)::bigint AS recipients, coalesce(sum(doubled), 0)::bigint AS doubled,
       coalesce(sum(rejected), 0)::bigint AS rejected
     FROM postlane.list_import WHERE list_id = l.id
   ) AS sums`;

export const FIND = statement<ListRow>("list_find", `SELECT ${LISTED} WHERE l.name = $1`);
export async function findList(on: Queryable, name: string): Promise<ListRow | undefined> {
  return (await rowsOf(on, FIND, [name]))[0];
}

export const READ = statement<ListRow>("list_read", `SELECT ${LISTED} WHERE l.id = $1`);
export async function readList(on: Queryable, id: ListId): Promise<ListRow> {
  const [row] = await rowsOf(on, READ, [id]);
  if (row === undefined) throw new Error(`list ${id} is not in the database`);
  return row;
}

export const LIST = statement<ListRow>("list_list", `SELECT ${LISTED} WHERE l.name > $1 ORDER BY l.name LIMIT $2`);
/** Those with a name, by it. */
export async function listLists(on: Queryable, after: string, limit: number): Promise<readonly ListRow[]> {
  return await rowsOf(on, LIST, [after, limit]);
}

export const CREATE = statement<{ readonly id: ListId }>(
  "list_create",
  `INSERT INTO postlane.list (name, columns) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING id`,
);
/** Undefined: the name is taken. */
export async function createList(
  on: Queryable,
  name: string | undefined,
  columns: readonly ListColumn[],
): Promise<ListId | undefined> {
  return (await rowsOf(on, CREATE, [name ?? null, JSON.stringify(columns)]))[0]?.id;
}

export const LOCK = statement<unknown>("list_lock", `SELECT id FROM postlane.list WHERE id = $1 FOR NO KEY UPDATE`);

/** As it stands, locked for the caller's transaction. */
export async function lockList(client: ClientBase, id: ListId): Promise<ListRow> {
  await rowsOf(client, LOCK, [id]);
  return await readList(client, id);
}

export const SET_COLUMNS = statement<unknown>(
  "list_set_columns",
  `UPDATE postlane.list SET columns = $2 WHERE id = $1`,
);
/** Within the transaction that has locked the list. */
export async function setColumns(client: ClientBase, id: ListId, columns: readonly ListColumn[]): Promise<void> {
  await countOf(client, SET_COLUMNS, [id, JSON.stringify(columns)]);
}

// ---- imports ---------------------------------------------------------------------------------------------------------

/** Held by one session for as long as its import takes. */
export const TAKE_TURN = statement<{ readonly is_mine: boolean }>(
  "list_take_turn",
  `SELECT pg_try_advisory_lock(hashtext('postlane.list_import'), $1) AS is_mine`,
);
export const END_TURN = statement<unknown>(
  "list_end_turn",
  `SELECT pg_advisory_unlock(hashtext('postlane.list_import'), $1)`,
);

export async function takeTurn(on: Queryable, id: ListId): Promise<boolean> {
  return (await rowsOf(on, TAKE_TURN, [id]))[0]!.is_mine;
}
/** Between two tries. */
export const WAIT_FOR_TURN = statement<unknown>("list_wait_for_turn", `SELECT pg_sleep(0.2)`);
export async function waitForTurn(on: Queryable): Promise<void> {
  await rowsOf(on, WAIT_FOR_TURN);
}
export const TAKE_SHORT_TURN = statement<{ readonly is_mine: boolean }>(
  "list_take_short_turn",
  `SELECT pg_try_advisory_xact_lock(hashtext('postlane.list_import'), $1) AS is_mine`,
);
// Those of admission-store.ts, a few milliseconds each; who comes after this waits for it.
export const WAIT_FOR_ADMISSIONS = statement<unknown>(
  "list_wait_for_admissions",
  `SELECT pg_advisory_xact_lock(hashtext('postlane.list_admission'), $1)::text AS taken`,
);
/**
 * Until the end of the caller's transaction nobody comes into the list. False: an import is under way. A transaction that
 * ends gives its locks back one by one, so who had waited for another of them may be too early here, and asks twice.
 */
export async function takeShortTurn(client: ClientBase, id: ListId): Promise<boolean> {
  const isMine = async (): Promise<boolean> => (await rowsOf(client, TAKE_SHORT_TURN, [id]))[0]!.is_mine;
  if (!(await isMine())) {
    await waitForTurn(client);
    if (!(await isMine())) return false;
  }
  await rowsOf(client, WAIT_FOR_ADMISSIONS, [id]);
  return true;
}
export async function endTurn(on: Queryable, id: ListId): Promise<void> {
  await rowsOf(on, END_TURN, [id]);
}

export interface ListImport {
  readonly id: number;
  readonly added: number;
}

export interface ListImportRow {
  readonly id: number;
  readonly source: string;
  readonly added: number;
  readonly doubled: number;
  readonly rejected: number;
  readonly begun_at: Date;
  /** Null: it is under way, or was killed. */
  readonly finished_at: Date | null;
}

export const IMPORTS = statement<ListImportRow>(
  "list_imports",
  `SELECT id, source, added, doubled, rejected, begun_at, finished_at FROM postlane.list_import
   WHERE list_id = $1 ORDER BY id DESC LIMIT $2`,
);
/** The newest first. */
export async function listImports(on: Queryable, id: ListId, limit: number): Promise<readonly ListImportRow[]> {
  return await rowsOf(on, IMPORTS, [id, limit]);
}

// The rows that it left out are counted anew.
export const TAKE_UP_IMPORT = statement<ListImport>(
  "list_take_up_import",
  `UPDATE postlane.list_import SET doubled = 0, rejected = 0
   WHERE list_id = $1 AND source = $2 AND finished_at IS NULL RETURNING id, added`,
);
export const FORGET_LEFT_OUT = statement<unknown>(
  "list_forget_left_out",
  `DELETE FROM postlane.left_out WHERE import_id = $1`,
);
export const BEGIN_IMPORT = statement<ListImport>(
  "list_begin_import",
  `INSERT INTO postlane.list_import (list_id, source) VALUES ($1, $2) RETURNING id, added`,
);

/** The one of this source that was not finished, or a new one. Within the caller's transaction. */
export async function beginImport(
  on: Queryable,
  id: ListId,
  source: string,
): Promise<ListImport & { isTakenUp: boolean }> {
  const [earlier] = await rowsOf(on, TAKE_UP_IMPORT, [id, source]);
  if (earlier !== undefined) {
    await countOf(on, FORGET_LEFT_OUT, [earlier.id]);
    return { ...earlier, isTakenUp: true };
  }
  const [begun] = await rowsOf(on, BEGIN_IMPORT, [id, source]);
  return { ...begun!, isTakenUp: false };
}

export const FINISH_IMPORT = statement<unknown>(
  "list_finish_import",
  `UPDATE postlane.list_import SET finished_at = clock_timestamp() WHERE id = $1`,
);
export async function finishImport(on: Queryable, importId: number): Promise<void> {
  await countOf(on, FINISH_IMPORT, [importId]);
}

export interface ImportSums {
  readonly added: number;
  readonly doubled: number;
  readonly rejected: number;
}

export const ADD_UP = statement<unknown>(
  "list_add_up",
  `UPDATE postlane.list_import SET added = added + $2, doubled = doubled + $3, rejected = rejected + $4 WHERE id = $1`,
);
export async function addUp(on: Queryable, importId: number, { added, doubled, rejected }: ImportSums): Promise<void> {
  await countOf(on, ADD_UP, [importId, added, doubled, rejected]);
}

export interface RejectedRow {
  readonly line: number;
  readonly raw: string;
  readonly reason: string;
}

export const REJECT = statement<unknown>(
  "list_reject",
  `INSERT INTO postlane.left_out (import_id, line, kind, raw, reason)
   SELECT $1, line, 'rejected', raw, reason FROM unnest($2::bigint[], $3::text[], $4::text[]) AS given (line, raw, reason)
   ON CONFLICT DO NOTHING`,
);
export async function keepRejected(on: Queryable, importId: number, rows: readonly RejectedRow[]): Promise<void> {
  if (rows.length === 0) return;
  await countOf(on, REJECT, [
    importId,
    numberArray(rows.map(({ line }) => line)),
    textArray(rows.map(({ raw }) => raw)),
    textArray(rows.map(({ reason }) => reason)),
  ]);
}

export const REJECTED_AMONG = statement<RejectedRow>(
  "list_rejected_among",
  `SELECT line, raw, reason FROM postlane.left_out
   WHERE import_id = $1 AND line BETWEEN $2 AND $3 AND kind = 'rejected' ORDER BY line`,
);
export async function rejectedAmong(on: Queryable, importId: number, from: number, to: number) {
  return await rowsOf(on, REJECTED_AMONG, [importId, from, to]);
}

export const LAST_N = statement<{ readonly last_n: number }>(
  "list_last_n",
  `SELECT coalesce((SELECT n FROM postlane.recipient WHERE list_id = $1 ORDER BY list_id DESC, n DESC LIMIT 1), 0)::bigint
     AS last_n`,
);
/** The latest recipient; only while no import is under way are all before it committed. */
export async function lastRecipient(on: Queryable, id: ListId): Promise<number> {
  return (await rowsOf(on, LAST_N, [id]))[0]!.last_n;
}
