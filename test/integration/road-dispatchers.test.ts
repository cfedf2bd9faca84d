// Several dispatchers on one lane: every message is handed over exactly once, they divide the window between them, and
// it stays divided when one joins, leaves or dies.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "pg";
import { startLane, type LaneAtWork } from "../rig/lane.ts";
import { createCampaign, fillCampaign, soon, until, untilEmpty, watchBooks } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { startScriptedSink, type ScriptedSink } from "../rig/scripted-sink.ts";
import type { Scope } from "../rig/scope.ts";

const OPEN_MAX = 10;
const ROWS = 2_000;
/** What the relay takes for a message: enough for transactions to overlap. */
const RELAY_MS = 10;

for (const dispatchers of [2, 3]) {
  test(`${dispatchers} dispatchers hand each message over once and divide the window`, async (t) => {
    const database = await testDatabase(t);
    const { pool } = database;
    const relay = await startWatchedRelay(t);
    const lanes = await startLanes(t, database, relay.sink, dispatchers);
    await untilDivided(pool, lanes);
    const books = watchBooks(pool);
    await fill(pool, "shared");
    await untilEmpty(pool, 60_000);
    assertOnce(relay.sink, ROWS);
    assert.ok(relay.openMax() <= OPEN_MAX, `${relay.openMax()} transactions were open at once`);
    assert.ok(relay.sink.openConnectionCountMax <= OPEN_MAX, `${relay.sink.openConnectionCountMax} connections`);
    assert.ok(relay.openMax() > OPEN_MAX / 2, "the window was not used");
    for (const { connectCount } of lanes) assert.ok(connectCount > 0, "one of them had no part of it");
    await Promise.all(lanes.map((lane) => lane.drain()));
    await books.stop();
  });
}

test("dispatchers that join, leave and die in the middle: each message once, never more than the window", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const relay = await startWatchedRelay(t);
  const { sink } = relay;
  const books = watchBooks(pool);
  await fill(pool, "moving");
  const [first] = await startLanes(t, database, sink, 1);
  const reached = (part: number) =>
    soon(
      `${part} of all are through`,
      sink.waitFor(() => sink.accepted.length >= part * ROWS),
      60_000,
    );
  await reached(0.1);
  const [second, third] = await startLanes(t, database, sink, 2);
  await reached(0.4);
  await first!.drain();
  await reached(0.6);
  assert.ok(relay.openMax() <= OPEN_MAX, `${relay.openMax()} transactions were open at once`);
  await second!.kill();
  const reports = await third!.rescue();
  assert.equal(reports.length, 1);
  const unknown = reports[0]!.unknown;
  await until("the rest is sent", async () => (await waitingCount(pool)) === unknown, 60_000);
  // What had no reply when its dispatcher died may be at the relay or not, and is known to be so.
  assert.ok(unknown <= OPEN_MAX, `${unknown} messages are unknown`);
  const recipients = new Set(sink.messages.flatMap((message) => message.recipients));
  assert.equal(sink.messages.length, recipients.size, "a message was handed over twice");
  assert.ok(sink.accepted.length >= ROWS - unknown && sink.accepted.length <= ROWS);
  await third!.drain();
  await books.stop();
});

test("a relay that was away is found again by every dispatcher of the lane", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const { sink } = await startWatchedRelay(t);
  const lanes = await startLanes(t, database, sink, 2);
  await untilDivided(pool, lanes);
  await sink.stop();
  const books = watchBooks(pool);
  await fill(pool, "returning", 3 * ROWS);
  await until("both have failed", async () => (await windows(pool)).every(({ reason }) => reason !== "window_fixed"));
  await sink.start();
  await untilDivided(pool, lanes);
  const parts = (await windows(pool)).map(({ window }) => window);
  assert.deepEqual(parts, [OPEN_MAX / 2, OPEN_MAX / 2]);
  await Promise.all(lanes.map((lane) => lane.drain()));
  await books.stop();
});

interface WatchedRelay {
  readonly sink: ScriptedSink;
  /** The most transactions that were open at the same time. */
  openMax(): number;
}

async function startWatchedRelay(t: Scope): Promise<WatchedRelay> {
  const open = new Set<number>();
  let openMax = 0;
  const sink = await startScriptedSink(t, {
    answer: ({ verb, connection }) => {
      if (verb === "MAIL") open.add(connection);
      if (verb === "QUIT") open.delete(connection);
      openMax = Math.max(openMax, open.size);
      if (verb !== "DOT") return undefined;
      return new Promise((resolve) =>
        setTimeout(() => {
          open.delete(connection);
          resolve(undefined);
        }, RELAY_MS),
      );
    },
  });
  return { sink, openMax: () => openMax };
}

async function startLanes(t: Scope, database: TestDatabase, sink: ScriptedSink, count: number): Promise<LaneAtWork[]> {
  const start = () => startLane(t, { database, relay: sink, openMax: OPEN_MAX, lane: { name: "bulk" } });
  return await Promise.all(Array.from({ length: count }, start));
}

/** Until each says of itself that it has its part and no more. */
async function untilDivided(pool: Pool, lanes: readonly LaneAtWork[]): Promise<void> {
  await until("the window is divided", async () => {
    const { rows } = await pool.query(
      "SELECT sum((pulse #>> '{outlets,0,window}')::integer)::integer AS n, count(pulse)::integer AS told FROM postlane.lease",
    );
    return rows[0].told === lanes.length && rows[0].n === OPEN_MAX;
  });
}

/** What each dispatcher says of its part. */
async function windows(pool: Pool): Promise<readonly { readonly window: number; readonly reason: string }[]> {
  const { rows } = await pool.query(
    `SELECT (pulse #>> '{outlets,0,window}')::integer AS window, pulse #>> '{outlets,0,reasons,0,code}' AS reason
     FROM postlane.lease ORDER BY id`,
  );
  return rows;
}

async function fill(pool: Pool, name: string, rows: number = ROWS): Promise<void> {
  const campaign = await createCampaign(pool, { name });
  await fillCampaign(pool, campaign, { rows, destinations: 300, domain: `${name}.example` });
}

function assertOnce(sink: ScriptedSink, count: number): void {
  assert.equal(sink.messages.length, count);
  assert.equal(new Set(sink.messages.flatMap((message) => message.recipients)).size, count);
  assert.deepEqual(sink.breaches, []);
}

async function waitingCount(pool: Pool): Promise<number> {
  return (await pool.query("SELECT count(*)::integer AS n FROM postlane.queue")).rows[0].n;
}
