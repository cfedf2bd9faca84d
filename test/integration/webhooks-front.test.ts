// Webhooks by the command line, and sent by a real front that is killed in the middle of a delivery.

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { Webhook } from "standardwebhooks";
import { appendEvents } from "../../src/events/event-store.ts";
import type { MessageId } from "../../src/mail/ids.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { startEndpoint, type Posted } from "../rig/endpoint.ts";
import { enqueue, until } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { endWithTest, jsonOf, runCommand, startCommand } from "./cli-command.ts";

interface Created {
  readonly id: string;
  readonly secret: string;
  readonly events: readonly string[];
}

interface Listed {
  readonly webhooks: readonly {
    readonly id: string;
    readonly state: string;
    readonly waiting: number;
    readonly failed: number;
  }[];
}

interface Failed {
  readonly deliveries: readonly { readonly id: string; readonly tries: number; readonly last_answer: string }[];
}

async function sendOne({ pool }: TestDatabase): Promise<MessageId> {
  const messageId = await enqueue(pool, { to: "ann@example.com" });
  await inTransaction(pool, (client) => appendEvents(client, [{ messageId, attempt: 1, kind: "sent" }]));
  return messageId;
}

function allowLoopback({ dataDir }: TestDatabase): void {
  writeFileSync(path.join(dataDir, "postlane.yaml"), 'webhooks: { allow: ["127.0.0.1"] }\nlisten: { http: "off" }\n');
}

test("a front that is killed between the post and its settling sends again, under the same id", async (t) => {
  const database = await testDatabase(t);
  allowLoopback(database);
  const endpoint = await startEndpoint(t);
  endpoint.answer = () => "never";
  const made = await jsonOf<Created>(database, ["webhook", "create", endpoint.url, "--events", "sent"]);
  const env = { POSTLANE_LISTEN__HTTP: "off" };
  const first = startCommand(database, ["front"], env);
  endWithTest(t, first);
  const id = await sendOne(database);
  await until("it is posted", () => endpoint.posted.length === 1);
  first.kill("SIGKILL");
  await once(first, "close");

  const { rows } = await database.pool.query(
    "SELECT claimed_until > clock_timestamp() AS is_claimed, tries FROM postlane.webhook_delivery",
  );
  assert.deepEqual(rows, [{ is_claimed: true, tries: 0 }], "nothing was written of its end");
  await database.pool.query(
    "UPDATE postlane.webhook_delivery SET claimed_until = claimed_until - interval '2 minutes'",
  );
  endpoint.answer = () => 204;
  const second = startCommand(database, ["front"], env);
  endWithTest(t, second);
  await until("it is posted again", () => endpoint.posted.length === 2);
  const [one, again] = endpoint.posted as [Posted, Posted];
  assert.equal(again.id, one.id);
  assert.equal(again.body, one.body);
  const verified = new Webhook(made.secret).verify(again.body, again.headers as Record<string, string>);
  assert.equal((verified as { data: { message_id: string } }).data.message_id, `msg_${id}`);
  await until(
    "it is settled",
    async () => (await database.pool.query("SELECT FROM postlane.webhook_delivery")).rowCount === 0,
  );
  second.kill("SIGTERM");
  const [exitCode] = (await once(second, "close")) as [number];
  assert.equal(exitCode, 0);
});

test("webhooks are made, listed, changed and replayed by the command line", async (t) => {
  const database = await testDatabase(t);
  const refused = await runCommand(database, ["webhook", "create", "https://169.254.169.254/x", "--events", "sent"]);
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /169\.254\.169\.254 is inside this machine or a private network.*webhooks\.allow/s);
  const odd = await runCommand(database, ["webhook", "create", "https://example.com/", "--events", "sent,opened"]);
  assert.equal(odd.exitCode, 2);
  assert.match(odd.stderr, /There is no event "opened"\. Events: sent, delivered, delivery_delayed,/);
  const lane = await runCommand(database, [
    "webhook",
    "create",
    "https://example.com/",
    "--events",
    "all",
    "--lane",
    "x",
  ]);
  assert.match(lane.stderr, /There is no lane "x"\. Lanes: transactional, bulk/);

  const made = await jsonOf<Created>(database, [
    "webhook",
    "create",
    "https://example.com/h",
    "--events",
    "email.sent,bounced",
    "--name",
    "shop",
  ]);
  assert.deepEqual(made.events, ["email.sent", "email.bounced"]);
  assert.match(made.secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  const rotated = await jsonOf<Created>(database, ["webhook", "rotate", made.id]);
  assert.notEqual(rotated.secret, made.secret);
  const listed = await runCommand(database, ["webhook", "list", "--json"]);
  assert.equal(listed.stdout.includes("whsec"), false, "a secret is shown once");

  await sendOne(database);
  assert.deepEqual(await jsonOf(database, ["webhook", "pause", made.id]), { id: made.id, paused: true });
  const { webhooks } = await jsonOf<Listed>(database, ["webhook", "list"]);
  assert.deepEqual(
    webhooks.map(({ id, state, waiting, failed }) => [id, state, waiting, failed]),
    [[made.id, "paused", 1, 0]],
  );
  await database.pool.query(
    "UPDATE postlane.webhook_delivery SET failed_at = clock_timestamp(), tries = 10, last_answer = 'HTTP 500'",
  );
  const { deliveries } = await jsonOf<Failed>(database, ["webhook", "failed"]);
  assert.deepEqual(
    deliveries.map(({ tries, last_answer }) => [tries, last_answer]),
    [[10, "HTTP 500"]],
  );
  assert.match(
    (await runCommand(database, ["webhook", "failed", made.id])).stdout,
    /email\.sent .* 10 {2}HTTP 500 {5}given up/,
  );
  assert.deepEqual(await jsonOf(database, ["webhook", "replay", made.id, "--failed"]), { id: made.id, replayed: 1 });
  await database.pool.query("DELETE FROM postlane.webhook_delivery");
  const since = new Date(Date.now() - 7_200_000).toISOString();
  assert.deepEqual(await jsonOf(database, ["webhook", "replay", made.id, "--since", since]), {
    id: made.id,
    replayed: 1,
  });
  assert.deepEqual(await jsonOf(database, ["webhook", "replay", made.id, "--since", since]), {
    id: made.id,
    replayed: 0,
  });
  assert.equal((await runCommand(database, ["webhook", "replay", made.id, "--since", "yesterday"])).exitCode, 2);
  assert.equal((await runCommand(database, ["webhook", "replay", made.id])).exitCode, 2);
  assert.equal((await runCommand(database, ["webhook", "resume", made.id])).exitCode, 0);
  assert.equal((await runCommand(database, ["webhook", "remove", made.id])).exitCode, 0);
  const gone = await runCommand(database, ["webhook", "pause", made.id]);
  assert.match(gone.stderr, /There is no webhook whk_1\. `postlane webhook list` shows them\./);
});
