import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import pg from "pg";
import { migrate, readMigrations } from "../../src/postgres/migrate.ts";
import { testDatabase } from "../rig/postgres.ts";

const OWN = new URL("../../src/postgres/migrations/", import.meta.url);

/** A database without our schema, and a client on it. */
async function bareDatabase(t: TestContext): Promise<{ client: pg.Client; clientConfig: pg.ClientConfig }> {
  const { pool, clientConfig } = await testDatabase(t);
  await pool.query("DROP SCHEMA postlane CASCADE");
  return { client: await connected(t, clientConfig), clientConfig };
}

async function connected(t: TestContext, clientConfig: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(clientConfig);
  client.on("error", () => {}); // The database is dropped under it at the end of the test.
  await client.connect();
  t.after(() => client.end());
  return client;
}

async function folderWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), "postlane-migrations-"));
  t.after(() => rm(folder, { recursive: true }));
  for (const [name, sql] of Object.entries(files)) await writeFile(join(folder, name), sql);
  return pathToFileURL(`${folder}/`);
}

test("an empty database is migrated once, and the second time there is nothing to do", async (t) => {
  const { client } = await bareDatabase(t);
  const own = await readMigrations(OWN);
  assert.deepEqual(await migrate(client), { from: 0, to: own.length });
  assert.deepEqual(await migrate(client), { from: own.length, to: own.length });
  const { rows } = await client.query("SELECT version, name, checksum FROM postlane.migration ORDER BY version");
  assert.deepEqual(
    rows,
    own.map(({ version, name, checksum }) => ({ version, name, checksum })),
  );
});

test("of four that migrate at once one does the work", async (t) => {
  const { clientConfig } = await bareDatabase(t);
  const to = (await readMigrations(OWN)).length;
  const clients = await Promise.all([1, 2, 3, 4].map(() => connected(t, clientConfig)));
  const results = await Promise.all(clients.map((client) => migrate(client)));
  assert.deepEqual(
    results.map(({ from }) => from).sort((a, b) => a - b),
    [0, to, to, to],
  );
});

test("a schema newer than ours is refused", async (t) => {
  const { client } = await bareDatabase(t);
  const { to } = await migrate(client);
  await client.query("INSERT INTO postlane.migration VALUES ($1, 'from_the_future', 'x')", [to + 1]);
  await assert.rejects(migrate(client), (error: Error & { code?: string }) => {
    assert.equal(error.code, "schema_newer");
    assert.match(error.message, new RegExp(`version ${to + 1}.*up to ${to}.*Install that version`, "s"));
    return true;
  });
});

test("a migration that changed after it was applied is refused, and nothing after it is applied", async (t) => {
  const { client } = await bareDatabase(t);
  await migrate(client, await folderWith(t, { "0001_a.sql": "CREATE TABLE a ()" }));
  const changed = await folderWith(t, { "0001_a.sql": "CREATE TABLE a (x int)", "0002_b.sql": "CREATE TABLE b ()" });
  await assert.rejects(migrate(client, changed), { code: "schema_migration_changed" });
  assert.equal((await client.query("SELECT to_regclass('postlane.b') AS b")).rows[0].b, null);
});

test("a migration that fails is rolled back whole; those before it stay, and the lock is free again", async (t) => {
  const { client, clientConfig } = await bareDatabase(t);
  const files = { "0001_a.sql": "CREATE TABLE a ();", "0002_b.sql": "CREATE TABLE b ();\n\nCREATE TABEL c ();\n" };
  await assert.rejects(migrate(client, await folderWith(t, files)), (error: Error & { code?: string }) => {
    assert.equal(error.code, "schema_migration_failed");
    assert.match(error.message, /Migration 2 \(b, line 3\).*TABEL/);
    return true;
  });
  const { rows } = await client.query("SELECT to_regclass('postlane.a') AS a, to_regclass('postlane.b') AS b");
  assert.deepEqual(rows, [{ a: "a", b: null }]);

  const mended = await folderWith(t, { ...files, "0002_b.sql": "CREATE TABLE b ();" });
  assert.deepEqual(await migrate(await connected(t, clientConfig), mended), { from: 1, to: 2 });
});

test("a user that may not create a schema is told what the owner must do", async (t) => {
  const { client, clientConfig } = await bareDatabase(t);
  await client.query("CREATE ROLE guest LOGIN");
  const guest = await connected(t, { ...clientConfig, user: "guest" });
  await assert.rejects(migrate(guest), (error: Error & { code?: string }) => {
    assert.equal(error.code, "schema_not_permitted");
    assert.match(error.message, /CREATE SCHEMA postlane AUTHORIZATION/);
    return true;
  });
  await client.query("CREATE SCHEMA postlane AUTHORIZATION guest");
  assert.deepEqual(await migrate(guest, await folderWith(t, { "0001_a.sql": "CREATE TABLE a ()" })), {
    from: 0,
    to: 1,
  });
});
