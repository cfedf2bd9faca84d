// The process of a dispatcher, as the supervisor starts it: it gets through what happens to its database, and when it
// cannot, it ends at once. One that stayed would be taken for one that hangs.

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { until } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { endWithTest, enqueue, lineOf, startSupervised } from "./cli-command.ts";

const ARGS = ["dispatcher", "--lane", "transactional"];

test("a dispatcher that cannot begin ends at once, although the supervisor's channel is open", async (t) => {
  const database = await testDatabase(t);
  await database.pool.query("ALTER TABLE postlane.lane RENAME TO lane_away");
  const child = startSupervised(database, ARGS);
  endWithTest(t, child);
  const reason = lineOf(child, /^postlane: .*lane/, "stderr");
  const [exitCode] = await once(child, "close");
  assert.equal(exitCode, 1);
  await reason;
});

test("a lease that is lost is followed by a new one, also when the database does not give one at first", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const child = startSupervised(database, ARGS);
  endWithTest(t, child);
  await isReady(child);
  const [first] = await leases(database);
  const failed = lineOf(child, /lease\.acquire_failed/, "stderr");
  await pool.query("ALTER TABLE postlane.lane RENAME TO lane_away");
  await pool.query("UPDATE postlane.lease SET deadline = clock_timestamp() - interval '1 second'");
  await failed;
  await pool.query("ALTER TABLE postlane.lane_away RENAME TO lane");
  await until("it has another lease", async () => (await leases(database)).some((id) => id > first!));
  const id = await enqueue(database);
  await until("the message is sent", async () => {
    const { rows } = await pool.query("SELECT FROM postlane.event WHERE kind = 'sent' AND 'msg_' || message_id = $1", [
      id,
    ]);
    return rows.length === 1;
  });
  assert.equal(child.exitCode, null);
});

// Of a session that ends, or a server that stands still, there is no end to a process that has work.
test("a lease that is lost is followed by a new one, though nothing but the lease can be read", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const child = startSupervised(database, ["dispatcher", "--lane", "bulk"]);
  endWithTest(t, child);
  await isReady(child);
  const [first] = await leases(database);
  await pool.query("ALTER TABLE postlane.secret RENAME TO secret_away");
  await pool.query("UPDATE postlane.lease SET deadline = clock_timestamp() - interval '1 second'");
  await isReady(child);
  assert.ok((await leases(database)).some((id) => id > first!));
  assert.equal(child.exitCode, null);
});

test("one that is paused amid a settle keeps the lock of its lease no longer than the lease", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  writeFileSync(path.join(database.dataDir, "postlane.yaml"), 'lease: "3 s"\n');
  const child = startSupervised(database, ARGS);
  endWithTest(t, child);
  await isReady(child);
  const client = await pool.connect();
  await client.query("BEGIN");
  await client.query("LOCK TABLE postlane.event IN ACCESS EXCLUSIVE MODE");
  await enqueue(database);
  await until("it settles", async () => {
    const { rows } = await pool.query(
      "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
    );
    return rows.length > 0;
  });
  child.kill("SIGSTOP");
  await client.query("COMMIT");
  client.release();
  // As a rescuer takes it.
  await until("its lease can be locked", async () => {
    const { rows } = await pool.query("SELECT FROM postlane.lease FOR UPDATE SKIP LOCKED");
    return rows.length === 1;
  });
  child.kill("SIGCONT");
});

function isReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.on("message", ({ kind }: { readonly kind: string }) => {
      if (kind === "ready") resolve();
    });
  });
}

async function leases({ pool }: TestDatabase): Promise<readonly number[]> {
  const { rows } = await pool.query("SELECT id FROM postlane.lease ORDER BY id");
  return rows.map(({ id }) => id as number);
}
