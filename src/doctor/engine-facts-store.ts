// Which processes of ours have a session in this database. Of other roles' sessions only who may see them knows the name.

import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface SessionsRow {
  readonly fronts: number;
  /** Somebody's sessions have no name that this role may see. */
  readonly has_hidden: boolean;
}

export const SESSIONS = statement<SessionsRow>(
  "doctor_sessions",
  `SELECT count(*) FILTER (WHERE application_name LIKE 'postlane front%')::int AS fronts,
     coalesce(bool_or(backend_start IS NULL), false) AS has_hidden
   FROM pg_stat_activity WHERE datname = current_database()`,
);

export async function readSessions(on: Queryable): Promise<SessionsRow> {
  const [row] = await rowsOf(on, SESSIONS);
  return row!;
}
