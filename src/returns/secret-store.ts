// Secrets that were made with the database and never leave it but for its own processes. Never written here.

import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export const READ = statement<{ readonly value: Buffer }>(
  "secret_read",
  `SELECT value FROM postlane.secret WHERE name = $1`,
);

export async function readSecret(on: Queryable, name: string): Promise<Buffer> {
  const [row] = await rowsOf(on, READ, [name]);
  if (row === undefined)
    throw new Error(`postlane.secret has no "${name}": the migrations make it, and nobody removes it`);
  return row.value;
}
