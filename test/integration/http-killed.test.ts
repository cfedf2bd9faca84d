// The real front, killed while clients submit: whatever was answered with success is there, once; whatever was not can be
// sent again with its key, and is there once. And it is told to stop while clients submit: nobody is cut off.

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { makeKey } from "../../src/senders/make-key.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { endWithTest, lineOf, startCommand } from "./cli-command.ts";

const CLIENTS = 50;
const EMAILS_OF_EACH = 6;
/** Answers after which the front is killed, while the others wait for theirs. */
const ANSWERS_BEFORE = 60;

interface Front {
  readonly child: ChildProcess;
  readonly url: string;
}

/** By its idempotency key, the id that was answered. */
type Answered = Map<string, string>;

test("killed while 50 clients submit, the front has lost nothing that it answered, and doubles nothing", async (t) => {
  const database = await testDatabase(t);
  const token = await keyOf(database);
  const answered: Answered = new Map();
  const front = await startFront(t, database);
  const clients = clientsAt(front, token, answered);
  await until("some are answered", () => answered.size >= ANSWERS_BEFORE);
  front.child.kill("SIGKILL");
  await Promise.all([once(front.child, "close"), ...clients]);
  assert.ok(answered.size < CLIENTS * EMAILS_OF_EACH, "it was killed too late to prove anything");
  const before = new Map(answered);

  const next = await startFront(t, database);
  await Promise.all(clientsAt(next, token, answered));
  assert.equal(answered.size, CLIENTS * EMAILS_OF_EACH);
  for (const [key, id] of before) assert.equal(answered.get(key), id, `${key} has another id the second time`);
  const { rows } = await database.pool.query(
    `SELECT k.key, 'sub_' || k.submission_id AS id, count(m.id)::integer AS messages
     FROM postlane.idempotency_key AS k LEFT JOIN postlane.message AS m USING (submission_id) GROUP BY 1, 2`,
  );
  assert.deepEqual(new Map(rows.map(({ key, id }) => [key, id])), answered);
  assert.ok(rows.every(({ messages }) => messages === 1));
  const submissions = await database.pool.query("SELECT count(*)::integer AS n FROM postlane.submission");
  assert.equal(submissions.rows[0].n, answered.size);
});

test("killed while it imports a list, the front leaves a file that the next one removes, and the same list completes", async (t) => {
  const database = await testDatabase(t);
  const token = await keyOf(database, "operate");
  const uploads = path.join(database.dataDir, "uploads");
  const front = await startFront(t, database);
  const sent = sendList(front, token).then(
    () => "answered",
    () => "cut off",
  );
  await until("some are in", async () => (await countRecipients(database)) > 0);
  front.child.kill("SIGKILL");
  await once(front.child, "close");
  assert.equal(await sent, "cut off");
  const before = await countRecipients(database);
  assert.ok(before < ROWS, "it was killed too late to prove anything");
  assert.equal(readdirSync(uploads).length, 1);

  const next = await startFront(t, database);
  assert.deepEqual(readdirSync(uploads), []);
  const { rows, accepted, doubled } = (await (await sendList(next, token)).json()) as Record<string, number>;
  // Taken up where it was: who is in already is not double.
  assert.deepEqual([rows, accepted, doubled], [ROWS, ROWS, 0]);
  assert.equal(await countRecipients(database), ROWS);
});

test("told to stop, the front answers whatever it has begun", async (t) => {
  const database = await testDatabase(t);
  const token = await keyOf(database);
  const front = await startFront(t, database);
  const answers = Array.from({ length: CLIENTS }, (_, n) => submit(front, token, `stop-${n}`));
  await until("the first are there", async () => (await countKeys(database)) > 0);
  front.child.kill("SIGTERM");
  const ended = once(front.child, "close");
  const settled = await Promise.allSettled(answers);
  assert.deepEqual(await ended, [0, null]);
  const good = settled.filter(({ status }) => status === "fulfilled").length;
  assert.equal(await countKeys(database), good, "what is there and what was answered");
});

async function keyOf({ pool }: TestDatabase, scope: "send" | "operate" = "send"): Promise<string> {
  const rights = { name: "shop", scope, lanes: null, from_domains: null, max_rate: null } as const;
  return (await makeKey(pool, { ...rights, gets_notices: true, is_deduplicated: true })).token;
}

async function startFront(t: TestContext, database: TestDatabase): Promise<Front> {
  const child = startCommand(database, ["front"]);
  endWithTest(t, child);
  child.stdout!.resume();
  const line = await lineOf(child, /http\.opened/, "stderr");
  child.stderr!.resume();
  const url = `http://${(JSON.parse(line) as { readonly http: string }).http}`;
  await until("the front is ready", async () => (await fetch(`${url}/health/ready`)).status === 200);
  return { child, url };
}

/** Each sends one email after the other, until it gets no answer. */
function clientsAt(front: Front, token: string, answered: Answered): readonly Promise<void>[] {
  return Array.from({ length: CLIENTS }, async (_, client) => {
    for (let n = 0; n < EMAILS_OF_EACH; n++) {
      const key = `client-${client}-${n}`;
      const id = await submit(front, token, key).catch(() => undefined);
      if (id === undefined) return;
      answered.set(key, id);
    }
  });
}

async function submit({ url }: Front, token: string, key: string): Promise<string> {
  const response = await fetch(`${url}/emails`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", "idempotency-key": key },
    body: JSON.stringify({ to: "ann@example.net", subject: key, text: "Hello Ann" }),
  });
  const body = (await response.json()) as { readonly id: string };
  if (response.status !== 200) throw new Error(`${response.status}: ${JSON.stringify(body)}`);
  return body.id;
}

const ROWS = 200_000;

async function sendList({ url }: Front, token: string): Promise<Response> {
  const lines = Array.from({ length: ROWS }, (_, n) => `user${n}@d${n % 500}.example`);
  return await fetch(`${url}/lists/members/imports`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "text/csv" },
    body: `email\n${lines.join("\n")}\n`,
  });
}

async function countRecipients({ pool }: TestDatabase): Promise<number> {
  const { rows } = await pool.query("SELECT count(*)::integer AS n FROM postlane.recipient");
  return rows[0].n;
}

async function countKeys({ pool }: TestDatabase): Promise<number> {
  const { rows } = await pool.query("SELECT count(*)::integer AS n FROM postlane.idempotency_key");
  return rows[0].n;
}
