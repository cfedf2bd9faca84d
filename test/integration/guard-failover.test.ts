// The guard and a replica that takes over, on two real servers of Debian's PostgreSQL 15: nothing lost is no matter, what is
// lost holds bulk, and the old primary is used for nothing when it comes back. And a dump that is restored elsewhere.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdtempSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import pg from "pg";
import { admitSessions } from "../../src/guard/admit-session.ts";
import { openGuardMemory, type GuardMemory } from "../../src/guard/guard-memory.ts";
import { lookAtDatabase, type GuardLook } from "../../src/guard/look-at-database.ts";
import { silentLog } from "../../src/platform/log.ts";
import { createPool, embeddedConfig } from "../../src/postgres/database.ts";
import { migrate } from "../../src/postgres/migrate.ts";
import { needs } from "../rig/needs.ts";

const PROGRAMS = "/usr/lib/postgresql/15/bin";
const [PRIMARY, REPLICA] = [5433, 5434];
const USER = "postlane_test";
const HOUR_MS = 3_600_000;

test("a synchronous replica takes over: nothing is held, and the old primary is refused", async (t) => {
  if (!needs(t, "postgresql-15")) return;
  const servers = await startPair(t);
  const memory = openGuardMemory(servers.folder);
  await servers.primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'");
  await servers.primary.query("SELECT pg_reload_conf()");
  for (let time = 0; time < 10; time++) await look(servers.primary, memory);
  servers.crash("primary");
  servers.promote();
  const { kind, sight } = await look(servers.replica, memory);
  assert.deepEqual([kind, sight.held, sight.seen.timeline], ["sound", null, 2]);
  servers.start("primary");
  await assert.rejects(look(servers.primary, memory), { code: "database_superseded" });
  const { pool, close } = createPool(servers.configOf(PRIMARY), silentLog, { onConnect: admitSessions(memory) });
  t.after(close);
  await assert.rejects(pool.query("SELECT 1"), /old primary that came back: it is on timeline 1/);
  await assert.doesNotReject(look(servers.replica, memory));
});

test("an asynchronous replica takes over without the last heartbeats: bulk is held", async (t) => {
  if (!needs(t, "postgresql-15")) return;
  const servers = await startPair(t);
  const memory = openGuardMemory(servers.folder);
  for (let time = 0; time < 3; time++) await look(servers.primary, memory);
  servers.stop("replica");
  for (let time = 0; time < 4; time++) await look(servers.primary, memory);
  servers.crash("primary");
  servers.start("replica");
  servers.promote();
  const { kind, sight } = await look(servers.replica, memory);
  assert.deepEqual([kind, sight.held, sight.seen.timeline], ["held_now", "bulk", 2]);
  const { rows } = await servers.replica.query("SELECT reason FROM postlane.guard");
  assert.equal(rows[0].reason.code, "database_rewound");
  assert.ok(rows[0].reason.evidence.heartbeats >= 4, JSON.stringify(rows[0]));
});

test("a dump that is restored into another server holds everything", async (t) => {
  if (!needs(t, "postgresql-15")) return;
  const one = await startPair(t, { withReplica: false });
  const other = await startPair(t, { withReplica: false, isEmpty: true });
  const memory = openGuardMemory(one.folder);
  for (let time = 0; time < 3; time++) await look(one.primary, memory);
  const dump = one.run("pg_dump", "--host", one.folder, "--port", String(PRIMARY), "--username", USER, "postgres");
  other.run("psql", dump, "--quiet", "--host", other.folder, "--port", String(PRIMARY), "--username", USER, "postgres");
  const elsewhere = openGuardMemory(path.join(other.folder, "data-dir"));
  for (const known of [elsewhere, memory]) {
    const { sight } = await look(other.primary, known);
    assert.equal(sight.held, "all");
  }
});

async function look(pool: pg.Pool, memory: GuardMemory): Promise<GuardLook> {
  return await lookAtDatabase({ pool, memory, gapMs: HOUR_MS, log: silentLog });
}

// ---- two servers -----------------------------------------------------------------------------------------------------

type Name = "primary" | "replica";

interface Pair {
  readonly folder: string;
  readonly primary: pg.Pool;
  readonly replica: pg.Pool;
  configOf(port: number): pg.ClientConfig;
  crash(name: Name): void;
  stop(name: Name): void;
  start(name: Name): void;
  promote(): void;
  /** As the servers' user; answers what it printed. */
  run(program: string, ...args: readonly string[]): string;
}

async function startPair(
  t: TestContext,
  { withReplica = true, isEmpty = false }: { readonly withReplica?: boolean; readonly isEmpty?: boolean } = {},
): Promise<Pair> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-pair-"));
  const runAs = process.getuid?.() === 0 ? ownerFor(folder) : {};
  chmodSync(folder, 0o700);
  const run = (program: string, ...args: readonly string[]): string => {
    const isText = args[0]?.includes("\n") === true;
    const { status, stdout, stderr } = spawnSync(path.join(PROGRAMS, program), isText ? args.slice(1) : args, {
      cwd: folder,
      encoding: "utf8",
      // A server keeps the streams it inherits: what is not read must not be a pipe.
      stdio: [
        isText ? "pipe" : "ignore",
        program === "pg_ctl" ? "ignore" : "pipe",
        program === "pg_ctl" ? "ignore" : "pipe",
      ],
      ...(isText ? { input: args[0] } : {}),
      maxBuffer: 64 * 1024 * 1024,
      ...runAs,
    });
    assert.equal(status, 0, `${program} ${args.slice(isText ? 1 : 0).join(" ")}: ${stderr}`);
    return stdout;
  };
  const dataOf = (name: Name): string => path.join(folder, name);
  const portOf = (name: Name): number => (name === "primary" ? PRIMARY : REPLICA);
  const start = (name: Name): void => {
    const options = `-p ${portOf(name)} -k ${folder} -c listen_addresses='' -c shared_buffers=16MB`;
    run("pg_ctl", "-D", dataOf(name), "-w", "-l", path.join(folder, `${name}.log`), "-o", options, "start");
  };
  const halt = (name: Name, mode: string): void => void run("pg_ctl", "-D", dataOf(name), "-w", "-m", mode, "stop");
  const configOf = (port: number): pg.ClientConfig => {
    return embeddedConfig({ socketDir: folder, port, user: USER, database: "postgres", pid: 0, wasFound: true });
  };
  const pools = [PRIMARY, REPLICA].map((port) => createPool(configOf(port), silentLog, { closeMsMax: 100 }));
  t.after(async () => {
    for (const { close } of pools) await close();
    for (const name of ["primary", "replica"]) {
      spawnSync(path.join(PROGRAMS, "pg_ctl"), ["-D", dataOf(name as Name), "-m", "immediate", "-w", "stop"], {
        ...runAs,
        cwd: folder,
      });
    }
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });
  run("initdb", "-D", dataOf("primary"), "--auth=trust", `--username=${USER}`, "--encoding=UTF8", "--locale=C");
  start("primary");
  const [primary, replica] = [pools[0]!.pool, pools[1]!.pool];
  if (!isEmpty) await migrated(primary);
  if (withReplica) {
    const from = ["--host", folder, "--port", String(PRIMARY), "--username", USER];
    run("pg_basebackup", "-D", dataOf("replica"), "--write-recovery-conf", "--checkpoint=fast", ...from);
    start("replica");
  }
  return {
    folder,
    primary,
    replica,
    configOf,
    run,
    start,
    crash: (name) => halt(name, "immediate"),
    stop: (name) => halt(name, "fast"),
    promote: () => void run("pg_ctl", "-D", dataOf("replica"), "-w", "promote"),
  };
}

async function migrated(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  await migrate(client);
  client.release();
}

/** PostgreSQL does not run as root. */
function ownerFor(folder: string): { readonly uid: number; readonly gid: number } {
  const { uid, gid } = statSync("/var/lib/postgresql");
  chownSync(folder, uid, gid);
  return { uid, gid };
}
