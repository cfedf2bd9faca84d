// Webhooks on a real database and over real sockets: what is appended to the story of a message comes to each endpoint
// that asked for it, once when all is well, and at least once whatever happens.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test, type TestContext } from "node:test";
import type { Pool } from "pg";
import { Webhook } from "standardwebhooks";
import { GIVE_UP_AFTER_MS, RETRY_DELAYS_MS } from "../../src/events/delivery-fate.ts";
import {
  giveUpOlderThan,
  listFailed,
  pruneDeliveries,
  replayEvents,
  reviveFailed,
} from "../../src/events/delivery-store.ts";
import { appendEvents, type MessageEvent } from "../../src/events/event-store.ts";
import { createReachable } from "../../src/events/reachable-address.ts";
import type { WebhookKind } from "../../src/events/webhook-events.ts";
import {
  FAILED_KEPT_MS,
  OPEN_PER_ENDPOINT_MAX,
  startWebhookSender,
  type WebhookSender,
} from "../../src/events/webhook-sender.ts";
import { printWebhookSecret } from "../../src/events/webhook-signature.ts";
import {
  createWebhook,
  disableFailing,
  forgetRemoved,
  listWebhooks,
  pauseWebhook,
  removeWebhook,
  resumeWebhook,
  rotateSecret,
  WEBHOOKS_MAX,
} from "../../src/events/webhook-store.ts";
import type { MessageId, WebhookId } from "../../src/mail/ids.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { createPoster } from "../../src/platform/poster.ts";
import { createPool } from "../../src/postgres/database.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { acceptSubmission } from "../../src/submission/accept-submission.ts";
import { planForTheQueue } from "../../src/queue/session-store.ts";
import { startEndpoint, type Endpoint } from "../rig/endpoint.ts";
import { createCampaign, enqueue, fillCampaign, until } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";

interface Hook {
  readonly id: WebhookId;
  readonly secret: Buffer;
}

async function hookTo(
  pool: Pool,
  url: string,
  kinds: readonly WebhookKind[] = ["sent", "bounced"],
  lanes?: readonly string[],
): Promise<Hook> {
  const secret = randomBytes(32);
  const id = await createWebhook(pool, { url, kinds, lanes, secret });
  assert.ok(id !== undefined);
  return { id, secret };
}

interface SenderOptions {
  readonly allow?: readonly string[];
  readonly timeoutMs?: number;
  readonly lookup?: (host: string) => Promise<readonly { address: string; family: number }[]>;
  readonly onDisabled?: (line: string) => void;
}

/** As the front makes it. */
function sender(t: TestContext, { clientConfig }: TestDatabase, options: SenderOptions = {}): WebhookSender {
  const { pool, close } = createPool(clientConfig, silentLog, { connectionsMax: 2, onConnect: planForTheQueue });
  const { allow = ["127.0.0.1"], timeoutMs = 20_000, lookup, onDisabled = () => {} } = options;
  const poster = createPoster({
    isReachable: createReachable(allow),
    timeoutMs,
    ...(lookup === undefined ? {} : { lookup }),
  });
  const started = startWebhookSender({
    pool,
    clock: systemClock,
    log: silentLog,
    poster,
    defaultFrom: "Site <hello@site.example>",
    userAgent: "Postlane/test",
    onDisabled,
  });
  const stop = async (): Promise<void> => {
    await started.stop();
    poster.close();
    await close();
  };
  let stopped: Promise<void> | undefined;
  t.after(() => (stopped ??= stop()));
  return { stop: () => (stopped ??= stop()) };
}

async function append(pool: Pool, ...events: readonly MessageEvent[]): Promise<void> {
  await inTransaction(pool, (client) => appendEvents(client, events));
}

const sent = (messageId: MessageId): MessageEvent => ({
  messageId,
  attempt: 1,
  kind: "sent",
  outlet: "relay",
  host: "relay.example.com",
  reply: "250 2.0.0 Ok: queued as 4Q1",
});

async function countRows(pool: Pool, where = "true"): Promise<number> {
  const { rows } = await pool.query(`SELECT count(*)::integer AS n FROM postlane.webhook_delivery WHERE ${where}`);
  return rows[0].n as number;
}

const untilNone = (pool: Pool, where?: string) =>
  until("no delivery waits", async () => (await countRows(pool, where)) === 0);

/** Time passes for the outbox: what is due in so long is due now. */
async function timePasses(pool: Pool, ms: number): Promise<void> {
  await pool.query("UPDATE postlane.webhook_delivery SET due_at = due_at - $1 * interval '1 millisecond'", [ms]);
  await pool.query("UPDATE postlane.webhook_standing SET probe_at = probe_at - $1 * interval '1 millisecond'", [ms]);
}

const dataOf = ({ posted }: Endpoint, n: number) =>
  JSON.parse(posted[n]!.body) as { type: string; created_at: string; data: Record<string, unknown> };

test("an event comes to each endpoint that asked for it, signed, in Resend's shape", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const [all, bounces] = [await startEndpoint(t), await startEndpoint(t)];
  const hook = await hookTo(pool, all.url);
  await hookTo(pool, bounces.url, ["bounced"]);
  const tags = [{ name: "kind", value: "receipt" }];
  const id = await enqueue(pool, {
    to: "Ann <ann@example.com>",
    from: "Shop <shop@site.example>",
    subject: "Grüße 🎉",
    tags,
    metadata: { order: 4711 },
  });
  sender(t, database);
  await append(pool, { ...sent(id), kind: "deferred", reply: "450 4.2.1 later" });
  await append(pool, sent(id), { messageId: id, attempt: 1, kind: "late_sent" });
  await append(pool, {
    messageId: id,
    attempt: 1,
    kind: "bounced",
    host: "mx.example.com",
    reply: "550 5.1.1 no such user",
  });
  await untilNone(pool);

  assert.equal(all.posted.length, 2);
  assert.equal(bounces.posted.length, 1);
  const [one] = all.posted;
  const verified = new Webhook(printWebhookSecret(hook.secret)).verify(
    one!.body,
    one!.headers as Record<string, string>,
  );
  const { rows } = await pool.query("SELECT at FROM postlane.event WHERE message_id = $1 AND kind = 'sent'", [id]);
  const { rows: messages } = await pool.query("SELECT submission_id, accepted_at FROM postlane.message WHERE id = $1", [
    id,
  ]);
  assert.deepEqual(verified, {
    type: "email.sent",
    created_at: rows[0].at.toISOString(),
    data: {
      email_id: `sub_${messages[0].submission_id}`,
      message_id: `msg_${id}`,
      created_at: messages[0].accepted_at.toISOString(),
      from: "Shop <shop@site.example>",
      to: ["ann@example.com"],
      subject: "Grüße 🎉",
      tags: { kind: "receipt" },
      metadata: { order: 4711 },
      lane: "transactional",
      attempt: 1,
      outlet: "relay",
      response: { message: "250 2.0.0 Ok: queued as 4Q1", code: "2.0.0", host: "relay.example.com" },
    },
  });
  assert.equal(one!.headers["user-agent"], "Postlane/test");
  const { type, data } = dataOf(bounces, 0);
  assert.equal(type, "email.bounced");
  assert.deepEqual(data["bounce"], {
    type: "Permanent",
    subType: "General",
    message: "550 5.1.1 no such user",
    code: "5.1.1",
    host: "mx.example.com",
  });
  assert.equal(all.posted[1]!.id, bounces.posted[0]!.id, "one event has one id");
});

test("mail that came by SMTP is told by its header, a campaign's message by its campaign", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const endpoint = await startEndpoint(t);
  await hookTo(pool, endpoint.url);
  const raw =
    "From: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= <app@site.example>\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n";
  const answer = await acceptSubmission(pool, {
    kind: "mail",
    door: "smtp",
    credential: "key:1",
    raw: Buffer.from(raw),
    envelope: { to: ["ann@example.com"], mail: { sender: "bounces@site.example" } },
  });
  assert.equal(answer.kind, "accepted");
  const campaign = await createCampaign(pool, { name: "news" });
  await fillCampaign(pool, campaign, { rows: 1, destinations: 1, domain: "news.example" });
  const { rows } = await pool.query("SELECT id FROM postlane.message ORDER BY id");
  sender(t, database);
  await append(pool, ...rows.map(({ id }) => sent(id)));
  await untilNone(pool);
  const told = endpoint.posted.map(({ body }) => JSON.parse(body).data as Record<string, unknown>);
  const [mail, news] = told
    .toSorted((one, other) => String(one["lane"]).localeCompare(String(other["lane"])))
    .toReversed();
  assert.equal(mail!["from"], "Grüße <app@site.example>");
  assert.equal(mail!["subject"], "Grüße");
  assert.match(String(mail!["email_id"]), /^sub_\d+$/);
  assert.equal(news!["campaign_id"], `cmp_${campaign}`);
  assert.equal(news!["from"], "News <news@news.example>");
  assert.deepEqual([news!["email_id"], news!["subject"]], [undefined, undefined]);
});

test("two senders share the work, and each event goes once", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const endpoint = await startEndpoint(t);
  await hookTo(pool, endpoint.url);
  const id = await enqueue(pool, { to: "ann@example.com" });
  sender(t, database);
  sender(t, database);
  for (let n = 1; n <= 10; n++) {
    await append(pool, ...Array.from({ length: 30 }, (_, m) => ({ ...sent(id), attempt: n * 100 + m })));
  }
  await untilNone(pool);
  assert.equal(new Set(endpoint.posted.map((posted) => posted.id)).size, 300);
  assert.equal(endpoint.posted.length, 300);
});

test("what is rolled back is not told, and what is removed, disabled or of another lane is not kept", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await enqueue(pool, { to: "ann@example.com" });
  const bulk = await hookTo(pool, "https://a.example/", ["sent"], ["bulk"]);
  const removed = await hookTo(pool, "https://b.example/");
  await removeWebhook(pool, removed.id);
  await append(pool, sent(id));
  assert.equal(await countRows(pool), 0);
  const campaign = await createCampaign(pool, { name: "news" });
  await fillCampaign(pool, campaign, { rows: 2, destinations: 1, domain: "news.example" });
  const { rows } = await pool.query("SELECT id FROM postlane.message WHERE campaign_id = $1", [campaign]);
  await append(pool, ...rows.map((row) => sent(row.id)));
  assert.equal(await countRows(pool, `webhook_id = ${bulk.id}`), 2);
  await assert.rejects(
    inTransaction(pool, async (client) => {
      await appendEvents(client, [sent(rows[0].id)]);
      throw new Error("no");
    }),
  );
  assert.equal(await countRows(pool), 2);
  await removeWebhook(pool, bulk.id);
  assert.equal(await pruneDeliveries(pool, FAILED_KEPT_MS, 100), 2);
  await pool.query("UPDATE postlane.webhook SET removed_at = removed_at - interval '2 days'");
  await forgetRemoved(pool);
  assert.equal((await pool.query("SELECT FROM postlane.webhook")).rowCount, 0);
});

test("an endpoint that is down for an hour gets everything once it is up, the same octets under the same ids", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const endpoint = await startEndpoint(t);
  endpoint.answer = () => 503;
  await hookTo(pool, endpoint.url);
  sender(t, database);
  const ids: MessageId[] = [];
  for (let n = 0; n < 5; n++) ids.push(await enqueue(pool, { to: `ann${n}@example.com` }));
  await append(pool, ...ids.map(sent));
  const looks = new Map<string, string>();
  // An hour, a few minutes at a time, while more mail goes out.
  for (let minute = 0; minute < 60; minute += 6) {
    const before = endpoint.posted.length;
    await timePasses(pool, 6 * 60_000);
    const id = await enqueue(pool, { to: `later${minute}@example.com` });
    ids.push(id);
    await append(pool, sent(id));
    await until("it is tried again", () => endpoint.posted.length > before);
    await until("that is settled", async () => (await listWebhooks(pool))[0]!.failures >= endpoint.posted.length);
  }
  for (const { id, body } of endpoint.posted) looks.set(id, body);
  const [{ failures, failing_since: since } = { failures: 0, failing_since: null }] = await listWebhooks(pool);
  assert.ok(failures >= 10 && since !== null, `${failures} failures`);
  assert.ok(endpoint.posted.length < 40, `while it is down it is tried seldom: ${endpoint.posted.length} times`);

  endpoint.answer = () => 200;
  const at = endpoint.posted.length;
  await timePasses(pool, 6 * 60_000);
  await untilNone(pool);
  const taken = endpoint.posted.slice(at);
  const told = taken.map(({ body }) => JSON.parse(body).data.message_id as string);
  assert.deepEqual(told.toSorted(), ids.map((id) => `msg_${id}`).toSorted(), "each of them once");
  for (const { id, body } of taken) assert.equal(body, looks.get(id) ?? body);
  assert.ok(taken.some(({ id }) => looks.has(id)));
  const [standing] = await listWebhooks(pool);
  assert.equal(standing!.failures, 0);
  assert.equal(standing!.failing_since, null);
});

test("a dead endpoint and a slow one delay nothing of a living one, and a million rows that wait cost it nothing", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const [dead, slow, living] = [await startEndpoint(t), await startEndpoint(t), await startEndpoint(t)];
  dead.answer = () => 500;
  slow.answer = () => "never";
  const hooks = [await hookTo(pool, dead.url), await hookTo(pool, slow.url), await hookTo(pool, living.url)];
  const [deadHook, slowHook, livingHook] = hooks;
  // Fewer than a million, that this test stays short; the claim's plan is what matters, and is looked at below.
  await pool.query(
    `INSERT INTO postlane.webhook_delivery (webhook_id, message_id, attempt, kind, at, due_at)
     SELECT hook.id, $2, 1, 'sent', now() - interval '1 minute', now() - interval '1 minute' + n * interval '1 microsecond'
     FROM generate_series(1, 20000) AS n, postlane.webhook AS hook WHERE hook.id <> $1`,
    [livingHook!.id, await enqueue(pool, { to: "ann@example.com" })],
  );
  sender(t, database);
  await until("the dead one counts as failing", async () => (await listWebhooks(pool))[0]!.failures >= 3);
  const ids: MessageId[] = [];
  for (let n = 0; n < 200; n++) ids.push(await enqueue(pool, { to: `ann${n}@example.com` }));
  const begunAt = performance.now();
  await append(pool, ...ids.map(sent));
  await untilNone(pool, `webhook_id = ${livingHook!.id}`);
  const tookMs = performance.now() - begunAt;
  assert.ok(tookMs < 15_000, `200 deliveries took ${tookMs} ms`);
  assert.deepEqual(new Set(living.posted.map(({ id }) => id)).size, 200);
  assert.equal(living.posted.length, 200);
  assert.ok(dead.posted.length <= OPEN_PER_ENDPOINT_MAX + 3, `the dead one was tried ${dead.posted.length} times`);
  assert.ok(slow.openMost <= OPEN_PER_ENDPOINT_MAX, `${slow.openMost} were open at the slow one`);
  assert.equal(await countRows(pool, `webhook_id = ${deadHook!.id} AND failed_at IS NULL`), 20_200);
  assert.ok(
    (await countRows(pool, `webhook_id = ${slowHook!.id} AND claimed_until IS NOT NULL`)) <= OPEN_PER_ENDPOINT_MAX,
  );
});

test("410 disables an endpoint for good, until a person resumes it", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const endpoint = await startEndpoint(t);
  endpoint.answer = () => 410;
  const { id: hook } = await hookTo(pool, endpoint.url);
  const lines: string[] = [];
  sender(t, database, { onDisabled: (line) => void lines.push(line) });
  const id = await enqueue(pool, { to: "ann@example.com" });
  await append(pool, sent(id));
  await until("it is disabled", async () => (await listWebhooks(pool))[0]!.disabled_at !== null);
  await until("it is told", () => lines.length > 0);
  assert.match(lines[0]!, /webhook whk_\d+ is disabled, since it answered 410 Gone: `postlane webhook resume whk_\d+`/);
  const [failed] = await listFailed(pool, hook, 10);
  assert.equal(failed!.last_answer, "HTTP 410 Gone");
  await append(pool, sent(id));
  assert.equal(await countRows(pool), 1, "nothing more is kept for it");
  endpoint.answer = () => 200;
  assert.equal(await resumeWebhook(pool, hook), true);
  assert.equal(await reviveFailed(pool, hook, new Date(Date.now() + 60_000), 10), 1);
  await untilNone(pool);
  assert.equal(endpoint.posted.length, 2);
  assert.equal(endpoint.posted[0]!.body, endpoint.posted[1]!.body);
});

test("a redirect is not followed", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const [from, to] = [await startEndpoint(t), await startEndpoint(t)];
  from.answer = () => ({ status: 307, headers: { location: to.url } });
  const { id: hook } = await hookTo(pool, from.url);
  sender(t, database);
  await append(pool, sent(await enqueue(pool, { to: "ann@example.com" })));
  await until("it failed", async () => (await listFailed(pool, hook, 10)).length > 0);
  const [failed] = await listFailed(pool, hook, 10);
  assert.equal(failed!.last_answer, "HTTP 307: a redirect, which is not followed");
  assert.equal(failed!.failed_at, null);
  assert.equal(to.posted.length, 0);
});

test("an address inside the machine is refused, also when a name comes to lead there", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const endpoint = await startEndpoint(t);
  const { id: hook } = await hookTo(pool, `http://hooks.example.com:${endpoint.port}/`);
  // The name leads outside when the webhook is made, and inside when it is used; then inside and by a name allowed.
  let address = "127.0.0.1";
  const looked: string[] = [];
  const lookup = async (host: string) => {
    looked.push(host);
    return [{ address, family: address.includes(":") ? 6 : 4 }];
  };
  const refusing = sender(t, database, { allow: ["10.9.9.9"], lookup });
  await append(pool, sent(await enqueue(pool, { to: "ann@example.com" })));
  for (const inside of ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "0.0.0.0"]) {
    address = inside;
    await pool.query("UPDATE postlane.webhook_delivery SET last_answer = NULL, tries = 0");
    await until("it is refused", async () => {
      await timePasses(pool, 3_600_000);
      return (await listFailed(pool, hook, 1))[0]?.last_answer?.startsWith(`hooks.example.com (${inside}) is inside`);
    });
  }
  await refusing.stop();
  assert.equal(endpoint.posted.length, 0);
  assert.deepEqual([...new Set(looked)], ["hooks.example.com"]);

  address = "127.0.0.1";
  sender(t, database, { allow: ["127.0.0.1"], lookup });
  await timePasses(pool, 86_400_000);
  await untilNone(pool);
  assert.equal(endpoint.posted[0]!.headers.host, `hooks.example.com:${endpoint.port}`);
});

test("a secret that was rotated still signs for a day beside the new one", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const endpoint = await startEndpoint(t);
  const { id: hook, secret: before } = await hookTo(pool, endpoint.url);
  const after = randomBytes(32);
  assert.equal(await rotateSecret(pool, hook, after), true);
  const id = await enqueue(pool, { to: "ann@example.com" });
  sender(t, database);
  await append(pool, sent(id));
  await untilNone(pool);
  await pool.query("UPDATE postlane.webhook SET old_secret_until = now()");
  await append(pool, sent(id));
  await untilNone(pool);
  const isSigned = (n: number, secret: Buffer): boolean => {
    const { body, headers } = endpoint.posted[n]!;
    try {
      new Webhook(printWebhookSecret(secret)).verify(body, headers as Record<string, string>);
      return true;
    } catch {
      return false;
    }
  };
  assert.deepEqual([isSigned(0, before), isSigned(0, after)], [true, true]);
  assert.deepEqual([isSigned(1, before), isSigned(1, after)], [false, true]);
});

test("tries end with the schedule, what waits too long is given up, both are listed and can be replayed", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const endpoint = await startEndpoint(t);
  endpoint.answer = () => 500;
  const { id: hook } = await hookTo(pool, endpoint.url, ["sent"]);
  const id = await enqueue(pool, { to: "ann@example.com" });
  const running = sender(t, database);
  await append(pool, sent(id));
  for (let tries = 1; tries <= RETRY_DELAYS_MS.length; tries++) {
    await until(`try ${tries} failed`, async () => (await countRows(pool, `tries = ${tries}`)) === 1);
    const { rows } = await pool.query(
      "SELECT (extract(epoch FROM due_at - clock_timestamp()) * 1000)::float8 AS ms FROM postlane.webhook_delivery",
    );
    const wantedMs = RETRY_DELAYS_MS[tries - 1]!;
    assert.ok(Math.abs(rows[0].ms - wantedMs) < 20_000, `after try ${tries} it waits ${rows[0].ms} ms`);
    await timePasses(pool, 90_000_000);
  }
  await until("it is given up", async () => (await countRows(pool, "failed_at IS NOT NULL")) === 1);
  assert.equal(endpoint.posted.length, 10);
  await running.stop();

  await append(pool, { ...sent(id), attempt: 2 });
  assert.equal(await giveUpOlderThan(pool, GIVE_UP_AFTER_MS, 100), 0);
  await timePasses(pool, GIVE_UP_AFTER_MS);
  assert.equal(await giveUpOlderThan(pool, GIVE_UP_AFTER_MS, 100), 1);
  const failed = await listFailed(pool, hook, 10);
  assert.deepEqual(
    failed.map(({ tries, last_answer }) => [tries, last_answer]),
    [
      [0, "never tried: the endpoint took nothing, or was paused, for too long"],
      [10, "HTTP 500"],
    ],
  );
  // Replayed by their time they are not put in a second time; a third event that was taken is.
  await append(pool, { ...sent(id), attempt: 3 });
  await pool.query("DELETE FROM postlane.webhook_delivery WHERE attempt = 3");
  const hourAgo = new Date(Date.now() - 3_600_000);
  assert.equal(await replayEvents(pool, hook, hourAgo, new Date(Date.now() + 3_600_000)), 1);
  assert.equal(await reviveFailed(pool, hook, new Date(Date.now() + 3_600_000), 1), 1);
  assert.equal(await reviveFailed(pool, hook, new Date(Date.now() + 3_600_000), 9), 1);
  endpoint.answer = () => 200;
  await resumeWebhook(pool, hook);
  sender(t, database);
  await untilNone(pool);
  const ids = endpoint.posted.map((posted) => posted.id);
  assert.equal(new Set(ids).size, 3);
  assert.equal(new Set(ids.slice(10)).size, 3);

  // What was given up long ago goes.
  await pool.query(
    `INSERT INTO postlane.webhook_delivery (webhook_id, message_id, attempt, kind, at, due_at, failed_at)
     SELECT $1, n, 1, 'sent', now(), now(), now() - n * interval '1 day' FROM generate_series(10, 20) AS n`,
    [hook],
  );
  assert.equal(await pruneDeliveries(pool, FAILED_KEPT_MS, 100), 7);
});

test("an endpoint that took nothing for days is disabled; a paused one keeps what happens and gets it later", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const endpoint = await startEndpoint(t);
  const { id: hook } = await hookTo(pool, endpoint.url);
  assert.equal(await pauseWebhook(pool, hook), true);
  const id = await enqueue(pool, { to: "ann@example.com" });
  await append(pool, sent(id));
  sender(t, database);
  const other = await hookTo(pool, endpoint.url, ["bounced"]);
  await append(pool, { messageId: id, attempt: 1, kind: "bounced" });
  await until("the other one has it", () => endpoint.posted.length === 1);
  assert.equal(await countRows(pool, `webhook_id = ${hook}`), 2);
  await resumeWebhook(pool, hook);
  await untilNone(pool);
  assert.equal(endpoint.posted.length, 3);
  await pool.query(
    "UPDATE postlane.webhook_standing SET failures = 7, failing_since = now() - interval '5 days 1 minute', last_answer = 'HTTP 500' WHERE webhook_id = $1",
    [other.id],
  );
  assert.deepEqual(await disableFailing(pool, 3, 5), [other.id]);
  const list = await listWebhooks(pool);
  assert.equal(list[1]!.disabled_because, "it took nothing for 5 days: HTTP 500");
});

test("there are at most so many webhooks", async (t) => {
  const { pool } = await testDatabase(t);
  for (let n = 0; n < WEBHOOKS_MAX; n++) await hookTo(pool, `https://example.com/${n}`);
  const kinds = ["sent"] as const;
  assert.equal(await createWebhook(pool, { url: "https://example.com/", kinds, secret: randomBytes(32) }), undefined);
});
