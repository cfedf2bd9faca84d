import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type pg from "pg";
import { silentLog as log } from "../../src/platform/log.ts";
import { createPool } from "../../src/postgres/database.ts";
import { CommitOutcomeUnknown, inTransaction } from "../../src/postgres/transaction.ts";
import { testDatabase } from "../rig/postgres.ts";

async function poolWithTable(t: TestContext, limits: pg.ClientConfig = {}): Promise<{ pool: pg.Pool; admin: pg.Pool }> {
  const { clientConfig, pool: admin } = await testDatabase(t);
  const { pool, close } = createPool({ ...clientConfig, ...limits }, log);
  t.after(close);
  await admin.query("CREATE TABLE public.entry (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
  return { pool, admin };
}

async function count(pool: pg.Pool): Promise<unknown> {
  return (await pool.query("SELECT count(*) AS n FROM public.entry")).rows[0].n;
}

const insert = (client: pg.PoolClient, id: number) => client.query("INSERT INTO public.entry VALUES ($1)", [id]);

test("what the work did is committed, and its result handed on", async (t) => {
  const { pool } = await poolWithTable(t);
  assert.equal(await inTransaction(pool, async (client) => (await insert(client, 1)).rowCount), 1);
  assert.equal(await count(pool), 1);
  assert.equal(pool.idleCount, 1);
});

test("what the work throws rolls back, and the client is used again", async (t) => {
  const { pool } = await poolWithTable(t);
  const failing = inTransaction(pool, async (client) => {
    await insert(client, 1);
    throw new Error("no thanks");
  });
  await assert.rejects(failing, /no thanks/);
  assert.equal(await count(pool), 0);
  assert.equal(pool.totalCount, 1);
});

test("a failed statement rolls back, and the client is used again", async (t) => {
  const { pool } = await poolWithTable(t);
  await assert.rejects(
    inTransaction(pool, (client) => client.query("SELECT 1 / 0")),
    { code: "22012" },
  );
  assert.equal(await count(pool), 0);
  assert.equal(pool.totalCount, 1);
});

test("a swallowed error does not pass for a commit", async (t) => {
  const { pool } = await poolWithTable(t);
  const swallowing = inTransaction(pool, async (client) => {
    await insert(client, 1);
    await client.query("SELECT 1 / 0").catch(() => {});
  });
  await assert.rejects(swallowing, /was rolled back/);
  assert.equal(await count(pool), 0);
});

test("a COMMIT that a constraint refuses is a certain failure", async (t) => {
  const { pool } = await poolWithTable(t);
  const twice = inTransaction(pool, async (client) => {
    await insert(client, 1);
    await insert(client, 1);
  });
  await assert.rejects(twice, { code: "23505" });
  assert.equal(await count(pool), 0);
});

test("a connection lost before the answer to COMMIT leaves the outcome unknown", async (t) => {
  const { pool, admin } = await poolWithTable(t);
  const losing = inTransaction(pool, async (client) => {
    await insert(client, 1);
    const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    // Not events.once: it would take the error that comes first for its own.
    const lost = new Promise((resolve) => (client as unknown as pg.Client).once("end", () => resolve(undefined)));
    await admin.query("SELECT pg_terminate_backend($1)", [rows[0]!.pid]);
    await lost;
  });
  await assert.rejects(losing, (error: Error) => {
    assert.ok(error instanceof CommitOutcomeUnknown);
    assert.equal(error.code, "commit_outcome_unknown");
    return true;
  });
  assert.equal(pool.totalCount, 0);
  assert.equal(await count(pool), 0);
});

test("a client whose query took too long is destroyed, not queued behind", async (t) => {
  const { pool } = await poolWithTable(t, { query_timeout: 100 });
  const started = performance.now();
  await assert.rejects(
    inTransaction(pool, (client) => client.query("SELECT pg_sleep(600)")),
    /timeout/,
  );
  assert.ok(performance.now() - started < 5_000);
  assert.equal(pool.totalCount, 0);
});
