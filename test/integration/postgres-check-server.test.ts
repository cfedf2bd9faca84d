import assert from "node:assert/strict";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import pg from "pg";
import { silentLog as log } from "../../src/platform/log.ts";
import { checkServer } from "../../src/postgres/check-server.ts";
import { embeddedConfig, openDatabase } from "../../src/postgres/database.ts";
import { findPlace } from "../../src/postgres/embedded-place.ts";
import { removeEmbedded, startEmbedded } from "../../src/postgres/embedded.ts";
import { testDatabase } from "../rig/postgres.ts";

test("a server that keeps its word passes without a warning", async (t) => {
  const { pool } = await testDatabase(t);
  const client = await pool.connect();
  t.after(() => client.release());
  assert.deepEqual(await checkServer(client), { warnings: [] });
});

test("a server that may lose what it confirmed, or takes no writes, is refused", async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), "postlane-check-"));
  t.after(async () => {
    await removeEmbedded(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  });

  const checkWith = async (settings: Readonly<Record<string, string>>): Promise<readonly string[]> => {
    const server = await startEmbedded({ dataDir, log, settings });
    const client = new pg.Client(embeddedConfig(server));
    await client.connect();
    try {
      return (await checkServer(client)).warnings;
    } finally {
      await client.end();
      await server.stop();
    }
  };

  await assert.rejects(checkWith({ fsync: "off" }), { name: "ServerRefused", code: "server_fsync_off" });
  await assert.rejects(checkWith({ full_page_writes: "off" }), { code: "server_full_page_writes_off" });
  const [warning] = await checkWith({ synchronous_commit: "off" });
  assert.match(warning ?? "", /synchronous_commit is off/);

  await t.test("a session of ours commits durably there, and still hears of the server's setting", async () => {
    const database = await openDatabase({ dataDir, log, settings: { synchronous_commit: "local" } });
    const client = await database.pool.connect();
    const { rows } = await client.query("SHOW synchronous_commit");
    assert.deepEqual(rows, [{ synchronous_commit: "on" }]);
    const { warnings } = await checkServer(client);
    assert.match(warnings[0] ?? "", /synchronous_commit is local/);
    client.release();
    await database.stop();
  });

  const { data, runAs } = findPlace(dataDir)!;
  writeFileSync(join(data, "standby.signal"), "");
  if (runAs) chownSync(join(data, "standby.signal"), runAs.uid, runAs.gid);
  await assert.rejects(checkWith({}), { code: "server_in_recovery" });
});
