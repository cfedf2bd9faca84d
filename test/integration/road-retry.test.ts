// What a failure does to a message and to its neighbours: temporary ones come back by the schedule, permanent ones
// bounce, time runs out, a relay that is down is probed and not stormed, and whoever is broken is set aside alone.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Pool } from "pg";
import { startLane, type LaneOptions } from "../rig/lane.ts";
import {
  addRecipient,
  booksOf,
  createCampaign,
  enqueue,
  enqueueMany,
  soon,
  storyOf,
  until,
  untilEmpty,
  untilEvent,
  untilState,
  watchBooks,
  type BooksWatch,
} from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { startScriptedSink, type ScriptedSink, type SinkScript } from "../rig/scripted-sink.ts";

test("a temporary refusal of the recipient comes back by the lane's schedule", async (t) => {
  const delaysMs = [300, 700, 60_000];
  const { pool, sink, books, start } = await rig(t, {
    answer: ({ verb, recipient }) =>
      verb === "RCPT" && recipient.startsWith("busy@") ? "450 4.2.1 mailbox busy" : undefined,
  });
  await start({ lane: { retry: { kind: "list", delaysMs } } });
  const busy = await enqueue(pool, { to: "busy@example.com" });
  const other = await enqueue(pool, { to: "other@example.com" });
  await untilEvent(pool, other, "sent");
  const row = await until("it failed three times", async () => {
    const waiting = await untilState(pool, busy, "deferred");
    return waiting.attempts === 3 && waiting;
  });
  assert.equal(row.tries, 3);
  assert.ok(row.due_in_ms! > 50_000 && row.due_in_ms! <= 60_000, `it is due in ${row.due_in_ms} ms`);
  const story = await storyOf(pool, busy);
  assert.deepEqual(
    story.map(({ kind, attempt }) => [kind, attempt]),
    [
      ["deferred", 1],
      ["deferred", 2],
      ["deferred", 3],
    ],
  );
  for (const [nth, delayMs] of [300, 700].entries()) {
    const passedMs = story[nth + 1]!.at_ms - story[nth]!.at_ms;
    assert.ok(
      passedMs >= delayMs && passedMs < delayMs + 1_000,
      `try ${nth + 2} came ${passedMs} ms after the one before`,
    );
  }
  assert.match(story[0]!.reply!, /450 4\.2\.1 mailbox busy/);
  assert.deepEqual(sink.breaches, []);
  await books.stop();
});

test("a permanent refusal bounces that recipient alone", async (t) => {
  const { pool, sink, books, start } = await rig(t, {
    answer: ({ verb, recipient }) =>
      verb === "RCPT" && recipient.startsWith("nobody@") ? "550 5.1.1 no such user" : undefined,
  });
  const nobody = await enqueue(pool, { to: "nobody@example.com" });
  await enqueueMany(
    pool,
    Array.from({ length: 20 }, (_, n) => ({ to: `user${n}@example.com` })),
  );
  await start();
  await untilEmpty(pool);
  assert.deepEqual(await booksOf(pool), { bounced: 1, sent: 20 });
  assert.match((await untilEvent(pool, nobody, "bounced")).reply!, /550 5\.1\.1 no such user/);
  assert.equal(sink.accepted.length, 20);
  await books.stop();
});

test("what has expired by its own time is never handed over; what was due within the lane's time is tried, and once", async (t) => {
  const { pool, sink, books, start } = await rig(t, {
    answer: ({ verb, recipient }) =>
      verb === "RCPT" && recipient.startsWith("busy@") ? "450 4.2.1 mailbox busy" : undefined,
  });
  const byItsOwn = await enqueue(pool, { to: "own@example.com", expires_at: await databaseTime(pool, 400) });
  const first = await enqueue(pool, { to: "first@example.com" });
  await until("its time is over", async () => (await databaseTime(pool, 0)) > (await expiryOf(pool, byItsOwn)));
  const lane = await start();
  assert.match((await untilEvent(pool, byItsOwn, "expired")).reply!, /time to live/);
  await untilEvent(pool, first, "sent");
  await lane.drain();

  // As after a long pause, or when the database's clock has jumped: nobody had a try yet.
  const late = await enqueue(pool, { to: "late@example.com" });
  const busy = await enqueue(pool, { to: "busy@example.com" });
  await until("their time is over", () => isOlderThan(pool, busy, 300));
  await start({ lane: { ttlMs: 300 } });
  await untilEvent(pool, late, "sent");
  assert.match((await untilEvent(pool, busy, "expired")).reply!, /450 4\.2\.1 mailbox busy/);
  assert.deepEqual(
    sink.messages.map(({ recipients }) => recipients),
    [["first@example.com"], ["late@example.com"]],
  );
  assert.deepEqual(await booksOf(pool), { expired: 2, sent: 2 });
  await books.stop();
});

test("the next try never lies past the time to live: the message expires then, and not a try later", async (t) => {
  const { pool, sink, books, start } = await rig(t, {
    answer: ({ verb }) => (verb === "RCPT" ? "450 4.2.1 mailbox busy" : undefined),
  });
  await start({ lane: { ttlMs: 3_000, retry: { kind: "list", delaysMs: [60_000] } } });
  const id = await enqueue(pool, { to: "busy@example.com" });
  await untilEvent(pool, id, "expired");
  assert.deepEqual(
    (await storyOf(pool, id)).map(({ kind }) => kind),
    ["deferred", "expired"],
  );
  assert.equal(sink.messages.length, 0);
  await books.stop();
});

test("a try that fails after the time to live is the last one, and says why", async (t) => {
  let refuse: (answer: string) => void = () => undefined;
  const refused = new Promise<string>((resolve) => (refuse = resolve));
  const { pool, sink, books, start } = await rig(t, { answer: ({ verb }) => (verb === "RCPT" ? refused : undefined) });
  await start({ lane: { ttlMs: 2_000 } });
  const id = await enqueue(pool, { to: "slow@example.com" });
  await soon(
    "it is offered",
    sink.waitFor(() => sink.commands.some((line) => line.includes("RCPT"))),
  );
  await until("its time is over", () => isOlderThan(pool, id, 2_000));
  refuse("450 4.2.1 mailbox busy");
  assert.match((await untilEvent(pool, id, "expired")).reply!, /450 4\.2\.1 mailbox busy/);
  assert.deepEqual(await booksOf(pool), { expired: 1 });
  await books.stop();
});

test("a relay that is down is probed by one connection at a time, and comes back", async (t) => {
  const { pool, sink, books, start } = await rig(t);
  await sink.stop();
  await enqueueMany(
    pool,
    Array.from({ length: 300 }, (_, n) => ({ to: `user${n}@d${n % 40}.example` })),
  );
  const lane = await start();
  const deferredCount = async () => (await booksOf(pool))["deferred"] ?? 0;
  await until("the first probe has failed", async () => (await deferredCount()) >= 2);
  const tries = lane.connectCount;
  // The first failure, and the probe a second later; another may be under way.
  assert.ok(tries <= 3, `${tries} connections were tried while the relay was down`);
  const touched = await deferredCount();
  assert.ok(touched <= 3, `${touched} messages were tried while the relay was down`);
  await sink.start();
  await until("all that was not tried is sent", async () => (await booksOf(pool))["queued"] === undefined);
  const { deferred = 0, sent = 0 } = await booksOf(pool);
  assert.equal(sent + deferred, 300);
  assert.ok(deferred <= 5, `${deferred} messages wait`);
  // A failure that was not theirs costs them no try.
  const { rows } = await pool.query(
    "SELECT max(tries)::integer AS tries, (extract(epoch FROM max(due_at) - clock_timestamp()) * 1000)::float8 AS due_ms FROM postlane.queue",
  );
  assert.ok(deferred === 0 || (rows[0].tries === 0 && rows[0].due_ms <= 15_000));
  assert.equal(new Set(sink.accepted.flatMap(({ recipients }) => recipients)).size, sink.accepted.length);
  await lane.drain();
  await books.stop();
});

test("421 to the banner is a relay that is down, and no bounce", async (t) => {
  let isOpen = false;
  const { pool, sink, books, start } = await rig(t, {
    answer: ({ verb }) => (verb === "BANNER" && !isOpen ? "421 4.3.2 not now" : undefined),
  });
  await enqueueMany(
    pool,
    Array.from({ length: 50 }, (_, n) => ({ to: `user${n}@d${n % 5}.example` })),
  );
  await start();
  await soon(
    "the first probe",
    sink.waitFor(() => sink.connectionCount >= 2),
  );
  isOpen = true;
  await until("all that was not tried is sent", async () => (await booksOf(pool))["queued"] === undefined);
  const { deferred = 0, sent = 0, bounced = 0 } = await booksOf(pool);
  assert.equal(bounced, 0);
  assert.equal(sent + deferred, 50);
  assert.ok(deferred <= 5, `${deferred} messages wait`);
  await books.stop();
});

test("a message larger than the relay takes bounces alone", async (t) => {
  const { pool, sink, books, start } = await rig(t, { extensions: ["PIPELINING", "SIZE 3000", "ENHANCEDSTATUSCODES"] });
  const large = await enqueue(pool, { to: "large@example.com", text: "All of it. ".repeat(1_000) });
  await enqueueMany(
    pool,
    Array.from({ length: 10 }, (_, n) => ({ to: `user${n}@example.com` })),
  );
  await start();
  await untilEmpty(pool);
  assert.deepEqual(await booksOf(pool), { bounced: 1, sent: 10 });
  assert.match((await untilEvent(pool, large, "bounced")).reply!, /5\.3\.4/);
  assert.equal(sink.accepted.length, 10);
  await books.stop();
});

test("a template that fails for one recipient holds that message alone, with the error", async (t) => {
  const { pool, sink, books, start } = await rig(t);
  const template = { subject: "{{ first_name }}, news", text: "Hello {{ first_name }}!" };
  const campaign = await createCampaign(pool, { name: "broken", template });
  for (let n = 0; n < 10; n++) await addRecipient(pool, campaign, `user${n}@example.com`);
  const broken = await addRecipient(pool, campaign, "broken@example.com", {
    first_name: "Ann\r\nBcc: all@example.com",
  });
  for (let n = 10; n < 20; n++) await addRecipient(pool, campaign, `user${n}@example.com`);
  await start({ lane: { name: "bulk" } });
  await untilState(pool, broken, "held");
  await until("the others are sent", async () => (await booksOf(pool))["sent"] === 20);
  assert.match((await untilEvent(pool, broken, "held")).reply!, /subject/i);
  assert.ok(sink.messages.every(({ content }) => !content.includes("Bcc")));
  assert.deepEqual(await booksOf(pool), { held: 1, sent: 20 });
  await books.stop();
});

interface Rig {
  readonly database: TestDatabase;
  readonly pool: Pool;
  readonly sink: ScriptedSink;
  readonly books: BooksWatch;
  start(options?: Partial<LaneOptions>): ReturnType<typeof startLane>;
}

async function rig(t: TestContext, script: SinkScript = {}): Promise<Rig> {
  const database = await testDatabase(t);
  const sink = await startScriptedSink(t, script);
  return {
    database,
    pool: database.pool,
    sink,
    books: watchBooks(database.pool),
    start: (options = {}) => startLane(t, { database, relay: sink, ...options }),
  };
}

async function isOlderThan(pool: Pool, id: number, ms: number): Promise<boolean> {
  const { rows } = await pool.query(
    "SELECT clock_timestamp() - accepted_at > $2 * interval '1 millisecond' AS is_older FROM postlane.message WHERE id = $1",
    [id, ms],
  );
  return rows[0].is_older;
}

/** In the form that `enqueue` takes and that can be compared. */
async function databaseTime(pool: Pool, inMs: number): Promise<string> {
  const { rows } = await pool.query(
    `SELECT to_char(clock_timestamp() + $1 * interval '1 millisecond', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at`,
    [inMs],
  );
  return rows[0].at;
}

async function expiryOf(pool: Pool, id: number): Promise<string> {
  const { rows } = await pool.query(
    `SELECT to_char(expires_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at FROM postlane.message WHERE id = $1`,
    [id],
  );
  return rows[0].at;
}
