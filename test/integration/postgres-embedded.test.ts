import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import test, { type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import pg from "pg";
import { silentLog } from "../../src/platform/log.ts";
import { embeddedConfig } from "../../src/postgres/database.ts";
import { packagedBinaries } from "../../src/postgres/embedded-binaries.ts";
import { findPlace, fitsSocketPath, prepareSocketFolder } from "../../src/postgres/embedded-place.ts";
import { type EmbeddedServer, findEmbedded, removeEmbedded, startEmbedded } from "../../src/postgres/embedded.ts";
import { needs } from "../rig/needs.ts";
import { DEBIAN_15 } from "../rig/postgres-template.ts";

const log = silentLog;
const isRoot = process.getuid?.() === 0;

function freshDataDir(t: TestContext, ...below: readonly string[]): string {
  const root = mkdtempSync(join(tmpdir(), "postlane-embedded-"));
  const dataDir = join(root, ...below);
  t.after(async () => {
    await removeEmbedded(dataDir);
    rmSync(root, { recursive: true, force: true });
  });
  return dataDir;
}

async function ask(server: EmbeddedServer, sql: string): Promise<unknown> {
  const client = new pg.Client(embeddedConfig(server));
  client.on("error", () => {});
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: "array" });
    return (rows as unknown[][])[0]?.[0];
  } finally {
    await client.end();
  }
}

/** Every process that works in a data directory; the last ones end a moment after the server. */
async function processesGone(data: string): Promise<void> {
  if (process.platform !== "linux") return;
  for (let looks = 0; processesIn(data).length > 0; looks++) {
    assert.ok(looks < 500, `processes left in ${data}: ${processesIn(data).join(", ")}`);
    await pause(10);
  }
}

function processesIn(data: string): readonly string[] {
  return readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && readlinkSync(`/proc/${name}/cwd`).startsWith(data);
    } catch {
      return false;
    }
  });
}

/** A process of its own that starts the server, says what it got, and stays. */
function starter(dataDir: string): { child: ChildProcess; said: Promise<{ pid: number; wasFound: boolean }> } {
  const embedded = import.meta.resolve("../../src/postgres/embedded.ts").replace(/\.ts$/, EXTENSION);
  const platformLog = import.meta.resolve("../../src/platform/log.ts").replace(/\.ts$/, EXTENSION);
  const code = `
    import { startEmbedded } from ${JSON.stringify(embedded)};
    import { silentLog as log } from ${JSON.stringify(platformLog)};
    const { pid, wasFound } = await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, log });
    console.log(JSON.stringify({ pid, wasFound }));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  const said = once(createInterface({ input: child.stdout }), "line").then(
    ([line]) => JSON.parse(String(line)) as { pid: number; wasFound: boolean },
  );
  return { child, said };
}

/** Compiled or not, a child is started from the same kind of file as this one. */
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

async function killed(child: ChildProcess): Promise<void> {
  const end = once(child, "exit");
  child.kill("SIGKILL");
  await end;
}

test("starts in an empty data directory, stops without a process left, and starts again with what was committed", async (t) => {
  const dataDir = freshDataDir(t);
  assert.equal(await findEmbedded(dataDir), undefined);

  const server = await startEmbedded({ dataDir, log });
  assert.equal(server.wasFound, false);
  assert.equal(await ask(server, "SHOW fsync"), "on");
  assert.equal(await ask(server, "SHOW data_checksums"), "on");
  assert.equal(await ask(server, "SHOW server_encoding"), "UTF8");
  assert.equal(await ask(server, "SHOW listen_addresses"), "");
  await ask(server, "CREATE TABLE kept AS SELECT 42 AS answer");
  const { data } = findPlace(dataDir)!;
  assert.equal(statSync(data).mode & 0o777, 0o700);
  assert.equal(statSync(server.socketDir).mode & 0o777, 0o700);

  await server.stop();
  await processesGone(data);
  await server.stop();
  assert.equal(await findEmbedded(dataDir), undefined);

  const again = await startEmbedded({ dataDir, log, settings: { work_mem: "5MB" } });
  assert.equal(again.wasFound, false);
  assert.equal(await ask(again, "SELECT answer FROM kept"), 42);
  assert.equal(await ask(again, "SHOW work_mem"), "5MB");
  await again.stop();
});

test("a server whose starter was killed is found again, and can be stopped", async (t) => {
  const dataDir = freshDataDir(t);
  const { child, said } = starter(dataDir);
  const first = await said;
  assert.equal(first.wasFound, false);
  await killed(child);

  const found = await startEmbedded({ dataDir, log });
  assert.equal(found.wasFound, true);
  assert.equal(found.pid, first.pid);
  assert.equal((await findEmbedded(dataDir))?.pid, first.pid);
  assert.equal(await ask(found, "SELECT 1"), 1);
  await found.stop();
  await processesGone(findPlace(dataDir)!.data);
  assert.equal(await findEmbedded(dataDir), undefined);
});

test("of several starts at once one starts the server and the others find it", async (t) => {
  const dataDir = freshDataDir(t);
  const starters = [starter(dataDir), starter(dataDir)];
  t.after(() => Promise.all(starters.map(({ child }) => killed(child))));
  const here = startEmbedded({ dataDir, log });
  const results = await Promise.all([here, ...starters.map(({ said }) => said)]);
  assert.equal(results.filter(({ wasFound }) => !wasFound).length, 1);
  assert.equal(new Set(results.map(({ pid }) => pid)).size, 1);
  assert.deepEqual(
    readdirSync(findPlace(dataDir)!.home).filter((name) => name.startsWith("making-")),
    [],
  );
});

test("a killed server is recovered, also when its pid belongs to another process by now", async (t) => {
  const dataDir = freshDataDir(t);
  const server = await startEmbedded({ dataDir, log });
  await ask(server, "CREATE TABLE kept AS SELECT 42 AS answer");
  const { data, runAs } = findPlace(dataDir)!;
  process.kill(server.pid, "SIGKILL");

  const recovered = await startEmbedded({ dataDir, log });
  assert.equal(recovered.wasFound, false);
  assert.equal(await ask(recovered, "SELECT answer FROM kept"), 42);

  process.kill(recovered.pid, "SIGKILL");
  await processesGone(data);
  const other = spawn("sleep", ["600"], { cwd: "/", stdio: "ignore", ...runAs });
  t.after(() => killed(other));
  const pidFile = join(data, "postmaster.pid");
  writeFileSync(pidFile, readFileSync(pidFile, "utf8").replace(/^\d+/, String(other.pid)));
  assert.equal(await findEmbedded(dataDir), undefined);

  const third = await startEmbedded({ dataDir, log });
  assert.equal(third.wasFound, false);
  assert.equal(await ask(third, "SELECT answer FROM kept"), 42);
  assert.equal(other.exitCode, null);
});

test("a data directory of another major version is refused, with what to do", async (t) => {
  const dataDir = freshDataDir(t);
  mkdirSync(join(dataDir, "postgres", "data"), { recursive: true });
  writeFileSync(join(dataDir, "postgres", "data", "PG_VERSION"), "17\n");
  await assert.rejects(startEmbedded({ dataDir, log }), (error: Error & { code?: string }) => {
    assert.equal(error.code, "embedded_major_version");
    assert.match(error.message, /PostgreSQL 17.*PostgreSQL 18.*pg_dump.*DATABASE_URL/s);
    return true;
  });
});

test("a folder in the way that is no database is not touched", async (t) => {
  const dataDir = freshDataDir(t);
  const precious = join(dataDir, "postgres", "data", "precious");
  mkdirSync(dirname(precious), { recursive: true });
  writeFileSync(precious, "mine");
  await assert.rejects(startEmbedded({ dataDir, log }), { code: "embedded_not_a_cluster" });
  assert.equal(readFileSync(precious, "utf8"), "mine");
});

test("a setting that the server does not take is told in the server's words", async (t) => {
  const dataDir = freshDataDir(t);
  await assert.rejects(
    startEmbedded({ dataDir, log, settings: { shared_buffers: "plenty" } }),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, "embedded_start_failed");
      assert.match(error.message, /invalid value for parameter "shared_buffers": "plenty"/);
      return true;
    },
  );
});

test("works out of a package that the server's user cannot read and whose install script did not run", async (t) => {
  const source = packagedBinaries();
  assert.equal(source.kind, "package");
  const folder = mkdtempSync(join(tmpdir(), "postlane-package-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const isLink = (path: string): boolean => lstatSync(path).isSymbolicLink();
  cpSync(source.folder, join(folder, "package"), { recursive: true, filter: (path) => !isLink(path) });
  chmodSync(join(folder, "package", "native", "bin", "postgres"), 0o700);
  chmodSync(folder, 0o700);

  const dataDir = freshDataDir(t);
  const server = await startEmbedded({ dataDir, log, binaries: { kind: "package", folder: join(folder, "package") } });
  assert.equal(await ask(server, "SELECT 1"), 1);
  assert.equal(statSync(join(folder, "package", "native", "bin", "postgres")).mode & 0o777, 0o700);
  if (isRoot) assert.notEqual(await ask(server, "SELECT 1"), statSync(findPlace(dataDir)!.data).uid);
});

test("a data directory with a path too long for a socket gets its socket in a private temporary folder", async (t) => {
  const dataDir = freshDataDir(t, "long".repeat(40), "data");
  if (isRoot) chmodSync(dirname(dirname(dataDir)), 0o711);
  mkdirSync(dataDir, { recursive: true });
  const server = await startEmbedded({ dataDir, log });
  assert.equal(fitsSocketPath(join(dataDir, "postgres", "socket")), false);
  assert.equal(dirname(server.socketDir), tmpdir());
  assert.equal(statSync(server.socketDir).mode & 0o777, 0o700);
  assert.equal((await findEmbedded(dataDir))?.socketDir, server.socketDir);
  await server.stop();
  assert.equal(existsSync(server.socketDir), false);

  const folder = prepareSocketFolder(findPlace(dataDir)!);
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o777);
  await assert.rejects(startEmbedded({ dataDir, log }), { code: "embedded_socket_path" });
});

test("as root, a data directory that the server's user cannot reach is served from elsewhere", async (t) => {
  if (!isRoot) return t.skip("needs root");
  const dataDir = freshDataDir(t, "private", "data");
  const server = await startEmbedded({ dataDir, log });
  const link = join(dataDir, "postgres");
  const home = realpathSync(link);
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.equal(statSync(dirname(dirname(dataDir))).mode & 0o777, 0o700);
  assert.notEqual(statSync(home).uid, 0);
  assert.match(readFileSync(join(home, "OWNER"), "utf8"), new RegExp(dataDir));
  assert.equal((await startEmbedded({ dataDir, log })).pid, server.pid);

  await removeEmbedded(dataDir);
  assert.equal(existsSync(home), false);
  await processesGone(home);
});

test("as root, a database that was placed elsewhere and is gone is refused, never begun anew", async (t) => {
  if (!isRoot) return t.skip("needs root");
  const dataDir = freshDataDir(t, "private", "data");
  const server = await startEmbedded({ dataDir, log });
  await server.stop();
  await processesGone(findPlace(dataDir)!.home);
  rmSync(realpathSync(join(dataDir, "postgres")), { recursive: true });
  await assert.rejects(startEmbedded({ dataDir, log }), { code: "embedded_lost" });
});

test("Debian's PostgreSQL 15 runs in a private cluster as well", async (t) => {
  if (!needs(t, "postgresql-15")) return;
  const dataDir = freshDataDir(t);
  const server = await startEmbedded({ dataDir, log, binaries: DEBIAN_15 });
  assert.match(String(await ask(server, "SHOW server_version")), /^15\./);
  await server.stop();
  await assert.rejects(startEmbedded({ dataDir, log }), { code: "embedded_major_version" });
});
