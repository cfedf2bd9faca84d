// Ends sessions of a PostgreSQL, as an administrator or a proxy would: whoever has one learns by an error that it is gone.

import type pg from "pg";

/** Of Postlane's and of the site's; never the asker's own. */
const SESSIONS = `FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`;

/** Answers how many there were. */
export async function endAllSessions(client: pg.Client): Promise<number> {
  const { rows } = await client.query(`SELECT count(pg_terminate_backend(pid))::float8 AS n ${SESSIONS}`);
  return (rows[0] as { readonly n: number }).n;
}

/** One, by chance from 0 to below 1. Answers 0 when there was none. */
export async function endOneSession(client: pg.Client, chance: number): Promise<number> {
  const { rows } = await client.query(
    `WITH one AS MATERIALIZED (
       SELECT pid ${SESSIONS} ORDER BY pid OFFSET (SELECT floor($1::float8 * count(*))::bigint ${SESSIONS}) LIMIT 1
     )
     SELECT count(pg_terminate_backend(pid))::float8 AS n FROM one`,
    [chance],
  );
  return (rows[0] as { readonly n: number }).n;
}
