// A real PostgreSQL for integration tests: one private server per test file (process), started at the first need, and
// in it a fresh migrated database for each test, cloned from the one that is migrated once. With POSTLANE_TEST_DATABASE=debian15 it is
// Debian's PostgreSQL 15 instead of the embedded one. Runs with fsync on, like everything else. Leaves nothing behind:
// the server ends with the file's tests, or with the process; what a SIGKILL left, the next run removes.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, after } from "node:test";
import pg from "pg";
import { silentLog } from "../../src/platform/log.ts";
import { createPool } from "../../src/postgres/database.ts";
import { type EmbeddedServer, removeEmbedded } from "../../src/postgres/embedded.ts";
import {
  copyPostgresTemplate,
  migrateTemplate,
  startTestServer,
  TEMPLATE_DATABASE,
  testConfig,
} from "./postgres-template.ts";

export interface TestDatabase {
  readonly pool: pg.Pool;
  readonly clientConfig: pg.ClientConfig;
  /** As DATABASE_URL, for processes of our own and for `psql`. */
  readonly databaseUrl: string;
  /** An empty folder of this test's own; no embedded server lives in it. */
  readonly dataDir: string;
}

interface SharedServer {
  readonly root: string;
  readonly server: EmbeddedServer;
  /** Creates the others; on `template1`, since a database is cloned only while nobody is connected to it. */
  readonly admin: pg.Pool;
  created: number;
}

const ROOT_PREFIX = "postlane-test-";
const CLOSE_MS_MAX = 100;

let shared: Promise<SharedServer> | undefined;

export async function testDatabase(t: TestContext): Promise<TestDatabase> {
  shared ??= startShared();
  const rig = await shared;
  rig.created += 1;
  const name = `test_${rig.created}`;
  // Copying files beats logging their pages (measured: 0.26 s against 0.48 s).
  await rig.admin.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE_DATABASE} STRATEGY file_copy`);
  const clientConfig = testConfig(rig.server, name);
  // Hooks run in the order of their registration: a client that the test gives back later must not hold this one up.
  const { pool, close } = createPool(clientConfig, silentLog, { closeMsMax: CLOSE_MS_MAX });
  const dataDir = mkdtempSync(join(rig.root, "data-"));
  t.after(async () => {
    await close();
    // Sessions that the test forgot end here. The database itself goes with the server: DROP costs a checkpoint.
    await rig.admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [name]);
    rmSync(dataDir, { recursive: true, force: true });
  });
  return { pool, clientConfig, databaseUrl: databaseUrlOf(rig.server, name), dataDir };
}

/** Understood by libpq and by the driver alike. */
export function databaseUrlOf({ user, socketDir, port }: EmbeddedServer, database: string): string {
  return `postgresql://${user}@/${database}?host=${encodeURIComponent(socketDir)}&port=${port}`;
}

async function startShared(): Promise<SharedServer> {
  await removeLeftBehind();
  const root = mkdtempSync(join(tmpdir(), `${ROOT_PREFIX}${process.pid}-`));
  const isCopied = copyPostgresTemplate(root);
  const server = await startTestServer(root);
  removeAtExit(root, server.pid);
  if (!isCopied) await migrateTemplate(server);
  const admin = createPool(testConfig(server, "template1"), silentLog, { connectionsMax: 4 }).pool;
  return { root, server, admin, created: 0 };
}

after(async () => {
  const rig = await shared?.catch(() => undefined);
  if (rig === undefined) return;
  await rig.admin.end();
  await removeEmbedded(rig.root);
  rmSync(rig.root, { recursive: true, force: true });
});

/** For a process that ends before its hooks ran; nothing but synchronous work can be done here. */
function removeAtExit(root: string, pid: number): void {
  process.once("exit", () => {
    if (readdirSync(tmpdir()).every((name) => join(tmpdir(), name) !== root)) return;
    process.kill(pid, "SIGQUIT");
    rmSync(root, { recursive: true, force: true, maxRetries: 10 });
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
}

/** Test files that were killed outright leave a server; their pid in the folder's name tells. */
async function removeLeftBehind(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((name) => name.startsWith(ROOT_PREFIX))) {
    const pid = Number.parseInt(name.slice(ROOT_PREFIX.length), 10);
    if (!Number.isInteger(pid) || isAlive(pid)) continue;
    const root = join(tmpdir(), name);
    // Another test file may be at it too.
    await removeEmbedded(root).catch(() => {});
    rmSync(root, { recursive: true, force: true, maxRetries: 10 });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
