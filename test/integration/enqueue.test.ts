// The SQL door and its contract: what an accepted email leaves in the tables, once and only once, and what it does to
// the transactions of the site, which is nothing.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import pg from "pg";
import { acceptSubmission } from "../../src/submission/accept-submission.ts";
import { messagesOf } from "../../src/submission/submission-store.ts";
import { testDatabase } from "../rig/postgres.ts";

const good = { to: "ann@example.com", subject: "Hello", text: "Hello Ann" };

test("an email becomes a submission, its content, and a message, a queue row and a place in the books per recipient", async (t) => {
  const { pool } = await testDatabase(t);
  const email = {
    from: "Shop <shop@example.com>",
    to: ["Ann <ann@EXAMPLE.com>", "bob@example.org"],
    cc: "ANN@example.com",
    bcc: ["carol@example.net"],
    reply_to: "help@example.com",
    subject: "Hello",
    html: "<p>Hello</p>",
    headers: { "X-Order": "4711" },
    tags: [{ name: "kind", value: "receipt" }],
    lane: "bulk",
    metadata: { order: 4711 },
  };
  const answer = await acceptSubmission(pool, { kind: "email", email, door: "cli", credential: "cli" });
  assert.ok(answer.kind === "accepted");
  const { rows: messages } = await pool.query(
    `SELECT m.id, m.recipient, q.destination, q.state, q.due_at <= clock_timestamp() AS is_due
     FROM postlane.message AS m JOIN postlane.queue AS q ON q.message_id = m.id WHERE m.submission_id = $1 ORDER BY m.id`,
    [answer.submissionId],
  );
  assert.deepEqual(
    messages.map((row) => [row.recipient, row.destination, row.state, row.is_due]),
    [
      ["ann@EXAMPLE.com", "example.com", "queued", true],
      ["bob@example.org", "example.org", "queued", true],
      ["carol@example.net", "example.net", "queued", true],
    ],
  );
  assert.deepEqual(
    await messagesOf(pool, answer.submissionId),
    messages.map((row) => row.id),
  );
  const { rows: content } = await pool.query("SELECT body FROM postlane.content WHERE id = $1", [answer.submissionId]);
  const { bcc: _bcc, lane: _lane, metadata: _metadata, ...visible } = email;
  assert.deepEqual(content[0].body, { ...visible, cc: ["ANN@example.com"], reply_to: ["help@example.com"] });
  const { rows: submissions } = await pool.query("SELECT door, credential, metadata FROM postlane.submission");
  assert.deepEqual(submissions, [{ door: "cli", credential: "cli", metadata: { order: 4711 } }]);
  assert.deepEqual(await balance(pool), [{ lane: "bulk", state: "queued", n: 3 }]);
});

test("a time ahead makes it scheduled, a time that has passed does not", async (t) => {
  const { pool } = await testDatabase(t);
  const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
  await enqueue(pool, { ...good, scheduled_at: inAnHour, expires_at: new Date(Date.now() + 7_200_000).toISOString() });
  await enqueue(pool, { ...good, scheduled_at: "2020-02-29 12:00:00.5+01" });
  const { rows } = await pool.query(
    `SELECT q.state, q.due_at, m.expires_at > q.due_at AS expires FROM postlane.queue AS q
     JOIN postlane.message AS m ON m.id = q.message_id ORDER BY q.message_id`,
  );
  assert.deepEqual(
    rows.map((row) => [row.state, row.expires]),
    [
      ["scheduled", true],
      ["queued", null],
    ],
  );
  assert.equal(rows[0].due_at.toISOString(), inAnHour);
  assert.ok(rows[1].due_at.getTime() > Date.now() - 60_000, "not before it was accepted");
});

test("many at once: ids in the order of the list, and none of them when one is refused", async (t) => {
  const { pool } = await testDatabase(t);
  const emails = ["a", "b", "c"].map((name) => ({ ...good, to: `${name}@example.com` }));
  const { rows } = await pool.query("SELECT * FROM postlane.enqueue_many($1) AS id", [JSON.stringify(emails)]);
  const { rows: kept } = await pool.query(
    "SELECT 'sub_' || submission_id AS id FROM postlane.message ORDER BY recipient",
  );
  assert.deepEqual(rows, kept);
  await assert.rejects(
    pool.query("SELECT postlane.enqueue_many($1)", [JSON.stringify([...emails, { to: "x", text: "x" }])]),
    { code: "PL002", message: /^emails\[3\]: field "to"/, hint: /local@domain/ },
  );
  await assert.rejects(pool.query("SELECT postlane.enqueue_many('{}')"), { code: "PL001" });
  await assert.rejects(
    pool.query("SELECT postlane.enqueue_many((SELECT jsonb_agg(1) FROM generate_series(1, 10001)))"),
    { code: "PL004", message: /10001 emails, at most 10000/ },
  );
  assert.deepEqual(await balance(pool), [{ lane: "transactional", state: "queued", n: 3 }]);
});

test("the same key again is the same submission; with another email it is refused", async (t) => {
  const { pool } = await testDatabase(t);
  const keyed = { ...good, idempotency_key: "order-1" };
  const first = await enqueue(pool, keyed);
  assert.equal(await enqueue(pool, keyed), first);
  assert.equal(
    await enqueue(pool, { idempotency_key: "order-1", ...good }),
    first,
    "the order of the fields is nothing",
  );
  await assert.rejects(enqueue(pool, { ...keyed, text: "other" }), { code: "PL005", message: /'order-1'/ });
  assert.notEqual(await enqueue(pool, { ...keyed, idempotency_key: "order-2" }), first);
  assert.deepEqual(await balance(pool), [{ lane: "transactional", state: "queued", n: 2 }]);
});

test("a key that was rolled back is free again", async (t) => {
  const { pool } = await testDatabase(t);
  await onClient(pool, async (client) => {
    await client.query("BEGIN");
    await enqueue(client, { ...good, idempotency_key: "k" });
    await client.query("ROLLBACK");
    assert.ok(await enqueue(client, { ...good, text: "other", idempotency_key: "k" }));
  });
});

test("ten tries with one key at the same time are one submission", async (t) => {
  const { pool } = await testDatabase(t);
  const keyed = { ...good, idempotency_key: "once" };
  const ids = await Promise.all(Array.from({ length: 10 }, () => enqueue(pool, keyed)));
  assert.equal(new Set(ids).size, 1);
  assert.deepEqual(await balance(pool), [{ lane: "transactional", state: "queued", n: 1 }]);
});

test("what is rolled back leaves nothing, also back to a savepoint", async (t) => {
  const { pool } = await testDatabase(t);
  await onClient(pool, async (client) => {
    await client.query("BEGIN");
    await enqueue(client, good);
    await client.query("SAVEPOINT here");
    await enqueue(client, good);
    await client.query("ROLLBACK TO here");
    await client.query("COMMIT");
    await client.query("BEGIN");
    await enqueue(client, { ...good, lane: "bulk" });
    await client.query("ROLLBACK");
  });
  assert.deepEqual(await balance(pool), [{ lane: "transactional", state: "queued", n: 1 }]);
  const { rows } = await pool.query("SELECT count(*) AS n FROM postlane.content");
  assert.equal(rows[0].n, 1);
});

test("two transactions that enqueue to the same destinations in opposite order never wait for each other", async (t) => {
  const { pool } = await testDatabase(t);
  const to = (name: string) => ({ ...good, to: `someone@${name}.example` });
  await onClient(pool, (one) =>
    onClient(pool, async (two) => {
      for (const client of [one, two]) {
        await client.query("SET lock_timeout = '1ms'");
        await client.query("BEGIN");
      }
      await enqueue(one, to("first"));
      await enqueue(two, to("second"));
      await enqueue(one, to("second"));
      await enqueue(two, to("first"));
      await two.query("COMMIT");
      await one.query("COMMIT");
    }),
  );
  assert.deepEqual(await balance(pool), [{ lane: "transactional", state: "queued", n: 4 }]);
});

test("the commit is made durable where the session, or the role, has it otherwise, and only for its transaction", async (t) => {
  const { pool } = await testDatabase(t);
  const expected = { off: "on", local: "on", remote_write: "on", on: "on", remote_apply: "remote_apply" };
  await onClient(pool, async (client) => {
    for (const [setting, raised] of Object.entries(expected)) {
      for (const call of [
        "SELECT postlane.enqueue($1)",
        "SELECT postlane.enqueue_many(jsonb_build_array($1::jsonb))",
      ]) {
        await client.query(`SET synchronous_commit = ${setting}`);
        await client.query("BEGIN");
        await client.query(call, [JSON.stringify(good)]);
        assert.equal(await show(client), raised, `${setting}, at the commit`);
        await client.query("COMMIT");
        assert.equal(await show(client), setting, "afterwards");
      }
    }
  });
});

test("a commit with enqueue flushes the log although the role has synchronous_commit off", async (t) => {
  const { pool, clientConfig } = await testDatabase(t);
  await pool.query("CREATE TABLE site_order (id integer)");
  const options = `${clientConfig.options ?? ""} -c synchronous_commit=off`;
  const client = new pg.Client({ ...clientConfig, options });
  await client.connect();
  try {
    await client.query("BEGIN");
    await client.query("INSERT INTO site_order VALUES (1)");
    await enqueue(client, good);
    await client.query("COMMIT");
    const { rows } = await client.query(
      "SELECT pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() AS is_flushed",
    );
    assert.equal(rows[0].is_flushed, true);
  } finally {
    await client.end();
  }
});

test("a role with EXECUTE can enqueue and nothing else", async (t) => {
  const { pool } = await testDatabase(t);
  await pool.query("CREATE ROLE shop");
  await onClient(pool, async (client) => {
    await client.query("GRANT USAGE ON SCHEMA postlane TO shop");
    await client.query("SET SESSION AUTHORIZATION shop");
    await assert.rejects(enqueue(client, good), { code: "42501" });
    await client.query("RESET SESSION AUTHORIZATION");
    await client.query("GRANT EXECUTE ON FUNCTION postlane.enqueue(jsonb), postlane.enqueue_many(jsonb) TO shop");
    await client.query("SET SESSION AUTHORIZATION shop");
    // What a role may put in front of the search path changes nothing in the function.
    await client.query("CREATE TEMP TABLE lane (id smallint, name text)");
    await client.query("SET search_path = pg_temp, pg_catalog");
    assert.match(await enqueue(client, good), /^sub_\d+$/);
    await client.query("SELECT postlane.enqueue_many(jsonb_build_array($1::jsonb))", [JSON.stringify(good)]);
    assert.equal((await client.query("SELECT postlane.contract_version() AS v")).rows[0].v, 1);
    for (const forbidden of [
      "SELECT * FROM postlane.message",
      "SELECT * FROM postlane.content",
      "DELETE FROM postlane.queue",
      "SELECT postlane.accept_email('{}', 'sql', 'shop')",
      "SELECT * FROM postlane.make_messages(1, 1)",
    ]) {
      await assert.rejects(client.query(forbidden), { code: "42501" }, forbidden);
    }
    await client.query("RESET SESSION AUTHORIZATION");
    await client.query("DROP TABLE pg_temp.lane");
    await client.query("RESET search_path");
  });
  const { rows } = await pool.query("SELECT DISTINCT credential FROM postlane.submission");
  assert.deepEqual(rows, [{ credential: "sql:shop" }]);
  await pool.query("DROP OWNED BY shop");
  await pool.query("DROP ROLE shop");
});

test("50 clients that commit with enqueue share their flushes", async (t) => {
  const enqueues = `SELECT postlane.enqueue('${JSON.stringify(good)}')`;
  const shared = await flushesPerCommit(t, enqueues);
  assert.ok(shared < 0.5, `${shared.toFixed(2)} flushes per commit with enqueue`);
  // The measurement can tell: a NOTIFY holds a lock of the whole database while its commit is flushed.
  const alone = await flushesPerCommit(t, "SELECT pg_notify('any', 'x')");
  assert.ok(alone > 0.8, `${alone.toFixed(2)} flushes per commit with NOTIFY`);
});

const CLIENTS = 50;
const COMMITS_EACH = 10;

/** Each commit writes something, and is held back for 5 ms so that others can join its flush if nothing keeps them. */
async function flushesPerCommit(t: TestContext, statement: string): Promise<number> {
  const { pool, clientConfig } = await testDatabase(t);
  await pool.query("CREATE TABLE site_order (id integer)");
  const before = await flushes(pool);
  const options = `${clientConfig.options ?? ""} -c commit_delay=5000 -c commit_siblings=1`;
  const clients = Array.from({ length: CLIENTS }, () => new pg.Client({ ...clientConfig, options }));
  await Promise.all(clients.map((client) => client.connect()));
  const pids = (await Promise.all(clients.map((client) => client.query("SELECT pg_backend_pid() AS pid")))).map(
    ({ rows }) => rows[0].pid as number,
  );
  await Promise.all(
    clients.map(async (client) => {
      for (let n = 0; n < COMMITS_EACH; n++) {
        await client.query(`BEGIN; INSERT INTO site_order VALUES (${n}); ${statement}; COMMIT`);
      }
      await client.end();
    }),
  );
  await untilGone(pool, pids);
  return ((await flushes(pool)) - before) / (CLIENTS * COMMITS_EACH);
}

/** Counted by each session, and summed up when it ends. */
async function flushes(pool: pg.Pool): Promise<number> {
  const { rows: version } = await pool.query("SELECT current_setting('server_version_num')::integer AS version");
  const text =
    version[0].version >= 180_000
      ? "SELECT sum(fsyncs) AS n FROM pg_stat_io WHERE object = 'wal'"
      : "SELECT wal_sync AS n FROM pg_stat_wal";
  const { rows } = await pool.query(text);
  return Number(rows[0].n);
}

async function untilGone(pool: pg.Pool, pids: readonly number[]): Promise<void> {
  for (;;) {
    const { rows } = await pool.query("SELECT count(*) AS n FROM pg_stat_activity WHERE pid = ANY ($1)", [pids]);
    if (rows[0].n === 0) return;
  }
}

async function enqueue(on: pg.Pool | pg.ClientBase, email: unknown): Promise<string> {
  const { rows } = await on.query("SELECT postlane.enqueue($1) AS id", [JSON.stringify(email)]);
  return rows[0].id as string;
}

async function show(client: pg.ClientBase): Promise<string> {
  const { rows } = await client.query("SHOW synchronous_commit");
  return rows[0].synchronous_commit as string;
}

async function onClient<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    return await work(client);
  } finally {
    client.release(true);
  }
}

async function balance(pool: pg.Pool): Promise<readonly unknown[]> {
  const { rows } = await pool.query(
    `SELECT lane.name AS lane, state, n FROM postlane.balance_sheet JOIN postlane.lane ON lane.id = lane_id ORDER BY 1, 2`,
  );
  return rows;
}
