// The checks of the database: each asks and lets its judge judge. Reads only.

import type { Pool } from "pg";
import type { DatabaseGate } from "./database-gate.ts";
import type { Finding } from "./finding.ts";
import { judgeClock, judgeServer } from "./judge-server.ts";
import { judgeHorizon, judgePartitions, judgeTables } from "./judge-upkeep.ts";
import { looked, notMade, type Check, type Look } from "./run-checks.ts";
import { readServerFacts } from "./server-facts-store.ts";
import type { Surroundings } from "./surroundings.ts";
import { readHorizon, readPartitions, readTables } from "./upkeep-facts-store.ts";

export function databaseChecks(around: Surroundings, gate: Promise<DatabaseGate>): readonly Check[] {
  return [
    { name: "database", look: async () => looked((await gate).findings) },
    {
      name: "database server",
      look: () => withPool(gate, (pool, isEmbedded) => checkServerFacts(around, pool, isEmbedded)),
    },
    { name: "database upkeep", look: () => withPool(gate, async (pool) => judgeHorizon(await readHorizon(pool))) },
    { name: "database tables", look: () => withSchema(gate, checkTables) },
  ];
}

async function withPool(
  gate: Promise<DatabaseGate>,
  look: (pool: Pool, isEmbedded: boolean) => Promise<readonly Finding[]>,
): Promise<Look> {
  const { database } = await gate;
  if (database === undefined) return notMade("the database cannot be asked");
  return looked(await look(database.pool, database.isEmbedded));
}

/** For checks that read our own tables. */
export async function withSchema(
  gate: Promise<DatabaseGate>,
  look: (pool: Pool) => Promise<readonly Finding[]>,
): Promise<Look> {
  const { database } = await gate;
  if (database === undefined) return notMade("the database cannot be asked");
  return database.hasSchema ? looked(await look(database.pool)) : notMade("the schema is not this version's");
}

async function checkServerFacts(
  { clock, connectionsNeeded }: Surroundings,
  pool: Pool,
  isEmbedded: boolean,
): Promise<readonly Finding[]> {
  await readServerFacts(pool); // Connects and plans, which is no part of the round by which clocks are compared.
  const [beganAtMs, beganMs] = [clock.wallMs(), clock.monotonicMs()];
  const server = await readServerFacts(pool);
  const roundMs = clock.monotonicMs() - beganMs;
  const today = new Date(clock.wallMs()).toISOString().slice(0, 10);
  return [
    ...judgeServer({ server, connectionsNeeded, isEmbedded, today }),
    ...judgeClock(server.at_ms, beganAtMs + roundMs / 2, roundMs),
  ];
}

async function checkTables(pool: Pool): Promise<readonly Finding[]> {
  return [...judgeTables(await readTables(pool)), ...judgePartitions(await readPartitions(pool))];
}
