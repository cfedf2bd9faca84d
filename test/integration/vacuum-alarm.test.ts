// What keeps vacuum from cleaning up is found on a real server: by a role without rights of its own too, and by a front,
// which names it in its log, in `explain` and in its metrics, and takes it back.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import pg from "pg";
import type { ExplainReport } from "../../src/reports/explain.ts";
import { createVacuumWatch } from "../../src/upkeep/vacuum-alarm.ts";
import { readVacuumState } from "../../src/upkeep/vacuum-store.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { endWithTest, enqueue, jsonOf, startCommand } from "./cli-command.ts";

test("an open transaction and a slot are seen, each with what it holds, and go with it", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  assert.deepEqual((await readVacuumState(pool)).holders, []);
  const { client, pid } = await holdSnapshot(t, database);
  const slot = `stale_${process.pid}`;
  await pool.query("SELECT pg_create_physical_replication_slot($1, true)", [slot]);
  t.after(() => dropSlot(database, slot));
  const { holders, is_autovacuum_on, tables_without_autovacuum, sees_all } = await readVacuumState(pool);
  assert.deepEqual([is_autovacuum_on, tables_without_autovacuum, sees_all], [true, [], true]);
  const session = holders.find(({ kind }) => kind === "session")!;
  assert.deepEqual([session.pid, session.application], [pid, "the holder"]);
  assert.ok(session.open_ms! >= 0 && session.horizon !== null);
  const kept = holders.find(({ kind }) => kind === "slot")!;
  assert.deepEqual([kept.name, kept.is_active, kept.horizon], [slot, false, null]);
  assert.ok(kept.wal_bytes! >= 0);
  await client.query("ROLLBACK");
  await pool.query("ALTER TABLE postlane.queue SET (autovacuum_enabled = off)");
  const after = await readVacuumState(pool);
  assert.deepEqual(after.tables_without_autovacuum, ["queue"]);
  assert.deepEqual(
    after.holders.map(({ kind }) => kind),
    ["slot"],
  );
});

test("dead rows are counted, and while a snapshot is held vacuum leaves them", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  await holdSnapshot(t, database);
  await leaveDeadRows(database, 500);
  await pool.query("VACUUM postlane.queue");
  const { dead_rows, table } = await readVacuumState(pool);
  assert.ok(dead_rows >= 500, `${dead_rows} dead rows`);
  assert.equal(table, "queue");
});

test("a role without rights sees who holds on, and says that it cannot see since when", async (t) => {
  const database = await testDatabase(t);
  const { pid } = await holdSnapshot(t, database);
  await leaveDeadRows(database, 50);
  const role = `plain_${process.pid}`;
  await database.pool.query(`CREATE ROLE ${role} LOGIN`);
  await database.pool.query(`GRANT USAGE ON SCHEMA postlane TO ${role}`);
  const plain = await connect(t, { ...database.clientConfig, user: role });
  const state = await readVacuumState(plain);
  assert.equal(state.sees_all, false);
  assert.ok(state.dead_rows >= 50, `${state.dead_rows} dead rows`);
  const watch = createVacuumWatch({ deadRows: 10, heldForMs: 1000, slotWalBytes: 1e12 });
  assert.deepEqual(watch.look(state, 0), []);
  const [alarm] = watch.look(state, 1000);
  assert.match(
    alarm!.detail,
    new RegExp(
      `server process ${pid}, the holder, user \\w+, since when cannot be seen without the role pg_read_all_stats`,
    ),
  );
});

test("a front raises the alarm, tells it in explain, metrics and log, and takes it back", async (t) => {
  const database = await testDatabase(t);
  await enqueue(database, { lane: "bulk" });
  const { client, pid } = await holdSnapshot(t, database);
  await leaveDeadRows(database, 2000);
  let log = "";
  const front = startCommand(database, ["front"], {
    POSTLANE_VACUUM_ALARM__DEAD_ROWS: "1000",
    POSTLANE_VACUUM_ALARM__HELD_FOR: "1 s",
  });
  front.stderr!.setEncoding("utf8").on("data", (text: string) => (log += text));
  endWithTest(t, front);
  await until("the alarm is in the log", async () => log.includes('"event":"alarm.raised"'));
  assert.match(log, new RegExp(`server process ${pid}, the holder`));
  const { limits } = await jsonOf<ExplainReport>(database, ["explain"]);
  const told = limits.find(({ code }) => code === "vacuum_held_back");
  assert.match(told!.sentence, new RegExp(`^2\\d\\d\\d dead rows, most in table queue, .* \\(server process ${pid}, `));
  assert.match(await metricsOf(database), /^postlane_upkeep_database_alarm\{code="vacuum_held_back"\} 1$/m);
  await client.query("ROLLBACK");
  await until("the alarm is taken back", async () => log.includes('"event":"alarm.ended"'));
  assert.match(await metricsOf(database), /^postlane_upkeep_database_alarm\{code="vacuum_held_back"\} 0$/m);
});

async function metricsOf({ dataDir }: TestDatabase): Promise<string> {
  const file = readFileSync(path.join(dataDir, "run", "front.json"), "utf8");
  return await (await fetch(`http://${(JSON.parse(file) as { http: string }).http}/metrics`)).text();
}

async function holdSnapshot(t: TestContext, { clientConfig }: TestDatabase) {
  const client = await connect(t, { ...clientConfig, application_name: "the holder" });
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  return { client, pid: rows[0]!.pid };
}

async function connect(t: TestContext, config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config);
  client.on("error", () => {}); // The rig ends what is open before this test does.
  await client.connect();
  t.after(() => client.end());
  return client;
}

/** Rows that were in the queue and are gone. */
async function leaveDeadRows({ pool }: TestDatabase, n: number): Promise<void> {
  await pool.query(
    `INSERT INTO postlane.queue (message_id, lane_id, campaign_id, destination, due_at, state, accepted_on)
     SELECT -id, 1, 0, 'dead.example', now(), 'queued', current_date FROM generate_series(1, $1::integer) AS id`,
    [n],
  );
  await pool.query("DELETE FROM postlane.queue WHERE message_id < 0");
  // Statistics of a session are told when it is idle; this one tells them now.
  await pool.query("SELECT pg_stat_force_next_flush()");
  await until("the dead rows are counted", async () => (await readVacuumState(pool)).dead_rows >= n);
}

async function dropSlot({ clientConfig }: TestDatabase, name: string): Promise<void> {
  const client = new pg.Client(clientConfig);
  await client.connect();
  await client.query("SELECT pg_drop_replication_slot($1)", [name]);
  await client.end();
}
