// One transaction on a client of the pool. What `work` throws rolls it back. A COMMIT that fails is not a rollback: the
// commit record may have reached the disk before the answer was lost, so its outcome is unknown, and the error says so.
// A client that is broken, or may still have a query under way, is destroyed and never goes back to the pool.

import pg from "pg";

export class CommitOutcomeUnknown extends Error {
  readonly code = "commit_outcome_unknown";

  constructor(cause: unknown) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`The COMMIT was sent and not confirmed (${reason}): whether the transaction happened is unknown.`, { cause });
    this.name = "CommitOutcomeUnknown";
  }
}

export async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  await begin(client);
  const result = await workOrRollBack(client, work);
  await commit(client);
  client.release();
  return result;
}

async function begin(client: pg.PoolClient): Promise<void> {
  try {
    await client.query("BEGIN");
  } catch (error) {
    client.release(true);
    throw error;
  }
}

async function workOrRollBack<T>(client: pg.PoolClient, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  try {
    return await work(client);
  } catch (error) {
    client.release(!(await rolledBack(client, error)));
    throw error;
  }
}

/** False when the client must be destroyed; the server rolls back then, as soon as it notices. */
async function rolledBack(client: pg.PoolClient, error: unknown): Promise<boolean> {
  if (isQueryTimeout(error)) return false; // A ROLLBACK would wait behind the query that hangs.
  try {
    await client.query("ROLLBACK");
    return true;
  } catch {
    return false;
  }
}

/** The driver has no class and no code for it. */
function isQueryTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === "Query read timeout";
}

async function commit(client: pg.PoolClient): Promise<void> {
  let command: string;
  try {
    ({ command } = await client.query("COMMIT"));
  } catch (error) {
    client.release(true);
    throw isCertainRefusal(error) ? error : new CommitOutcomeUnknown(error);
  }
  if (command === "COMMIT") return;
  // The server answers ROLLBACK, without an error, to the COMMIT of a transaction in which a statement had failed.
  client.release();
  throw new Error(
    "The transaction was rolled back: one of its statements had failed, and the error was not passed on.",
  );
}

/** Deferred constraints (class 23) and serialization failures (class 40, but 40003) are raised before the commit record. */
function isCertainRefusal(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError) || error.severity !== "ERROR") return false;
  return /^(?:23|40)/.test(error.code ?? "") && error.code !== "40003";
}
