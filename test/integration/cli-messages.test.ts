// `postlane message`, `unknown`, `lane`, `status` as child processes on a real database.

import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { endWithTest, enqueue, jsonOf, lineOf, runCommand, startCommand } from "./cli-command.ts";

interface Story {
  readonly id: string;
  readonly state: string;
  readonly recipient: string;
  readonly due_at: string | null;
  readonly expires_at: string;
  readonly events: readonly { readonly kind: string; readonly reply: string | null }[];
}

interface Status {
  readonly nothing_leaves: readonly { readonly outlet: string; readonly dir: string }[];
  readonly lanes: readonly {
    readonly name: string;
    readonly paused_at: string | null;
    readonly oldest_waiting_ms: number | null;
    readonly books: { readonly accepted: number };
  }[];
  readonly totals: {
    readonly accepted: number;
    readonly waiting: number;
    readonly adds_up: boolean;
    readonly states: Readonly<Record<string, number>>;
  };
  readonly counted?: readonly { readonly adds_up: boolean; readonly accepted_counted: number }[];
}

test("message show tells a waiting message's story", async (t) => {
  const database = await testDatabase(t);
  const id = await enqueue(database, { metadata: { order: 4711 } });
  const story = await jsonOf<Story>(database, ["message", "show", id]);
  assert.equal(story.state, "queued");
  assert.equal(story.recipient, "ann@example.com");
  assert.deepEqual(story.events, []);
  assert.ok(Date.parse(story.expires_at) > Date.now());
  const { stdout, exitCode } = await runCommand(database, ["message", "show", id]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /^msg_\d+\n {2}state {6}queued\n {2}to {9}ann@example\.com\n/);
  assert.match(stdout, /metadata {3}\{"order":4711\}/);
});

test("message show tells of every message of a submission", async (t) => {
  const database = await testDatabase(t);
  const id = await enqueue(database, { to: ["ann@example.com", "bob@example.com"] });
  const { rows } = await database.pool.query<{ submission_id: number }>(
    "SELECT submission_id FROM postlane.message LIMIT 1",
  );
  const { messages } = await jsonOf<{ messages: readonly Story[] }>(database, [
    "message",
    "show",
    `sub_${rows[0]!.submission_id}`,
  ]);
  assert.equal(messages[0]!.id, id);
  assert.deepEqual(
    messages.map((message) => message.recipient),
    ["ann@example.com", "bob@example.com"],
  );
});

test("what is captured shows as sent (captured)", async (t) => {
  const database = await testDatabase(t);
  const id = await enqueue(database);
  await settleAs(database, id, "sent", "capture");
  const { stdout } = await runCommand(database, ["message", "show", id]);
  assert.match(stdout, /state {6}sent \(captured\)\n/);
  assert.match(stdout, /attempt 1 sent by default at capture: 250 2\.0\.0 ok/);
});

test("hold, release and cancel move a message, its story and the books together", async (t) => {
  const database = await testDatabase(t);
  const id = await enqueue(database);
  const held = await runCommand(database, ["message", "hold", id, "--reason", "asks legal first"]);
  assert.deepEqual([held.exitCode, held.stdout], [0, `${id}: held\n`]);
  const again = await runCommand(database, ["message", "hold", id]);
  assert.deepEqual([again.exitCode, again.stdout], [0, `${id}: is held already\n`]);
  assert.equal((await jsonOf<Story>(database, ["message", "show", id])).due_at, null);
  const released = await runCommand(database, ["message", "release", id]);
  assert.deepEqual([released.exitCode, released.stdout], [0, `${id}: released, queued\n`]);
  const canceled = await runCommand(database, ["message", "cancel", id]);
  assert.deepEqual([canceled.exitCode, canceled.stdout], [0, `${id}: canceled\n`]);
  const story = await jsonOf<Story>(database, ["message", "show", id]);
  assert.equal(story.state, "canceled");
  assert.deepEqual(
    story.events.map(({ kind }) => kind),
    ["held", "released", "canceled"],
  );
  assert.equal(story.events[0]!.reply, "asks legal first");
  const { totals, counted } = await jsonOf<Status>(database, ["status", "--count"]);
  assert.deepEqual([totals.accepted, totals.states["canceled"], totals.adds_up], [1, 1, true]);
  assert.deepEqual(
    counted!.map((lane) => [lane.adds_up, lane.accepted_counted]),
    [
      [true, 1],
      [true, 0],
    ],
  );
});

test("a message that is being handed over cannot be stopped, and the answer says so", async (t) => {
  const database = await testDatabase(t);
  const id = await enqueue(database);
  await database.pool.query("UPDATE postlane.queue SET lease_id = 1");
  const { exitCode, stdout, stderr } = await runCommand(database, ["message", "cancel", id]);
  assert.deepEqual([exitCode, stdout], [1, ""]);
  assert.match(stderr, /is being handed over right now and cannot be stopped/);
});

test("a claim that ends within a second does not save a message from its cancel", async (t) => {
  const database = await testDatabase(t);
  const id = await enqueue(database);
  await database.pool.query("UPDATE postlane.queue SET lease_id = 1");
  // The claim ends while the command waits for the row.
  const client = await database.pool.connect();
  await client.query("BEGIN");
  await client.query("UPDATE postlane.queue SET lease_id = NULL");
  const canceled = runCommand(database, ["message", "cancel", id]);
  await Promise.race([waiterOn(database), canceled]);
  await client.query("COMMIT");
  client.release();
  assert.equal((await canceled).exitCode, 0);
});

test("what waits no longer, and what never was, is refused with what it is", async (t) => {
  const database = await testDatabase(t);
  const id = await enqueue(database);
  await settleAs(database, id, "bounced", "mx.example.com");
  const bounced = await runCommand(database, ["message", "hold", id]);
  assert.equal(bounced.exitCode, 1);
  assert.match(bounced.stderr, /cannot be held: it waits no longer, it is bounced/);
  const missing = await runCommand(database, ["message", "show", "msg_999"]);
  assert.equal(missing.exitCode, 1);
  assert.match(missing.stderr, /There is no msg_999 in this database/);
  const { error } = JSON.parse((await runCommand(database, ["message", "show", "msg_999", "--json"])).stdout) as {
    error: { code: string };
  };
  assert.equal(error.code, "message_not_found");
  assert.equal((await runCommand(database, ["message", "show", "4711x"])).exitCode, 2);
});

test("unknown list shows what the last attempt said; accept and resend settle it", async (t) => {
  const database = await testDatabase(t);
  const ids: string[] = [];
  for (let count = 0; count < 4; count++)
    ids.push(await enqueue(database, { to: `r${count}@example.com`, lane: "bulk" }));
  await makeUnknown(database);
  const list = await jsonOf<{ total: number; messages: readonly { id: string; reply: string; resend_at: null }[] }>(
    database,
    ["unknown", "list", "--limit", "3"],
  );
  assert.equal(list.total, 4);
  assert.deepEqual(
    list.messages.map(({ id, reply, resend_at }) => [id, reply, resend_at]),
    ids.slice(0, 3).map((id) => [id, "the connection was lost", null]),
  );
  const shown = await runCommand(database, ["unknown", "list"]);
  assert.match(shown.stdout, /waits for you +mx\.example\.com: the connection was lost/);
  assert.equal((await runCommand(database, ["unknown", "accept", ids[0]!])).stdout, "1 message counted as sent\n");
  assert.equal((await runCommand(database, ["unknown", "resend", ids[1]!])).stdout, "1 message due again now\n");
  const twice = await runCommand(database, ["unknown", "resend", ids[1]!, ids[2]!]);
  assert.deepEqual([twice.exitCode, twice.stdout], [1, "1 message due again now\n"]);
  assert.match(twice.stderr, /is not unknown \(any more\)/);
  assert.equal((await runCommand(database, ["unknown", "accept", "--all"])).stdout, "1 message counted as sent\n");
  const accepted = await jsonOf<Story>(database, ["message", "show", ids[0]!]);
  assert.equal(accepted.state, "sent");
  assert.match(accepted.events.at(-1)!.reply!, /accepted by a person/);
  assert.equal((await jsonOf<Story>(database, ["message", "show", ids[1]!])).state, "deferred");
  const { totals } = await jsonOf<Status>(database, ["status"]);
  assert.deepEqual([totals.states["sent"], totals.states["deferred"], totals.states["unknown"]], [2, 2, 0]);
  assert.equal(totals.accepted, 4);
});

test("unknown accept wants ids or --all, and not both", async (t) => {
  const database = await testDatabase(t);
  for (const args of [[], ["msg_1", "--all"], ["msg_1", "--campaign", "march"]]) {
    const { exitCode, stderr } = await runCommand(database, ["unknown", "accept", ...args]);
    assert.equal(exitCode, 2, stderr);
  }
  assert.match((await runCommand(database, ["unknown", "list"])).stdout, /no message is unknown/);
});

test("lane pause and resume; list shows it", async (t) => {
  const database = await testDatabase(t);
  const paused = await runCommand(database, ["lane", "pause", "bulk"]);
  assert.deepEqual([paused.exitCode, paused.stdout], [0, "lane bulk is paused; in force within a second\n"]);
  assert.match((await runCommand(database, ["lane", "list"])).stdout, /^bulk +paused +default +7 days +hold +1$/m);
  assert.equal((await runCommand(database, ["lane", "resume", "bulk"])).exitCode, 0);
  const { lanes } = await jsonOf<Status>(database, ["lane", "list"]);
  assert.deepEqual(
    lanes.map(({ name, paused_at }) => [name, paused_at]),
    [
      ["transactional", null],
      ["bulk", null],
    ],
  );
  const wrong = await runCommand(database, ["lane", "pause", "blk"]);
  assert.equal(wrong.exitCode, 1);
  assert.match(wrong.stderr, /There is no lane "blk"\. Lanes: transactional, bulk\./);
});

test("status opens with where captured mail stays, names what nobody serves, and adds up", async (t) => {
  const database = await testDatabase(t);
  await enqueue(database);
  await enqueue(database, { scheduled_at: "2999-01-01T00:00:00Z" });
  const { stdout, exitCode } = await runCommand(database, ["status"]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /^nothing leaves this machine: outlet default keeps mail in \//);
  assert.match(stdout, /^transactional +not served +0 +2 +0 +0 /m);
  assert.match(stdout, /^2 accepted = 2 waiting \+ 0 settled$/m);
  assert.match(stdout, /lane transactional: mail waits and no dispatcher serves it; run `postlane up`/);
  const status = await jsonOf<Status>(database, ["status"]);
  assert.ok(status.lanes[0]!.oldest_waiting_ms! >= 0);
  assert.equal(status.lanes[1]!.oldest_waiting_ms, null);
  assert.deepEqual([status.totals.states["queued"], status.totals.states["scheduled"]], [1, 1]);
});

test("status --watch looks again until it is interrupted", async (t) => {
  const database = await testDatabase(t);
  const watching = startCommand(database, ["status", "--watch", "--json"]);
  endWithTest(t, watching);
  const first = JSON.parse(await lineOf(watching, /^\{.*\}$/)) as Status;
  await enqueue(database);
  const later = await lineOf(watching, /"accepted":1/);
  assert.deepEqual([first.totals.accepted, (JSON.parse(later) as Status).totals.accepted], [0, 1]);
  watching.kill("SIGINT");
  const [exitCode] = (await once(watching, "close")) as [number];
  assert.equal(exitCode, 0);
});

test("called wrongly: exit code 2, also in JSON", async (t) => {
  const database = await testDatabase(t);
  const { exitCode, stdout } = await runCommand(database, ["message", "shwo", "msg_1", "--json"]);
  assert.equal(exitCode, 2);
  assert.equal((JSON.parse(stdout) as { error: { code: string } }).error.code, "usage");
  assert.equal((await runCommand(database, ["message", "show"])).exitCode, 2);
  assert.equal((await runCommand(database, ["--version"])).exitCode, 0);
});

/** As a dispatcher would: out of the queue, an event, the books. */
async function settleAs({ pool }: TestDatabase, id: string, state: string, host: string): Promise<void> {
  await pool.query("DELETE FROM postlane.queue WHERE message_id = $1", [id.slice(4)]);
  await pool.query(
    `INSERT INTO postlane.event (message_id, attempt, kind, outlet, host, reply) VALUES ($1, 1, $2, 'default', $3, '250 2.0.0 ok')`,
    [id.slice(4), state, host],
  );
  await pool.query(
    `INSERT INTO postlane.balance_delta SELECT lane_id, campaign_id, (accepted_at AT TIME ZONE 'UTC')::date, s, n
     FROM postlane.message, (VALUES ('queued', -1), ($2, 1)) AS change (s, n) WHERE id = $1`,
    [id.slice(4), state],
  );
}

async function makeUnknown({ pool }: TestDatabase): Promise<void> {
  await pool.query(
    `INSERT INTO postlane.balance_delta SELECT lane_id, campaign_id, accepted_on, s, n
     FROM postlane.queue, (VALUES ('queued', -1), ('unknown', 1)) AS change (s, n)`,
  );
  await pool.query("UPDATE postlane.queue SET state = 'unknown', attempts = 1, due_at = 'infinity'");
  await pool.query(
    `INSERT INTO postlane.event (message_id, attempt, kind, outlet, host, reply)
     SELECT message_id, 1, 'unknown', 'default', 'mx.example.com', 'the connection was lost' FROM postlane.queue`,
  );
}

/** Until some session of a command waits for a lock. */
async function waiterOn({ pool }: TestDatabase): Promise<void> {
  for (;;) {
    const { rowCount } = await pool.query(
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
       AND application_name LIKE 'postlane cli%'`,
    );
    if (rowCount! > 0) return;
  }
}
