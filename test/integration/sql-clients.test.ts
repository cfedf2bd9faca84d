// docs/guides/sql-clients.md as it stands: its programs run with Debian's interpreters as a member of postlane_client.
// What they commit is there, what they roll back never was; and that role may do nothing else, nor see what is not its own.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import pg from "pg";
import { acceptSubmission } from "../../src/submission/accept-submission.ts";
import { needs } from "../rig/needs.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { projectRoot } from "../tidy/source-tree.ts";

const guide = readFileSync(path.join(projectRoot, "docs/guides/sql-clients.md"), "utf8");
const run = promisify(execFile);

const examplesIn = (language: string): readonly string[] =>
  Array.from(guide.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, "gm")), ([, code]) => code!);

test("psql: what is committed is there, what is rolled back is not", async (t) => {
  if (!needs(t, "postgresql-15")) return;
  const site = await siteDatabase(t);
  const [example] = examplesIn("sh");
  const said = await site.run("sh", ["-c", example!]);
  assert.match(said, /sub_\d+/);
  await site.assertFirstOrderAlone();
});

test("Python: what is committed is there, what is rolled back is not; errors have a code and a hint", async (t) => {
  if (!needs(t, "psycopg2")) return;
  const site = await siteDatabase(t);
  const [order, refused, standing, ...others] = examplesIn("python");
  assert.deepEqual(others, []);
  assert.match(await site.run("/usr/bin/python3", ["-c", order!]), /^sub_\d+\nthe payment failed\n$/);
  await site.assertFirstOrderAlone();
  const told = await site.run("/usr/bin/python3", ["-c", refused!]);
  assert.equal(
    told,
    `PL002 field "to": 'ann@example' is not an address: the domain has fewer than two labels\nGive "local@domain" or "Name <local@domain>".\n`,
  );
  assert.equal(await site.run("/usr/bin/python3", ["-c", standing!]), "ann@example.com queued None\n");
});

test("PHP: what is committed is there, what is rolled back is not", async (t) => {
  if (!needs(t, "php-pgsql")) return;
  const site = await siteDatabase(t);
  const [example] = examplesIn("php");
  const said = await site.run("php", ["-r", example!.replace("<?php\n", "")]);
  assert.match(said, /^sub_\d+\nthe payment failed\n$/);
  await site.assertFirstOrderAlone();
});

test("Perl: what is committed is there, what is rolled back is not", async (t) => {
  if (!needs(t, "dbd-pg")) return;
  const site = await siteDatabase(t);
  const [example] = examplesIn("perl");
  assert.match(await site.run("/usr/bin/perl", ["-e", example!]), /^sub_\d+\nthe payment failed\n$/);
  await site.assertFirstOrderAlone();
});

test("a member of postlane_client may call three functions and read one view: nothing else of the schema, now or later", async (t) => {
  const { pool } = await siteDatabase(t);
  const { rows: functions } = await pool.query(
    `SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p
     WHERE p.pronamespace = 'postlane'::regnamespace AND has_function_privilege('shop', p.oid, 'EXECUTE') ORDER BY 1`,
  );
  assert.deepEqual(
    functions.map(({ name }) => name as string),
    ["contract_version()", "enqueue(jsonb)", "enqueue_many(jsonb)"],
  );
  const { rows: relations } = await pool.query(
    `SELECT c.relname AS name, string_agg(privilege, ' ') AS may
     FROM pg_class AS c, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS privilege
     WHERE c.relnamespace = 'postlane'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
       AND (has_table_privilege('shop', c.oid, privilege)
         OR privilege IN ('SELECT', 'INSERT', 'UPDATE', 'REFERENCES') AND has_any_column_privilege('shop', c.oid, privilege))
     GROUP BY 1`,
  );
  assert.deepEqual(relations, [{ name: "my_message", may: "SELECT" }]);
  const { rows: sequences } = await pool.query(
    `SELECT relname FROM pg_class WHERE relnamespace = 'postlane'::regnamespace AND CASE WHEN relkind = 'S'
       THEN has_sequence_privilege('shop', oid, 'SELECT, USAGE, UPDATE') END`,
  );
  assert.deepEqual(sequences, []);
});

test("what the role tries beyond that is refused", async (t) => {
  const { connect, pool } = await siteDatabase(t, ["neighbour"]);
  const { rows: tables } = await pool.query(
    `SELECT relname FROM pg_class WHERE relnamespace = 'postlane'::regnamespace AND relkind IN ('r', 'p', 'v')
       AND relname <> 'my_message'`,
  );
  assert.ok(tables.length >= 20, `only ${tables.length} tables`);
  const shop = await connect("shop");
  for (const statement of [
    ...tables.map(({ relname }) => `SELECT FROM postlane.${relname as string}`),
    "SELECT postlane.accept_email('{}', 'sql', 'key:1')",
    "SELECT * FROM postlane.accept_group('[]', '', '{}', '{}', '{}')",
    "SELECT postlane.place_submission(1, '', '', NULL, NULL, NULL, '{}', 1::smallint, now(), now(), NULL)",
    "SELECT postlane.enqueue_once('k', '', 1, 'sql', 'key:1')",
    "SELECT * FROM postlane.make_messages(1, 1)",
    "SELECT nextval('postlane.content_id_seq')",
    "DELETE FROM postlane.my_message",
    "UPDATE postlane.my_message SET recipient = 'eve@example.com'",
    "SELECT * FROM postlane.my_message FOR UPDATE",
    "LOCK TABLE postlane.my_message IN ACCESS EXCLUSIVE MODE",
    "CREATE TABLE postlane.mine ()",
    "DROP VIEW postlane.my_message",
    "ALTER ROLE postlane_client SUPERUSER",
    "SET SESSION AUTHORIZATION neighbour",
  ]) {
    await shop.query("BEGIN");
    await assert.rejects(
      shop.query(statement),
      ({ code = "" }: { readonly code?: string }) => DENIED.has(code),
      statement,
    );
    await shop.query("ROLLBACK");
  }
});

test("what a session has set does not change what the rules mean", async (t) => {
  const { connect, pool } = await siteDatabase(t);
  const refused = [
    "a b@example.com",
    "a@exa\nmple.com",
    "a,b@example.com",
    "a@example",
    "a..b@example.com",
    "a@-.example",
  ];
  const email = {
    to: "ann@example.com",
    text: "Hello",
    scheduled_at: "2090-02-03T04:05:06Z",
    idempotency_key: "order-1",
  };
  const first = await enqueueOn(await connect("shop"), email);
  for (const setting of [
    "standard_conforming_strings = off",
    "transform_null_equals = on",
    "array_nulls = off",
    "DateStyle = 'German, DMY'",
    "TimeZone = 'Asia/Kolkata'",
    "IntervalStyle = 'sql_standard'",
    "bytea_output = 'escape'",
    "extra_float_digits = -15",
    "search_path = pg_temp, public",
  ]) {
    const shop = await connect("shop");
    await shop.query(`SET ${setting}`);
    for (const to of refused) {
      await assert.rejects(enqueueOn(shop, { to }), { code: "PL002" }, `${setting}: ${to}`);
      await assert.rejects(enqueueOn(shop, { to, cc: [to], from: to }), { code: "PL002" }, `${setting}: ${to}`);
    }
    await assert.rejects(enqueueOn(shop, { ...email, headers: { "X-A": "b\r\nBcc: c" } }), { code: "PL001" }, setting);
    await assert.rejects(enqueueOn(shop, { ...email, headers: { "X-A: b": "c" } }), { code: "PL001" }, setting);
    await assert.rejects(enqueueOn(shop, { ...email, subject: "a\nb" }), { code: "PL001" }, setting);
    assert.equal(await enqueueOn(shop, email), first, `${setting}: the same submission`);
  }
  const { rows } = await pool.query("SELECT due_at FROM postlane.queue");
  assert.deepEqual(rows, [{ due_at: new Date("2090-02-03T04:05:06Z") }]);
});

test("each role sees its own messages only, whatever functions it brings and whoever it has become since", async (t) => {
  const { connect } = await siteDatabase(t, ["neighbour"]);
  const [shop, neighbour] = [await connect("shop"), await connect("neighbour")];
  const mine = await enqueueOn(shop, { to: "ann@example.com" });
  const theirs = await enqueueOn(neighbour, { to: "secret@neighbour.example" });
  assert.deepEqual(await recipientsOf(shop), ["ann@example.com"]);
  assert.deepEqual(await recipientsOf(neighbour), ["secret@neighbour.example"]);
  assert.deepEqual((await shop.query("SELECT FROM postlane.my_message WHERE submission_id = $1", [theirs])).rows, []);
  // Cheap, so that a planner would like to ask it first.
  await shop.query(
    `CREATE FUNCTION pg_temp.overhears(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS
     $$ BEGIN IF $1 LIKE '%secret%' THEN RAISE EXCEPTION 'overheard %', $1; END IF; RETURN true; END $$`,
  );
  const overheard = await shop.query("SELECT recipient FROM postlane.my_message WHERE pg_temp.overhears(recipient)");
  assert.deepEqual(overheard.rows, [{ recipient: "ann@example.com" }]);
  await shop.query("SET ROLE postlane_client");
  assert.deepEqual(await recipientsOf(shop), ["ann@example.com"]);
  const { rows } = await shop.query("SELECT submission, message, state, last_event FROM postlane.my_message");
  assert.match(rows[0].message as string, /^msg_\d+$/);
  assert.deepEqual(rows, [{ submission: `sub_${mine}`, message: rows[0].message, state: "queued", last_event: null }]);
});

test("a role that is named like a key, or like another door, is not that", async (t) => {
  const { connect, pool } = await siteDatabase(t, ["key:1", "loopback", "cli", "sql:shop"]);
  const email = { to: "ann@example.com", text: "Hello", idempotency_key: "order-1" };
  const keys = await acceptSubmission(pool, { kind: "email", email, door: "http", credential: "key:1" });
  const cli = await acceptSubmission(pool, { kind: "email", email, door: "cli", credential: "cli" });
  const loopback = await acceptSubmission(pool, { kind: "email", email, door: "sendmail", credential: "loopback" });
  const ids = [keys, cli, loopback].map((answer) => (answer.kind === "accepted" ? Number(answer.submissionId) : 0));
  for (const role of ["key:1", "loopback", "cli", "sql:shop", "shop"]) {
    const client = await connect(role);
    assert.deepEqual(await recipientsOf(client), [], role);
    ids.push(await enqueueOn(client, email));
    assert.equal((await recipientsOf(client)).length, 1, role);
  }
  assert.equal(new Set(ids).size, 8, "the same idempotency key, and eight submissions");
  const { rows } = await pool.query("SELECT DISTINCT credential FROM postlane.submission ORDER BY 1");
  assert.deepEqual(rows.map(({ credential }) => credential as string).toSorted(), [
    "cli",
    "key:1",
    "loopback",
    "sql:cli",
    "sql:key:1",
    "sql:loopback",
    "sql:shop",
    "sql:sql:shop",
  ]);
});

test("the view says how a message ended, and the last that was heard of it", async (t) => {
  const { connect, pool } = await siteDatabase(t);
  const shop = await connect("shop");
  const id = await enqueueOn(shop, { to: "ann@example.com" });
  const { rows: messages } = await pool.query("DELETE FROM postlane.queue RETURNING message_id");
  await pool.query(
    `INSERT INTO postlane.event (at, message_id, attempt, kind, reply) VALUES
       ('2026-01-01 10:00Z', $1, 1, 'deferred', '451 later'), ('2026-01-01 11:00Z', $1, 2, 'sent', '250 ok'),
       ('2026-01-01 11:01Z', $1, 2, 'relay_deferred', '450 busy')`,
    [messages[0].message_id],
  );
  const { rows } = await shop.query(
    "SELECT state, last_event, last_event_at, last_reply FROM postlane.my_message WHERE submission_id = $1",
    [id],
  );
  assert.deepEqual(rows, [
    {
      state: "sent",
      last_event: "relay_deferred",
      last_event_at: new Date("2026-01-01T11:01Z"),
      last_reply: "450 busy",
    },
  ]);
});

test("by the number of a submission or of a message it descends indexes", async (t) => {
  const { connect, pool } = await siteDatabase(t);
  const many = "jsonb_build_object('to', 'a' || i || '@example.com', 'text', 'x')";
  await pool.query(`SELECT count(postlane.enqueue(${many})) FROM generate_series(1, 2000) AS i`);
  await pool.query("ANALYZE postlane.submission, postlane.message, postlane.queue, postlane.event");
  const shop = await connect("shop");
  for (const question of ["submission_id = 42", "message_id = 42", "submission_id = ANY('{42,43}')"]) {
    const plan = await planOf(shop, `SELECT * FROM postlane.my_message WHERE ${question}`);
    assert.ok(!/Seq Scan on (?:submission|message|queue)/.test(plan), `${question}: ${plan}`);
  }
});

/** No right to it; or, of the view, that nobody can: it cannot be written to. */
const DENIED: ReadonlySet<string> = new Set(["42501", "55000"]);

interface Site {
  readonly pool: TestDatabase["pool"];
  connect(role: string): Promise<pg.Client>;
  /** As the role `shop`, by libpq's variables; answers its standard output. */
  run(program: string, args: readonly string[]): Promise<string>;
  assertFirstOrderAlone(): Promise<void>;
}

/** The database of the guide: its first example has been run, by somebody who may. */
async function siteDatabase(t: TestContext, moreRoles: readonly string[] = []): Promise<Site> {
  const { pool, clientConfig, databaseUrl } = await testDatabase(t);
  const [setUp] = examplesIn("sql");
  const client = await pool.connect();
  await client.query("SET search_path = public");
  await client.query(setUp!);
  for (const role of moreRoles) await client.query(`CREATE ROLE "${role}" LOGIN IN ROLE postlane_client`);
  client.release(true);
  // Roles are the server's: the next test makes them anew.
  t.after(async () => {
    for (const role of ["shop", ...moreRoles]) await dropRole(clientConfig, role);
  });
  const url = new URL(databaseUrl.replace("@/", "@localhost/"));
  const env = {
    PATH: process.env["PATH"],
    PGHOST: url.searchParams.get("host") ?? "",
    PGPORT: url.searchParams.get("port") ?? "",
    PGDATABASE: url.pathname.slice(1),
    PGUSER: "shop",
  };
  return {
    pool,
    async connect(role) {
      const client = new pg.Client({ ...clientConfig, user: role });
      client.on("error", () => {}); // The database is taken from under it at the end of the test.
      await client.connect();
      t.after(() => client.end());
      return client;
    },
    async run(program, args) {
      return (await run(program, [...args], { env, encoding: "utf8" })).stdout;
    },
    async assertFirstOrderAlone() {
      const { rows: orders } = await pool.query("SELECT id, address FROM public.orders");
      assert.deepEqual(orders, [{ id: 1, address: "ann@example.com" }]);
      const { rows: messages } = await pool.query(
        "SELECT recipient, credential FROM postlane.message JOIN postlane.submission AS s ON s.id = submission_id",
      );
      assert.deepEqual(messages, [{ recipient: "ann@example.com", credential: "sql:shop" }]);
    },
  };
}

async function dropRole(clientConfig: pg.ClientConfig, role: string): Promise<void> {
  const client = new pg.Client(clientConfig);
  await client.connect();
  await client.query(`DROP OWNED BY "${role}"`);
  await client.query(`DROP ROLE "${role}"`);
  await client.end();
}

async function enqueueOn(client: pg.Client, email: object): Promise<number> {
  const { rows } = await client.query("SELECT postlane.enqueue($1) AS id", [
    JSON.stringify({ text: "Hello", ...email }),
  ]);
  return Number((rows[0].id as string).slice("sub_".length));
}

async function recipientsOf(client: pg.Client): Promise<readonly string[]> {
  const { rows } = await client.query("SELECT recipient FROM postlane.my_message");
  return rows.map(({ recipient }) => recipient as string);
}

async function planOf(client: pg.Client, query: string): Promise<string> {
  const { rows } = await client.query(`EXPLAIN ${query}`);
  return rows.map((row) => Object.values(row as object)[0] as string).join("\n");
}
