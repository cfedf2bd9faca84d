// The secrets that this database keeps: made by its migrations, once, and never changed, so that what was signed with
// them stays readable. Reads only.

import { rowsOf, statement, type Queryable } from "./statement.ts";

export const SECRET = statement<{ readonly value: Buffer }>(
  "secret_read",
  `SELECT value FROM postlane.secret WHERE name = $1`,
);

/** The key of the tokens in return paths. */
export async function readReturnTokenKey(on: Queryable): Promise<Buffer> {
  return await readSecret(on, "return_token");
}

/** The key of the tokens in addresses to unsubscribe by. */
export async function readUnsubscribeKey(on: Queryable): Promise<Buffer> {
  return await readSecret(on, "unsubscribe");
}

/** The key of the tokens in addresses to confirm a subscription by. */
export async function readSubscriptionKey(on: Queryable): Promise<Buffer> {
  return await readSecret(on, "subscription");
}

/** The key under which suppressed addresses are hashed. */
export async function readSuppressionKey(on: Queryable): Promise<Buffer> {
  return await readSecret(on, "suppression");
}

async function readSecret(on: Queryable, name: string): Promise<Buffer> {
  const [row] = await rowsOf(on, SECRET, [name]);
  if (row === undefined) throw new Error(`the database has no secret "${name}": run \`postlane up\` once`);
  return row.value;
}
