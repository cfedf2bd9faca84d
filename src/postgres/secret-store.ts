// The secrets that this database keeps: made by its migrations, once, and never changed, so that what was signed with
// them stays readable. Reads only.

import { rowsOf, statement, type Queryable } from "./statement.ts";

export const SECRET = statement<{ readonly value: Buffer }>(
  "secret_read",
  `SELECT value FROM postlane.secret WHERE name = $1`,
);

/** The key of the tokens in return paths. */
export async function readReturnTokenKey(on: Queryable): Promise<Buffer> {
  const [row] = await rowsOf(on, SECRET, ["return_token"]);
  if (row === undefined) throw new Error("the database has no key for return paths: run `postlane up` once");
  return row.value;
}
