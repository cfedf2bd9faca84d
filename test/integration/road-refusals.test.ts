// A refusal that is not about the recipient stops the sender and not the list; what has not lately answered is tried by
// a way of its own; and each attempt has a return path of its own.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Pool } from "pg";
import type { Pulse } from "../../src/mail/pulse.ts";
import { resumeTarget, EVERY_LANE } from "../../src/queue/pause-store.ts";
import { startLane, type LaneOptions } from "../rig/lane.ts";
import {
  addRecipient,
  booksOf,
  createCampaign,
  enqueue,
  fillCampaign,
  until,
  untilEmpty,
  untilEvent,
  untilPulse,
  untilState,
  watchBooks,
} from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startScriptedSink, type SinkScript } from "../rig/scripted-sink.ts";

const BLOCKED = "550 5.7.1 Our system has detected that this message is likely unsolicited mail";

async function rig(t: TestContext, script: SinkScript = {}) {
  const database = await testDatabase(t);
  const sink = await startScriptedSink(t, script);
  const alarms: string[] = [];
  const start = (options: Partial<LaneOptions> = {}) =>
    startLane(t, { database, relay: sink, lane: { name: "bulk" }, alarms, ...options });
  return { pool: database.pool, sink, alarms, start, books: watchBooks(database.pool) };
}

async function pausesOf(pool: Pool): Promise<readonly { kind: string; name: string; code: string }[]> {
  const { rows } = await pool.query("SELECT kind, name, reason ->> 'code' AS code FROM postlane.pause");
  return rows;
}

test("a provider's refusals of policy stop bulk to it: held and not bounced, until a person resumes", async (t) => {
  let isBlocked = true;
  const { pool, sink, alarms, start, books } = await rig(t, {
    answer: ({ verb, recipient }) =>
      isBlocked && verb === "DOT" && recipient.endsWith("@d0.big.example") ? BLOCKED : undefined,
  });
  const campaign = await createCampaign(pool, { name: "news" });
  await fillCampaign(pool, campaign, { rows: 400, destinations: 4, domain: "big.example" });
  await start();
  await until("it is stopped", async () => (await pausesOf(pool)).length > 0);
  assert.deepEqual(await pausesOf(pool), [{ kind: "destination", name: "d0.big.example", code: "policy_refusals" }]);
  // The other destinations go on, and nothing bounced.
  const stopped = await until("the others are sent", async () => {
    const now = await booksOf(pool, campaign);
    return now["sent"] === 300 && now;
  });
  assert.equal(stopped["bounced"], undefined);
  assert.ok((stopped["held"] ?? 0) >= 1 && (stopped["held"] ?? 0) <= 60, `${stopped["held"]} are held`);
  assert.equal(alarms.length, 1);
  assert.match(alarms[0]!, /d0\.big\.example refused \d+ of \d+ by policy .*5\.7\.1/);
  const held = await pool.query(
    "SELECT reply FROM postlane.event WHERE kind = 'held' AND message_id IN (SELECT message_id FROM postlane.queue)",
  );
  assert.ok(held.rows.every(({ reply }) => /550 5\.7\.1/.test(reply)));

  isBlocked = false;
  const { rows: lane } = await pool.query("SELECT id FROM postlane.lane WHERE name = 'bulk'");
  await resumeTarget(pool, { kind: "destination", name: "d0.big.example", laneId: EVERY_LANE });
  assert.equal(lane.length, 1);
  await until("what was never tried goes out", async () => {
    const now = await booksOf(pool, campaign);
    return now["queued"] === undefined && now;
  });
  assert.deepEqual(sink.breaches, []);
  await books.stop();
});

test("a relay that refuses us by policy everywhere stops as an outlet", async (t) => {
  const { pool, sink, alarms, start, books } = await rig(t, {
    answer: ({ verb }) => (verb === "DOT" ? BLOCKED : undefined),
  });
  const campaign = await createCampaign(pool, { name: "news" });
  await fillCampaign(pool, campaign, { rows: 1000, destinations: 500, domain: "many.example" });
  await start();
  await until("it is stopped", async () => (await pausesOf(pool)).length > 0);
  assert.deepEqual(await pausesOf(pool), [{ kind: "outlet", name: "relay", code: "policy_refusals" }]);
  const offered = sink.messages.length;
  assert.ok(offered < 200, `${offered} were offered before it stopped`);
  const books1 = await booksOf(pool, campaign);
  assert.equal(books1["bounced"], undefined);
  assert.ok((books1["queued"] ?? 0) > 700);
  assert.match(alarms[0]!, /outlet relay refused/);
  await books.stop();
});

test("one refusal of policy among much that is taken is a bounce", async (t) => {
  const { pool, start, books } = await rig(t, {
    answer: ({ verb, recipient }) => (verb === "RCPT" && recipient.startsWith("odd@") ? BLOCKED : undefined),
  });
  const campaign = await createCampaign(pool, { name: "news" });
  await fillCampaign(pool, campaign, { rows: 100, destinations: 1, domain: "big.example" });
  await start();
  await untilEmpty(pool);
  const odd = await addRecipient(pool, campaign, "odd@d0.big.example");
  await untilEvent(pool, odd, "bounced");
  assert.deepEqual(await pausesOf(pool), []);
  await books.stop();
});

test("what has not lately answered proves itself by the outlet for retries, one message at a time", async (t) => {
  const { pool, sink, start, books } = await rig(t);
  const retries = await startScriptedSink(t);
  const campaign = await createCampaign(pool, { name: "news" });
  await fillCampaign(pool, campaign, { rows: 60, destinations: 2, domain: "new.example" });
  const lane = await start({ retryRelay: retries, limits: { isToldOf: true } });
  await until("one probe of each", () => retries.accepted.length === 2);
  assert.equal(sink.accepted.length, 0);

  await tell(pool, "d0.new.example", { successes: 1 });
  await until("a few to the one that answered", () => sink.accepted.length === 5);
  assert.ok(sink.accepted.every(({ recipients }) => recipients[0]!.endsWith("@d0.new.example")));
  await tell(pool, "d0.new.example", { successes: 3 });
  await until("all to the one that is free", () => sink.accepted.length === 29);
  assert.equal(retries.accepted.length, 2);

  // The other one turns out to be dead: nothing more until its probe, and that by the same way.
  await tell(pool, "d1.new.example", { failures: 1, probeInMs: 500 });
  await until("its next probe", () => retries.accepted.length === 3);
  assert.ok(retries.accepted.slice(1).some(({ recipients }) => recipients[0]!.endsWith("@d1.new.example")));
  assert.equal(sink.accepted.length, 29);
  const pulse = (await untilPulse(pool, lane.leaseId)) as unknown as Pulse;
  assert.deepEqual(
    pulse.outlets.map(({ name }) => name),
    ["relay", "retries"],
  );
  assert.equal(pulse.throttled.some[0]?.destination, "d1.new.example");
  await books.stop();
});

test("a retry goes by the outlet for retries, and fresh mail does not wait for it", async (t) => {
  const { pool, sink, start, books } = await rig(t, {
    answer: ({ verb, recipient, nth }) =>
      verb === "RCPT" && recipient.startsWith("busy@") && nth === 1 ? "450 4.2.1 mailbox busy" : undefined,
  });
  const retries = await startScriptedSink(t);
  await tell(pool, "example.com", { successes: 3 });
  const busy = await enqueue(pool, { to: "busy@example.com", lane: "bulk" });
  await start({ retryRelay: retries, limits: { isToldOf: true }, lane: { name: "bulk", retry: FAST_RETRY } });
  await untilEvent(pool, busy, "sent");
  assert.equal(retries.accepted.length, 1);
  assert.equal(sink.commands.filter((line) => line.includes("RCPT")).length, 1);
  const fresh = await enqueue(pool, { to: "fresh@example.com", lane: "bulk" });
  await untilEvent(pool, fresh, "sent");
  assert.equal(sink.accepted.length, 1);
  await books.stop();
});

const FAST_RETRY = { kind: "list", delaysMs: [200] } as const;

test("each attempt has a return path of its own, and wants headers only back", async (t) => {
  const { pool, sink, start, books } = await rig(t, {
    extensions: ["PIPELINING", "DSN"],
    answer: ({ verb, nth }) => (verb === "RCPT" && nth === 1 ? "450 4.2.1 mailbox busy" : undefined),
  });
  const id = await enqueue(pool, { to: "ann@example.com", lane: "bulk" });
  await start({ limits: { isVerp: true }, lane: { name: "bulk", retry: FAST_RETRY } });
  await untilEvent(pool, id, "sent");
  assert.equal(sink.accepted[0]?.sender, `b+${id}.2@returns.shop.example`);
  assert.match(sink.accepted[0]?.mailParameters ?? "", /RET=HDRS/);
  const senders = sink.commands.filter((line) => line.includes("MAIL FROM"));
  assert.match(senders[0]!, new RegExp(`<b\\+${id}\\.1@returns\\.shop\\.example>`));
  await books.stop();
});

test("an outlet that a person paused takes nothing, and goes on when it is resumed", async (t) => {
  const { pool, sink, start, books } = await rig(t);
  await pool.query("INSERT INTO postlane.pause (kind, name) VALUES ('outlet', 'relay')");
  const lane = await start();
  const id = await enqueue(pool, { to: "ann@example.com", lane: "bulk" });
  await until("the pulse says so", async () => {
    const { rows } = await pool.query("SELECT pulse FROM postlane.lease WHERE id = $1", [lane.leaseId]);
    return rows[0].pulse?.outlets[0].reasons[0].code === "outlet_paused";
  });
  assert.equal(sink.accepted.length, 0);
  await resumeTarget(pool, { kind: "outlet", name: "relay", laneId: EVERY_LANE });
  await untilEvent(pool, id, "sent");
  assert.equal(await untilState(pool, id, "held", 1).catch(() => "gone"), "gone");
  await books.stop();
});

async function tell(
  pool: Pool,
  name: string,
  { successes = 0, failures = 0, probeInMs = 0 }: { successes?: number; failures?: number; probeInMs?: number },
): Promise<void> {
  await pool.query(
    `INSERT INTO postlane.destination AS d (name, successes, failures, answered_at, failed_at, probe_at)
     VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp(), clock_timestamp() + $4 * interval '1 millisecond')
     ON CONFLICT (name) DO UPDATE SET successes = $2, failures = $3, answered_at = excluded.answered_at,
       probe_at = excluded.probe_at, tx = pg_current_xact_id()`,
    [name, successes, failures, probeInMs],
  );
}
