// The way to the database, opened once for all checks that need it: connected, straight, and with a schema, or the
// finding that says why not. Starts no server and makes no schema. What it opens must be closed.

import type { Pool } from "pg";
import { silentLog } from "../platform/log.ts";
import { createPool, findDatabase, type Database } from "../postgres/database.ts";
import { inspectSchema } from "../postgres/inspect-schema.ts";
import { probeWay } from "../postgres/probe-way.ts";
import { explainAbsence } from "./embedded-state.ts";
import { finding, type Finding } from "./finding.ts";
import { judgeSchema } from "./judge-upkeep.ts";
import { isWayUsable, judgeWay } from "./judge-way.ts";
import { withinTime } from "./run-checks.ts";
import type { Surroundings } from "./surroundings.ts";

export interface DatabaseGate {
  readonly findings: readonly Finding[];
  /** Absent: nothing more can be asked. */
  readonly database?: { readonly pool: Pool; readonly isEmbedded: boolean; readonly hasSchema: boolean };
  close(): Promise<void>;
}

/** To connect, and for each answer: a server that is well takes milliseconds. */
const ANSWER_MS_MAX = 3000;
const CONNECTIONS_MAX = 4;
const CLOSE_MS_MAX = 200;

export async function openGate({ config, clock }: Surroundings): Promise<DatabaseGate> {
  try {
    const { databaseUrl, dataDir } = config;
    const database = await withinTime(findDatabase({ databaseUrl, dataDir, role: "doctor" }), clock, ANSWER_MS_MAX);
    if (database === "late") return closedGate(silent());
    return await lookThrough(database);
  } catch (error) {
    const isAbsent = (error as { readonly code?: unknown }).code === "database_not_running";
    return closedGate(isAbsent ? await explainAbsence(config.dataDir) : refusalOf(error));
  }
}

async function lookThrough(database: Pick<Database, "isEmbedded" | "clientConfig">): Promise<DatabaseGate> {
  const limits = { query_timeout: ANSWER_MS_MAX, connectionTimeoutMillis: ANSWER_MS_MAX };
  const clientConfig = { ...database.clientConfig, ...limits };
  const way = await probeWay(clientConfig);
  const findings = judgeWay(way);
  if (!isWayUsable(way)) return { findings, close: async () => {} };
  const { pool, close } = createPool(clientConfig, silentLog, {
    connectionsMax: CONNECTIONS_MAX,
    closeMsMax: CLOSE_MS_MAX,
  });
  try {
    const schema = await inspectSchema(pool);
    const hasSchema = schema.kind === "current" || schema.kind === "changed";
    const { isEmbedded } = database;
    return { findings: [...findings, ...judgeSchema(schema)], database: { pool, isEmbedded, hasSchema }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

const closedGate = (found: Finding): DatabaseGate => ({ findings: [found], close: async () => {} });

const silent = (): Finding =>
  finding("database_silent", `the database gave no answer within ${ANSWER_MS_MAX / 1000} s`);

function refusalOf(error: unknown): Finding {
  const { message } = error as { readonly message?: unknown };
  if (isTimeout(message)) return silent();
  return finding("database_unreachable", typeof message === "string" ? message : String(error));
}

/** The driver's own words: it has no code for them. */
function isTimeout(message: unknown): boolean {
  return typeof message === "string" && /timeout exceeded|Query read timeout|connection timeout/i.test(message);
}
