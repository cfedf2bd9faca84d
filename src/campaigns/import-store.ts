// A chunk of a list on its way into the database: by COPY into the table of recipients where nobody can be double, or by
// COPY into a table of the session and through the rules (`postlane.add_recipients`). All in the caller's transaction.

import { finished } from "node:stream/promises";
import pg, { type ClientBase } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { COPIED_COLUMNS, copyStream } from "./copy-rows.ts";
import { rowsOf, statement } from "../postgres/statement.ts";
import type { ImportSums } from "./list-store.ts";

const MAKE_ROOM = `CREATE TEMPORARY TABLE IF NOT EXISTS import_row (
    list_id integer, address text COLLATE "C", data text, time_zone text COLLATE "C", import_id integer, line bigint
  ) ON COMMIT DELETE ROWS`;
const COPY_CAREFULLY = `COPY pg_temp.import_row ${COPIED_COLUMNS} FROM STDIN WITH (FORMAT binary)`;
const COPY_QUICKLY = `COPY postlane.recipient ${COPIED_COLUMNS} FROM STDIN WITH (FORMAT binary)`;

/** `rows`: of `CopyRows`. Fails with `isDouble` where somebody is in the list already. */
export async function copyQuickly(client: ClientBase, rows: readonly Buffer[]): Promise<void> {
  await copyIn(client, COPY_QUICKLY, rows);
}

export const ADD = statement<ImportSums>("import_add_recipients", `SELECT * FROM postlane.add_recipients($1)`);

export async function addCarefully(client: ClientBase, importId: number, rows: readonly Buffer[]): Promise<ImportSums> {
  await client.query(MAKE_ROOM);
  await copyIn(client, COPY_CAREFULLY, rows);
  const [sums] = await rowsOf(client, ADD, [importId]);
  return sums!;
}

async function copyIn(client: ClientBase, command: string, rows: readonly Buffer[]): Promise<void> {
  const stream = client.query(copyFrom(command));
  stream.end(copyStream(...rows));
  await finished(stream);
}

const UNIQUE_VIOLATION = "23505";

export function isDouble(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === UNIQUE_VIOLATION;
}
