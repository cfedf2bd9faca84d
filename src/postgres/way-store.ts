// What two sessions ask to find out whether each of them has a backend of its own. Changes a setting of the session that
// nobody else reads.

import type { ClientBase } from "pg";
import { rowsOf, statement } from "./statement.ts";

/** A setting of a session that is set by nobody else. */
const MARK = "postlane.doctor_mark";

export interface BackendView {
  readonly pid: number;
  /** What `markSession` has set; empty: never, or in another session. */
  readonly mark: string;
  /** The startup options of our sessions were taken. */
  readonly has_options: boolean;
}

const VIEW = `SELECT pg_backend_pid() AS pid, coalesce(current_setting('${MARK}', true), '') AS mark,
  coalesce(current_setting('postlane.server_synchronous_commit', true), '') <> '' AS has_options`;

export const WAY_MARK = statement<unknown>("way_mark", `SELECT set_config('${MARK}', $1, false)`);
export const WAY_VIEW = statement<BackendView>("way_view", VIEW);

export async function markSession(client: ClientBase, mark: string): Promise<void> {
  // Without a name: a pooler in between may not keep prepared statements.
  await client.query(WAY_MARK.text, [mark]);
}

export async function readBackend(client: ClientBase): Promise<BackendView> {
  const { rows } = await client.query<BackendView>(VIEW);
  return rows[0]!;
}

/** As all our statements are: prepared, under a name. */
export async function readBackendPrepared(client: ClientBase): Promise<BackendView> {
  const [row] = await rowsOf(client, WAY_VIEW);
  return row!;
}

/** Holds a backend until the session ends: in transaction mode, a pooler gives another one to who asks meanwhile. */
export async function holdBackend(client: ClientBase): Promise<BackendView> {
  await client.query("BEGIN READ ONLY");
  return await readBackend(client);
}
