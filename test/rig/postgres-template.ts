// A cluster that is initialised and migrated once for a whole run of tests, and copied by each file that wants a server of its
// own: making one takes two seconds of CPU, copying it a tenth. scripts/test.mjs makes it and names it in
// POSTLANE_TEST_TEMPLATE; without it each file makes its own, so a single file runs as well by itself.

import { spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import pg from "pg";
import { silentLog } from "../../src/platform/log.ts";
import { embeddedConfig, withSessionOptions } from "../../src/postgres/database.ts";
import type { BinariesSource } from "../../src/postgres/embedded-binaries.ts";
import { startEmbedded, type EmbeddedServer } from "../../src/postgres/embedded.ts";
import { migrate } from "../../src/postgres/migrate.ts";

/** Debian's PostgreSQL 15, for tests and benchmarks that must run on it. */
export const DEBIAN_15: BinariesSource = { kind: "installed", binFolder: "/usr/lib/postgresql/15/bin", major: 15 };

/** Migrated once, cloned for each test. */
export const TEMPLATE_DATABASE = "postgres";

/** In `dataDir`, where it is stopped when this resolves. */
export async function makePostgresTemplate(dataDir: string): Promise<void> {
  const server = await startTestServer(dataDir);
  try {
    await migrateTemplate(server);
  } finally {
    await server.stop();
  }
}

/** A server for tests. It is migrated if there was a template to copy. */
export async function startTestServer(dataDir: string): Promise<EmbeddedServer> {
  const isDebian = process.env["POSTLANE_TEST_DATABASE"] === "debian15";
  return await startEmbedded({
    dataDir,
    log: silentLog,
    settings: { shared_buffers: "64MB" },
    ...(isDebian ? { binaries: DEBIAN_15 } : {}),
  });
}

/** False: there is none, or it cannot be copied. Its programs are linked, since nobody writes into them. */
export function copyPostgresTemplate(dataDir: string): boolean {
  const template = process.env["POSTLANE_TEST_TEMPLATE"];
  if (template === undefined) return false;
  const [from, to] = [path.join(template, "postgres"), path.join(dataDir, "postgres")];
  if (!existsSync(from)) return false;
  const { uid, gid, mode } = statSync(from);
  mkdirSync(to, { recursive: true, mode });
  chownSync(to, uid, gid);
  const copy = (...args: readonly string[]): boolean => spawnSync("cp", args, { stdio: "ignore" }).status === 0;
  return readdirSync(from).every((name) => {
    const one = path.join(from, name);
    return (name.startsWith("bin-") && copy("-al", one, to)) || copy("-a", "--reflink=auto", one, to);
  });
}

export async function migrateTemplate(server: EmbeddedServer): Promise<void> {
  const client = new pg.Client(testConfig(server, TEMPLATE_DATABASE));
  await client.connect();
  try {
    await migrate(client);
  } finally {
    await client.end();
  }
}

export function testConfig(server: EmbeddedServer, database: string): pg.ClientConfig {
  return withSessionOptions({ ...embeddedConfig(server), database, application_name: "postlane test" }, "on");
}
