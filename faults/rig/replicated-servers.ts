// A primary and its replica by streaming replication, as an operator would set them up: two servers of Debian's PostgreSQL
// 15 made by initdb and pg_basebackup, fsync on. Both listen on unix sockets only; Postlane and the site come through an
// address each (virtual-address.ts), which a failover turns to the promoted replica. The old primary's folder is kept
// until it is thrown away, so that it may come back as it is. Assumes the tool "postgresql-15"; servers of root run as the
// user `postgres`. Nothing is left when the scope ends.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { appendFileSync, chmodSync, chownSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync } from "node:fs";
import { readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { childrenOf, sendSignal } from "../../bench/running-processes.ts";
import type { Scope } from "../../test/rig/scope.ts";
import { pathOf } from "./tools.ts";
import { openVirtualAddress, type VirtualAddress } from "./virtual-address.ts";

export interface ReplicatedServers {
  /** Postlane's way to the primary, and the site's own. */
  readonly address: VirtualAddress;
  readonly databaseUrl: string;
  readonly siteUrl: string;
  readonly primary: PostgresServer;
  readonly replica: PostgresServer | undefined;
  /** Makes a replica of the primary; resolves when it streams, and if commits shall wait for it, when they do. */
  attachReplica(options: ReplicaOptions): Promise<PostgresServer>;
  /** The primary's machine is gone: SIGKILL to all its processes, and every connection is cut. */
  killPrimary(): void;
  /** The replica becomes the primary, and the addresses lead to it. Answers the old one, to come back or to throw away. */
  promote(): Promise<PostgresServer>;
}

export interface ReplicaOptions {
  readonly isSynchronous: boolean;
  /** Through a slot of this name, and what is read on the replica holds back vacuum on the primary. */
  readonly slot?: string;
}

export interface PostgresServer {
  readonly name: string;
  readonly socketPath: string;
  /** The processes that serve it, by what they call themselves: "walreceiver", say. */
  pidsOf(title: string): readonly number[];
  /** As an operator who has a shell on its machine, past every address. */
  ask<Row extends pg.QueryResultRow>(sql: string): Promise<Row>;
  tell(sql: string): Promise<void>;
  /** A transaction that has taken its snapshot, and stays open until `end`; answers its server process. */
  openTransaction(): Promise<OpenTransaction>;
  start(): Promise<void>;
  kill(): void;
  throwAway(): void;
}

export interface OpenTransaction {
  readonly pid: number;
  end(): Promise<void>;
}

const USER = "postlane";
const DATABASE = "postgres";
const PORT = 5432;
const READY_MS_MAX = 30_000;
const LOOK_MS = 20;

/** For two servers on one small machine; the rest is as the package has it. */
const SETTINGS: readonly string[] = [
  "listen_addresses = ''",
  `port = ${PORT}`,
  "max_connections = 100",
  "shared_buffers = '64MB'",
  "wal_keep_size = '1GB'",
  "max_wal_size = '2GB'",
  // In the folder, and so gone with it, also after a SIGKILL.
  "dynamic_shared_memory_type = mmap",
  "log_min_messages = warning",
];

/** `settings`: lines of postgresql.conf, behind the rig's own. */
export async function makeReplicatedServers(
  scope: Scope,
  settings: readonly string[] = [],
): Promise<ReplicatedServers> {
  const home = mkdtempSync(path.join(os.tmpdir(), "postlane-replicated-"));
  chmodSync(home, 0o711);
  scope.after(() => rmSync(home, { recursive: true, force: true, maxRetries: 10 }));
  const servers: PostgresServer[] = [];
  scope.after(() => {
    for (const server of servers) server.throwAway();
  });
  const [address, siteAddress] = [await openVirtualAddress(scope), await openVirtualAddress(scope)];
  const make = (): PostgresServer => {
    const server = makeServer(home, `server_${servers.length + 1}`);
    servers.push(server);
    return server;
  };
  const lead = (server: PostgresServer | undefined): void => {
    for (const one of [address, siteAddress]) one.leadTo(server?.socketPath);
  };
  let primary = make();
  let replica: PostgresServer | undefined;
  initialize(primary, settings);
  await primary.start();
  lead(primary);
  return {
    address,
    databaseUrl: urlOf(address),
    siteUrl: urlOf(siteAddress),
    get primary() {
      return primary;
    },
    get replica() {
      return replica;
    },
    async attachReplica({ isSynchronous, slot }) {
      replica = make();
      copyAsReplica(primary, replica, slot);
      await replica.start();
      if (isSynchronous) await waitForCommitsOf(primary, replica);
      const wanted = isSynchronous ? "sync" : "async";
      await until(`the replica streams (${wanted})`, async () => {
        const { n } = await primary.ask<{ n: number }>(
          `SELECT count(*)::int AS n FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = '${wanted}'`,
        );
        return n === 1;
      });
      return replica;
    },
    killPrimary() {
      primary.kill();
      lead(undefined);
      for (const one of [address, siteAddress]) one.cut();
    },
    async promote() {
      const old = primary;
      if (replica === undefined) throw new Error("there is no replica to promote");
      await replica.tell("SELECT pg_promote(true, 30)");
      primary = replica;
      replica = undefined;
      lead(primary);
      return old;
    },
  };
}

function urlOf({ port }: VirtualAddress): string {
  return `postgresql://${USER}@127.0.0.1:${port}/${DATABASE}`;
}

function initialize({ socketPath }: PostgresServer, settings: readonly string[]): void {
  const folder = path.dirname(path.dirname(socketPath));
  const data = path.join(folder, "data");
  run("initdb", "--pgdata", data, "--username", USER, "--auth", "trust", "--encoding", "UTF8", "--no-locale");
  appendFileSync(path.join(data, "postgresql.conf"), `\n${[...SETTINGS, ...settings].join("\n")}\n`);
}

/** Its own name and socket stand on its command line, so the copy of the settings does not matter. */
function copyAsReplica(primary: PostgresServer, replica: PostgresServer, slot?: string): void {
  const from = `host=${path.dirname(primary.socketPath)} port=${PORT} user=${USER} application_name=${replica.name}`;
  const data = path.join(path.dirname(path.dirname(replica.socketPath)), "data");
  const through = slot === undefined ? [] : ["--create-slot", "--slot", slot];
  const how = ["--checkpoint", "fast", "--write-recovery-conf", ...through];
  run("pg_basebackup", "--dbname", from, "--pgdata", data, ...how);
  if (slot !== undefined) appendFileSync(path.join(data, "postgresql.auto.conf"), "hot_standby_feedback = on\n");
}

async function waitForCommitsOf(primary: PostgresServer, replica: PostgresServer): Promise<void> {
  await primary.tell(`ALTER SYSTEM SET synchronous_standby_names = '${replica.name}'`);
  await primary.tell("SELECT pg_reload_conf()");
}

// ---- one server ------------------------------------------------------------------------------------------------------

function makeServer(home: string, name: string): PostgresServer {
  const folder = path.join(home, name);
  const data = path.join(folder, "data");
  const socketDir = path.join(folder, "socket");
  for (const made of [folder, socketDir]) {
    mkdirSync(made, { mode: 0o700 });
    const { uid, gid } = serverUser();
    if (uid !== undefined && gid !== undefined) chownSync(made, uid, gid);
  }
  let child: ChildProcess | undefined;
  const isRunning = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null;
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ host: socketDir, port: PORT, user: USER, database: DATABASE, ...PATIENCE });
    client.on("error", () => {}); // What is under way hears of it.
    await client.connect();
    return client;
  };
  const withClient = async <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const client = await connect();
    try {
      return await work(client);
    } finally {
      client.end(() => {});
    }
  };
  const kill = (): void => {
    if (child?.pid === undefined || !isRunning()) return;
    // A machine dies as a whole: nobody may go on for a moment without its parent.
    child.kill("SIGSTOP");
    for (const { pid } of childrenOf(child.pid)) sendSignal(pid, "SIGKILL");
    child.kill("SIGKILL");
    process.removeListener("exit", kill);
  };
  return {
    name,
    socketPath: path.join(socketDir, `.s.PGSQL.${PORT}`),
    pidsOf(title) {
      if (child?.pid === undefined || !isRunning()) return [];
      return childrenOf(child.pid)
        .filter(({ command }) => command.includes(title))
        .map(({ pid }) => pid);
    },
    ask: (sql) => withClient(async (client) => (await client.query(sql)).rows[0] as never),
    tell: (sql) => withClient(async (client) => void (await client.query(sql))),
    async openTransaction() {
      const client = await connect();
      await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
      const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
      return { pid: rows[0]!.pid, end: () => client.end() };
    },
    async start() {
      const log = openSync(path.join(folder, "log"), "a");
      const own = ["-c", `unix_socket_directories=${socketDir}`, "-c", `cluster_name=${name}`];
      child = spawn(programOf("postgres"), ["-D", data, ...own], { stdio: ["ignore", log, log], ...serverUser() });
      closeSync(log);
      process.once("exit", kill);
      await until(`${name} takes sessions`, async () => {
        if (!isRunning()) throw new Error(`${name} has ended:\n${readFileSync(path.join(folder, "log"), "utf8")}`);
        return await withClient(async () => true).catch(() => false);
      });
    },
    kill,
    throwAway() {
      kill();
      if (existsSync(data)) removeSharedMemory(data);
      rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

const PATIENCE: pg.ClientConfig = { connectionTimeoutMillis: 5000, query_timeout: 60_000 };

/** PostgreSQL's interlock outlives a SIGKILL until the next start, which this folder will not see. */
function removeSharedMemory(data: string): void {
  const pidFile = path.join(data, "postmaster.pid");
  if (!existsSync(pidFile)) return;
  const id = readFileSync(pidFile, "utf8").split("\n")[6]?.trim().split(/\s+/)[1];
  if (id !== undefined) spawnSync("ipcrm", ["--shmem-id", id]);
}

interface ServerUser {
  readonly uid?: number;
  readonly gid?: number;
}

/** PostgreSQL does not run as root. */
function serverUser(): ServerUser {
  if (process.getuid?.() !== 0) return {};
  const idOf = (which: string): number =>
    Number(spawnSync("id", [which, "postgres"], { encoding: "utf8" }).stdout.trim());
  return { uid: idOf("-u"), gid: idOf("-g") };
}

function programOf(name: string): string {
  return path.join(path.dirname(pathOf("postgresql-15")), name);
}

function run(name: string, ...args: readonly string[]): void {
  const options = { encoding: "utf8" as const, cwd: "/", ...serverUser() };
  const { status, stderr, error } = spawnSync(programOf(name), args, options);
  if (status !== 0) throw new Error(`${name}: ${error?.message ?? stderr.trim()}`);
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + READY_MS_MAX; !(await isSo());) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${READY_MS_MAX / 1000} s`);
    await sleep(LOOK_MS);
  }
}
