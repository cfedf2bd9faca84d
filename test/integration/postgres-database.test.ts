import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import type pg from "pg";
import { silentLog as log } from "../../src/platform/log.ts";
import { connectDatabase, createPool, openDatabase } from "../../src/postgres/database.ts";
import { removeEmbedded } from "../../src/postgres/embedded.ts";
import { testDatabase } from "../rig/postgres.ts";

test("by a URL: sessions of ours have our settings and types", async (t) => {
  const { databaseUrl, dataDir } = await testDatabase(t);
  const database = await openDatabase({ databaseUrl, dataDir, log, role: "dispatcher bulk" });
  t.after(() => database.stop());
  assert.equal(database.isEmbedded, false);
  assert.equal(database.embedded, undefined);
  const { rows } = await database.pool.query(
    `SELECT current_setting('synchronous_commit') AS commit, current_setting('search_path') AS path,
            current_setting('TimeZone') AS zone, current_setting('client_encoding') AS encoding,
            current_setting('application_name') AS name, 5::bigint AS big, ARRAY[1, NULL]::bigint[] AS bigs,
            date '2026-03-29' AS day, timestamptz '2026-03-29 01:30:00+00' AS instant`,
  );
  assert.deepEqual(rows, [
    {
      commit: "on",
      path: "postlane,pg_catalog",
      zone: "UTC",
      encoding: "UTF8",
      name: "postlane dispatcher bulk",
      big: 5,
      bigs: [1, null],
      day: "2026-03-29",
      instant: new Date("2026-03-29T01:30:00Z"),
    },
  ]);
  await assert.rejects(database.pool.query("SELECT 9223372036854775807::bigint"), RangeError);
});

test("what the site chose in the URL is kept, and a stronger commit stays", async (t) => {
  const { databaseUrl, dataDir } = await testDatabase(t);
  const theirs = encodeURIComponent("-c work_mem=7MB -c synchronous_commit=remote_apply");
  const database = await openDatabase({ databaseUrl: `${databaseUrl}&options=${theirs}`, dataDir, log });
  t.after(() => database.stop());
  const { rows } = await database.pool.query(
    "SELECT current_setting('work_mem') AS memory, current_setting('synchronous_commit') AS commit",
  );
  assert.deepEqual(rows, [{ memory: "7MB", commit: "remote_apply" }]);
});

test("embedded: one process opens it, a child connects, and stop ends the server", async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), "postlane-database-"));
  t.after(async () => {
    await removeEmbedded(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  });
  await assert.rejects(connectDatabase({ dataDir, log }), { code: "database_not_running" });
  const database = await openDatabase({ databaseUrl: "", dataDir, log });
  assert.equal(database.isEmbedded, true);
  const child = await connectDatabase({ dataDir, log });
  assert.deepEqual((await child.pool.query("SELECT 1 AS one")).rows, [{ one: 1 }]);
  await child.close();
  await child.close();
  await database.stop();
  await assert.rejects(connectDatabase({ dataDir, log }), { code: "database_not_running" });
});

test("a database out of reach is told without the password", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  const databaseUrl = `postgres://site:geheim@127.0.0.1:${port}/site`;
  await assert.rejects(
    openDatabase({ databaseUrl, dataDir: "/nonexistent", log }),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, "database_unreachable");
      assert.match(error.message, /ECONNREFUSED/);
      assert.doesNotMatch(error.message, /geheim/);
      return true;
    },
  );
});

test("close is bounded: a query under way is cut off", async (t) => {
  const { clientConfig } = await testDatabase(t);
  const { pool, close } = createPool(clientConfig, log, { closeMsMax: 50 });
  const client = await pool.connect();
  const asleep = client.query("SELECT pg_sleep(600)");
  const cut = assert.rejects(asleep, /Connection terminated/);
  await close();
  await cut;
});

test("a connection lost while it is out does not end the process", async (t) => {
  const { clientConfig, pool: admin } = await testDatabase(t);
  const { pool, close } = createPool(clientConfig, log);
  t.after(close);
  const client = await pool.connect();
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  // Not events.once: it would take the error that comes first for its own.
  const lost = new Promise((resolve) => (client as unknown as pg.Client).once("end", () => resolve(undefined)));
  await admin.query("SELECT pg_terminate_backend($1)", [rows[0]!.pid]);
  await lost;
  await assert.rejects(client.query("SELECT 1"));
  client.release(true);
  assert.deepEqual((await pool.query("SELECT 1 AS one")).rows, [{ one: 1 }]);
});
