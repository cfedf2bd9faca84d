// Who else talks to this database.

import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export const OTHERS = statement<{ readonly n: number }>(
  "session_others",
  `SELECT count(*)::integer AS n FROM pg_stat_activity
   WHERE backend_type = 'client backend' AND application_name <> $1`,
);

/** Sessions of anyone but the process that calls itself `ownName`. */
export async function countOtherSessions(on: Queryable, ownName: string): Promise<number> {
  const [row] = await rowsOf(on, OTHERS, [ownName]);
  return row!.n;
}
