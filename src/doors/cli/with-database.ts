// A command's way to the database: the one of DATABASE_URL, or the embedded server. Where nobody runs the embedded one,
// it is started for this command and stopped again afterwards, unless somebody else has come to use it meanwhile.

import type { Pool } from "pg";
import { admitSessions } from "../../guard/admit-session.ts";
import { openGuardMemory } from "../../guard/guard-memory.ts";
import type { Config } from "../../platform/config.ts";
import { createLog } from "../../platform/log.ts";
import { checkServer } from "../../postgres/check-server.ts";
import { openDatabase, type Database } from "../../postgres/database.ts";
import { migrate } from "../../postgres/migrate.ts";
import { syncLanes } from "../../queue/lane-store.ts";
import { countOtherSessions } from "../../reports/session-store.ts";

const CONNECTIONS_MAX = 4;

export async function withDatabase<Result>(config: Config, work: (pool: Pool) => Promise<Result>): Promise<Result> {
  return await useDatabase(config, work, admitSessions(openGuardMemory(config.dataDir)));
}

/** Also one that the guard refuses. */
export async function withAnyDatabase<Result>(config: Config, work: (pool: Pool) => Promise<Result>): Promise<Result> {
  return await useDatabase(config, work);
}

async function useDatabase<Result>(
  config: Config,
  work: (pool: Pool) => Promise<Result>,
  onConnect?: ReturnType<typeof admitSessions>,
): Promise<Result> {
  const database = await openForCommand(config, onConnect);
  try {
    await bringUpToDate(database, config);
    return await work(database.pool);
  } finally {
    await leave(database);
  }
}

async function openForCommand(
  { databaseUrl, dataDir }: Config,
  onConnect: ReturnType<typeof admitSessions> | undefined,
): Promise<Database> {
  // Only what a person must see: a command's own errors are told in its answer.
  const log = createLog(process.env["POSTLANE_DEBUG"] === undefined ? "error" : "debug", { process: "cli" });
  return await openDatabase({
    databaseUrl,
    dataDir,
    log,
    role: `cli ${process.pid}`,
    connectionsMax: CONNECTIONS_MAX,
    ...(onConnect === undefined ? {} : { onConnect }),
  });
}

async function bringUpToDate(database: Database, config: Config): Promise<void> {
  const client = await database.pool.connect();
  try {
    await checkServer(client);
    await migrate(client);
    await syncLanes(client, config.lanes);
    client.release();
  } catch (error) {
    client.release(true);
    throw error;
  }
}

async function leave(database: Database): Promise<void> {
  const isOurs = database.embedded !== undefined && !database.embedded.wasFound;
  const isAlone = isOurs && (await countOtherSessions(database.pool, `postlane cli ${process.pid}`)) === 0;
  await (isAlone ? database.stop() : database.close());
}
