// What people order is in force within a second, whatever the number of rows: pause and resume of a lane and of a
// campaign, cancel of a campaign, hold, release and cancel of a message. When it was in force is read from the events,
// which tell when the relay answered, by the database's clock.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Pool } from "pg";
import { moveCampaignIfIn } from "../../src/campaigns/campaign-store.ts";
import type { CampaignId, MessageId } from "../../src/mail/ids.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { cancelIfUnclaimed, holdIfUnclaimed, releaseIfHeld } from "../../src/queue/control-messages.ts";
import { pauseLane, resumeLane } from "../../src/queue/lane-store.ts";
import { sweepCanceled } from "../../src/upkeep/sweep.ts";
import { startLane, type LaneAtWork } from "../rig/lane.ts";
import {
  booksOf,
  createCampaign,
  databaseMs,
  enqueue,
  fillCampaign,
  storyOf,
  until,
  untilEmpty,
  untilEvent,
  untilPulse,
  watchBooks,
} from "../rig/lane-mail.ts";
import { needs } from "../rig/needs.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startSmtpSink, type SmtpSink } from "../rig/smtp-sink.ts";

const ROWS = 50_000;
const DESTINATIONS = 2_500;
const WITHIN_MS = 1_000;

interface Rig {
  readonly pool: Pool;
  readonly sink: SmtpSink;
  readonly lane: LaneAtWork;
  readonly campaign: CampaignId;
  readonly stop: () => Promise<void>;
}

test("orders to messages, a campaign and a lane are in force within a second, with 50,000 rows waiting", async (t) => {
  const rig = await startCampaign(t);
  if (rig === undefined) return;
  const { pool, sink, campaign } = rig;
  await sink.waitForCount(1_000, 60_000);
  await assertMessageOrders(rig);

  const orders: readonly [string, () => Promise<unknown>, () => Promise<unknown>][] = [
    ["the lane", () => pauseLane(pool, "bulk"), () => resumeLane(pool, "bulk")],
    [
      "the campaign",
      () => moveCampaignIfIn(pool, campaign, "paused", ["running"]),
      () => moveCampaignIfIn(pool, campaign, "running", ["paused"]),
    ],
  ];
  for (const [what, pause, resume] of orders) {
    await sink.waitForCount(sink.count() + 1_000, 60_000);
    await pause();
    await assertStopsWithin(rig, await databaseMs(pool), `${what} was paused`);
    await resume();
    await assertGoesOnWithin(rig, await databaseMs(pool), `${what} was resumed`);
  }

  assert.equal(await moveCampaignIfIn(pool, campaign, "canceled", ["running"]), true);
  await assertStopsWithin(rig, await databaseMs(pool), "the campaign was canceled");
  const left = await waitingCount(pool);
  assert.equal(await sweepCanceled(pool), left);
  assert.deepEqual(await booksOf(pool, campaign), { sent: ROWS - left - 1, canceled: left + 1 });
  assert.equal(sink.count(), ROWS - left - 1);
  await rig.stop();
});

/** Held and canceled ones are of the last that would be sent; the one that is released overtakes them all. */
async function assertMessageOrders({ pool }: Rig): Promise<void> {
  const ports = { pool, clock: systemClock };
  const [toHold, toRelease, toCancel] = (await lastInLine(pool, 3)) as [MessageId, MessageId, MessageId];
  for (const id of [toHold, toRelease]) {
    assert.deepEqual(await holdIfUnclaimed(ports, id, "looks odd"), { kind: "done", from: "queued", to: "held" });
  }
  assert.deepEqual(await cancelIfUnclaimed(ports, toCancel), { kind: "done", from: "queued", to: "canceled" });
  assert.deepEqual(await releaseIfHeld(ports, toRelease), { kind: "done", from: "held", to: "queued" });
  const kinds = async (id: MessageId) => (await storyOf(pool, id)).map(({ kind }) => kind);
  assert.deepEqual(await kinds(toHold), ["held"]);
  assert.deepEqual(await kinds(toRelease), ["held", "released"]);
  assert.deepEqual(await kinds(toCancel), ["canceled"]);
}

test("a message that is held or canceled never goes out; one that is released goes out within a second", async (t) => {
  if (!needs(t, "smtp-sink")) return;
  const database = await testDatabase(t);
  const { pool } = database;
  const ports = { pool, clock: systemClock };
  const sink = await startSmtpSink(t);
  const books = watchBooks(pool);
  const [held, released, canceled] = [
    await enqueue(pool, { to: "held@example.com" }),
    await enqueue(pool, { to: "released@example.com" }),
    await enqueue(pool, { to: "canceled@example.com" }),
  ];
  for (const id of [held, released]) await holdIfUnclaimed(ports, id, "looks odd");
  await cancelIfUnclaimed(ports, canceled);
  const lane = await startLane(t, { database, relay: sink });
  await untilPulse(pool, lane.leaseId);
  assert.equal(sink.count(), 0);
  const releasedAtMs = await databaseMs(pool);
  await releaseIfHeld(ports, released);
  const { at_ms } = await untilEvent(pool, released, "sent");
  assert.ok(at_ms - releasedAtMs < WITHIN_MS, `it went out ${Math.round(at_ms - releasedAtMs)} ms after its release`);
  await lane.drain();
  assert.equal(sink.count(), 1);
  assert.deepEqual(await booksOf(pool), { sent: 1, held: 1, canceled: 1 });
  await books.stop();
});

test("what is being handed over is past stopping, and says so", async (t) => {
  if (!needs(t, "smtp-sink")) return;
  const database = await testDatabase(t);
  const { pool } = database;
  // Its reply to the final dot takes a second longer than the order waits.
  const sink = await startSmtpSink(t, { args: ["-w", "2"] });
  await startLane(t, { database, relay: sink });
  const id = await enqueue(pool, { to: "ann@example.com" });
  await until("it is claimed", async () => {
    const { rows } = await pool.query("SELECT FROM postlane.queue WHERE lease_id IS NOT NULL");
    return rows.length === 1;
  });
  assert.deepEqual(await cancelIfUnclaimed({ pool, clock: systemClock }, id), { kind: "being_handed_over" });
  await untilEvent(pool, id, "sent");
  await untilEmpty(pool);
  assert.deepEqual(await cancelIfUnclaimed({ pool, clock: systemClock }, id), { kind: "not_waiting" });
});

async function startCampaign(t: TestContext): Promise<Rig | undefined> {
  if (!needs(t, "smtp-sink")) return undefined;
  const database = await testDatabase(t);
  const { pool } = database;
  const sink = await startSmtpSink(t);
  const campaign = await createCampaign(pool, { name: "large" });
  await fillCampaign(pool, campaign, { rows: ROWS, destinations: DESTINATIONS, domain: "large.example" });
  const books = watchBooks(pool);
  const lane = await startLane(t, { database, relay: sink, lane: { name: "bulk" } });
  return { pool, sink, lane, campaign, stop: () => books.stop() };
}

/** Nothing is claimed any more, and the last reply came within a second of the order; nothing came since. */
async function assertStopsWithin({ pool, sink, lane }: Rig, orderedAtMs: number, why: string): Promise<void> {
  // Before it is in force, nothing may be claimed either, for the moment between two claims.
  await until(`${why}: it must be in force`, async () => (await databaseMs(pool)) - orderedAtMs >= WITHIN_MS);
  await until(`${why}: nothing is claimed`, async () => {
    const { rows } = await pool.query(
      "SELECT NOT EXISTS (SELECT FROM postlane.queue WHERE lease_id IS NOT NULL) AS is_none",
    );
    return rows[0].is_none as boolean;
  });
  await untilPulse(pool, lane.leaseId);
  const { rows } = await pool.query(
    `SELECT count(*)::integer AS n, (extract(epoch FROM max(at)) * 1000)::float8 AS last_ms FROM postlane.event WHERE kind = 'sent'`,
  );
  const lateMs = rows[0].last_ms - orderedAtMs;
  assert.ok(lateMs < WITHIN_MS, `${why}: a message was sent ${Math.round(lateMs)} ms later`);
  assert.equal(sink.count(), rows[0].n, why);
  assert.ok((await waitingCount(pool)) > 0, `${why}: all was sent before`);
}

async function assertGoesOnWithin({ pool }: Rig, orderedAtMs: number, why: string): Promise<void> {
  const firstMs = await until(`${why}: a message is sent`, async () => {
    const { rows } = await pool.query(
      `SELECT (extract(epoch FROM min(at)) * 1000)::float8 AS first_ms FROM postlane.event
       WHERE kind = 'sent' AND at > 'epoch'::timestamptz + $1 * interval '1 millisecond'`,
      [orderedAtMs],
    );
    return (rows[0].first_ms as number | null) ?? undefined;
  });
  assert.ok(firstMs - orderedAtMs < WITHIN_MS, `${why}: it took ${Math.round(firstMs - orderedAtMs)} ms`);
}

async function waitingCount(pool: Pool): Promise<number> {
  return (await pool.query("SELECT count(*)::integer AS n FROM postlane.queue")).rows[0].n;
}

async function lastInLine(pool: Pool, count: number): Promise<readonly MessageId[]> {
  const { rows } = await pool.query("SELECT message_id FROM postlane.queue ORDER BY message_id DESC LIMIT $1", [count]);
  return rows.map(({ message_id }) => message_id as MessageId);
}
