// Messages of campaigns are made ahead of the dispatchers: each recipient's once, whoever makes them, is killed, paused or
// canceled meanwhile; and the books add up at every look.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { test } from "node:test";
import type { Pool } from "pg";
import { controlCampaign } from "../../src/campaigns/control-campaign.ts";
import { createFeeder } from "../../src/campaigns/feed-campaigns.ts";
import { AHEAD_ROWS, CHUNK_ROWS } from "../../src/campaigns/feed-policy.ts";
import { endTurn, takeTurn } from "../../src/campaigns/list-store.ts";
import { startCampaign, type StartWish } from "../../src/campaigns/start-campaign.ts";
import type { CampaignId, ListId } from "../../src/mail/ids.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { readSnapshot } from "../../src/reports/engine-snapshot.ts";
import { sweepCanceled } from "../../src/upkeep/sweep.ts";
import { readProgress, readQueueSize } from "../../src/upkeep/upkeep-store.ts";
import { createAlarmWatch } from "../../src/upkeep/alarm.ts";
import { fillList, insertCampaign } from "../rig/campaign-list.ts";
import { booksOf, until, watchBooks } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";

const NOW: StartWish = { when: { kind: "now" } };
const ROWS = 20_000;

test("two feeders at once make each message once", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftOf(pool, ROWS);
  const books = watchBooks(pool);
  await start(pool, id);
  await Promise.all([1, 2].map(() => createFeeder({ pool, clock: systemClock }).feed()));
  await books.stop();
  assert.deepEqual(await madeOf(pool, id), { rows: ROWS, made: ROWS, withdrawn: 0, messages: ROWS, people: ROWS });
});

test("a feeder that is killed in the middle loses nobody and doubles nobody", async (t) => {
  const database = await testDatabase(t);
  const { pool, databaseUrl, dataDir } = database;
  const id = await draftOf(pool, ROWS);
  const books = watchBooks(pool);
  await start(pool, id);
  const child = spawn(process.execPath, [path.join(import.meta.dirname, "feed-child.js"), databaseUrl, dataDir], {
    stdio: "ignore",
  });
  const end = once(child, "close");
  await until("some are made", async () => (await madeOf(pool, id)).made >= CHUNK_ROWS);
  child.kill("SIGKILL");
  await end;
  const { made } = await madeOf(pool, id);
  assert.ok(made < ROWS, "it was killed too late to prove anything");
  await createFeeder({ pool, clock: systemClock }).feed();
  await books.stop();
  assert.deepEqual(await madeOf(pool, id), { rows: ROWS, made: ROWS, withdrawn: 0, messages: ROWS, people: ROWS });
});

test("a list that begins with a domain that takes nothing does not keep the others from their mail", async (t) => {
  const { pool } = await testDatabase(t);
  const stuck = AHEAD_ROWS + 3 * CHUNK_ROWS;
  const id = await insertDraft(pool);
  await fillList(
    pool,
    id,
    `SELECT n, 'user' || n || '@' || CASE WHEN n <= $1 THEN 'stuck' ELSE 'good' END || '.example', '{}', NULL
     FROM generate_series(1, $1 + 500) AS n`,
    [stuck],
  );
  await start(pool, id);
  const clock = { ...systemClock, monotonicMs: () => nowMs };
  let nowMs = 0;
  const feeder = createFeeder({ pool, clock });
  await feeder.feed();
  assert.deepEqual(await queuedAt(pool, "good.example"), 0);
  assert.equal(await queuedAt(pool, "stuck.example"), AHEAD_ROWS, "nothing more within the second");
  for (let looks = 0; (await queuedAt(pool, "good.example")) < 500; looks++) {
    assert.ok(looks < 5, "they are reached a chunk a second");
    nowMs += 1000;
    await feeder.feed();
  }
});

test("one that only waits for its pace is not locked at each look", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftOf(pool, 300);
  await startCampaign(pool, id, { when: { kind: "now" }, pacePerS: 1 / 3600 });
  const feeder = createFeeder({ pool, clock: systemClock });
  await feeder.feed();
  assert.equal((await madeOf(pool, id)).made, 1, "the first goes at once");
  const lockedBy = async (): Promise<unknown> =>
    (await pool.query("SELECT xmin::text, xmax::text FROM postlane.campaign WHERE id = $1", [id])).rows[0];
  const before = await lockedBy();
  await feeder.feed();
  assert.deepEqual(await lockedBy(), before);
});

test("a paused campaign gets nothing made; resumed, it goes on", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftOf(pool, 300);
  const books = watchBooks(pool);
  await start(pool, id);
  await controlCampaign(pool, id, "pause");
  const feeder = createFeeder({ pool, clock: systemClock });
  await feeder.feed();
  assert.equal((await madeOf(pool, id)).made, 0);
  await controlCampaign(pool, id, "resume");
  await feeder.feed();
  await books.stop();
  assert.equal((await madeOf(pool, id)).messages, 300);
});

test("canceled while it is fed: what was made and what was withdrawn are all of it", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftOf(pool, ROWS);
  const books = watchBooks(pool);
  await start(pool, id);
  const feeding = createFeeder({ pool, clock: systemClock }).feed();
  await until("some are made", async () => (await madeOf(pool, id)).made >= CHUNK_ROWS);
  const answer = await controlCampaign(pool, id, "cancel");
  await feeding;
  const { made, withdrawn, messages } = await madeOf(pool, id);
  assert.ok(made < ROWS, "it was canceled too late to prove anything");
  assert.deepEqual([made + withdrawn, messages], [ROWS, made]);
  assert.ok(answer.kind === "done" && answer.withdrawn === withdrawn);
  await sweepCanceled(pool);
  await books.stop();
  assert.deepEqual(await booksOf(pool, id), { canceled: ROWS });
});

test("a full lane stops the feeder and refuses a start, with the reason", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftOf(pool, 300);
  const late = await draftOf(pool, 300, "late");
  const books = watchBooks(pool);
  await start(pool, id);
  await pool.query("UPDATE postlane.lane SET full_because = '9 messages wait, of 9' WHERE name = 'bulk'");
  const feeder = createFeeder({ pool, clock: systemClock });
  await feeder.feed();
  assert.equal((await madeOf(pool, id)).made, 0);
  await assert.rejects(start(pool, late), {
    code: "PL009",
    message: /lane bulk takes no more mail for now: 9 messages/,
  });
  assert.deepEqual(await booksOf(pool, late), {});
  await pool.query("UPDATE postlane.lane SET full_because = NULL");
  await start(pool, late);
  await feeder.feed();
  await books.stop();
  assert.deepEqual([(await madeOf(pool, id)).made, (await madeOf(pool, late)).made], [300, 300]);
});

test("recipients who left the list in the middle end as canceled", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftOf(pool, 6000);
  const books = watchBooks(pool);
  await start(pool, id, { ...NOW, pacePerS: 1000 });
  const feeder = createFeeder({ pool, clock: systemClock });
  await until("some are made", async () => {
    await feeder.feed();
    return (await madeOf(pool, id)).made > 50;
  });
  // Some of those who have a message, some who have none, and the last.
  await pool.query("DELETE FROM postlane.recipient WHERE line <= 10 OR line BETWEEN 4000 AND 4099 OR line > 5990");
  await pool.query("UPDATE postlane.campaign SET pace_per_s = NULL");
  await feeder.feed();
  await books.stop();
  assert.deepEqual(await madeOf(pool, id), { rows: 6000, made: 5890, withdrawn: 110, messages: 5890, people: 5890 });
  assert.deepEqual(await booksOf(pool, id), { queued: 5890, canceled: 110 });
});

test("while a list is imported its campaign does not start; then it does", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftOf(pool, 30);
  const list = (await pool.query("SELECT list_id FROM postlane.campaign")).rows[0].list_id as ListId;
  const importer = await pool.connect();
  assert.ok(await takeTurn(importer, list));
  assert.deepEqual(await startCampaign(pool, id, NOW), { kind: "refused", why: "importing", status: "draft" });
  await endTurn(importer, list);
  importer.release();
  const { accepted, status } = await start(pool, id);
  assert.deepEqual([accepted, status], [30, "running"]);
});

test("nobody on the list: refused, and it stays a draft", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await insertDraft(pool);
  assert.deepEqual(await startCampaign(pool, id, NOW), { kind: "refused", why: "empty", status: "draft" });
  assert.deepEqual(await startCampaign(pool, id, { ...NOW, canary: { share: 0.01, waitMs: 1, limit: 0 } }), {
    kind: "refused",
    why: "empty",
    status: "draft",
  });
});

test("a campaign that cannot be fed keeps no other from its mail", async (t) => {
  const { pool } = await testDatabase(t);
  const broken = await insertDraft(pool, "broken");
  await fillList(pool, broken, "SELECT 1, 'ann@example.com', '{', NULL");
  const id = await draftOf(pool, 30, "whole");
  await start(pool, broken);
  await start(pool, id);
  await assert.rejects(createFeeder({ pool, clock: systemClock }).feed(), /json/);
  assert.equal((await madeOf(pool, id)).messages, 30);
});

test("a slow pace is named and raises no alarm, and who has no message yet does not fill the lane", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftOf(pool, 1000);
  await start(pool, id, { ...NOW, pacePerS: 1 / 60 });
  const feeder = createFeeder({ pool, clock: systemClock });
  await feeder.feed();
  await feeder.feed();
  assert.equal((await madeOf(pool, id)).messages, 1, "a minute has one message");
  assert.equal((await readQueueSize(pool)).waiting, 1);
  const { lanes, heldBackCampaigns } = await readSnapshot(pool);
  assert.equal(lanes.find(({ name }) => name === "bulk")!.toSend, 1);
  assert.deepEqual(heldBackCampaigns, [
    { name: "news", lane: "bulk", waiting: 999, pacePerS: 1 / 60, canaryRows: null },
  ]);
  await sendAll(pool);
  const watch = createAlarmWatch(60_000);
  for (const seconds of [0, 61, 122, 3600]) {
    const progress = await readProgress(pool);
    assert.equal(progress.find(({ lane }) => lane === "bulk")!.queued, 0);
    assert.deepEqual(watch.look(progress, seconds * 1000), []);
  }
  assert.equal((await readQueueSize(pool)).waiting, 0);
  assert.equal((await booksOf(pool, id))["queued"], 999);
});

test("a pace is kept over twenty minutes of looks", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftOf(pool, 5000);
  await start(pool, id, { ...NOW, pacePerS: 1 });
  const feeder = createFeeder({ pool, clock: systemClock });
  const books = watchBooks(pool);
  for (let looks = 0; looks < 120; looks++) {
    await pool.query("UPDATE postlane.campaign SET fed_at = fed_at - interval '10 s'");
    await feeder.feed();
    await sendAll(pool);
  }
  await books.stop();
  const { made } = await madeOf(pool, id);
  // What the looks take themselves is time, too.
  assert.ok(made >= 1190 && made <= 1250, `${made} in 1200 s`);
});

// ---- rig -------------------------------------------------------------------------------------------------------------

async function insertDraft(pool: Pool, name = "news"): Promise<CampaignId> {
  const template = { from: "news@news.example", subject: "News", text: "Hello!" };
  return await insertCampaign(pool, { name, lane: "bulk", status: "draft", template });
}

async function draftOf(pool: Pool, rows: number, name?: string): Promise<CampaignId> {
  const id = await insertDraft(pool, name);
  await fillList(
    pool,
    id,
    `SELECT n, 'user' || n || '@d' || n % 50 || '.example', '{"first_name":"Ann"}', NULL FROM generate_series(1, $1) AS n`,
    [rows],
  );
  return id;
}

async function start(pool: Pool, id: CampaignId, wish: StartWish = NOW) {
  const answer = await startCampaign(pool, id, wish);
  assert.ok(answer.kind === "started", JSON.stringify(answer));
  return answer;
}

async function madeOf(pool: Pool, id: CampaignId) {
  const { rows } = await pool.query(
    `SELECT waves.*, mail.* FROM (
       SELECT sum(rows)::integer AS rows, sum(made)::integer AS made, sum(withdrawn)::integer AS withdrawn
       FROM postlane.campaign_wave WHERE campaign_id = $1
     ) AS waves, (
       SELECT count(*)::integer AS messages, count(DISTINCT recipient)::integer AS people
       FROM postlane.message WHERE campaign_id = $1
     ) AS mail`,
    [id],
  );
  return rows[0] as Readonly<Record<"rows" | "made" | "withdrawn" | "messages" | "people", number>>;
}

async function queuedAt(pool: Pool, destination: string): Promise<number> {
  const { rows } = await pool.query("SELECT count(*)::integer AS n FROM postlane.queue WHERE destination = $1", [
    destination,
  ]);
  return rows[0].n;
}

/** As if dispatchers had sent all that waits. */
async function sendAll(pool: Pool): Promise<void> {
  await pool.query(
    `WITH gone AS (DELETE FROM postlane.queue RETURNING lane_id, campaign_id, accepted_on, state)
     INSERT INTO postlane.balance_delta (lane_id, campaign_id, accepted_on, state, n)
     SELECT lane_id, campaign_id, accepted_on, entry.state, entry.sign
     FROM gone CROSS JOIN LATERAL (VALUES (gone.state, -1), ('sent', 1)) AS entry (state, sign)`,
  );
}
