import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "pg";
import { createFeeder } from "../../src/campaigns/feed-campaigns.ts";
import { judgeCanaries } from "../../src/campaigns/judge-canary.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { runCommand } from "../integration/cli-command.ts";
import { fillList, insertCampaign } from "../rig/campaign-list.ts";
import { campaignSays } from "../rig/campaign-statuses.ts";
import { booksOf, watchBooks } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";

const ROWS = 1000;

test("a campaign whose canary fails is paused, says why, and goes on with all when a person resumes it", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const id = await draft(pool);
  const books = watchBooks(pool);
  await campaignSays(database, "start", "march", "--canary", "10%", "--canary-limit", "5%");
  const feeder = createFeeder({ pool, clock: systemClock });
  await feeder.feed();
  await feeder.feed();
  assert.deepEqual([await messages(pool), await booksOf(pool, id)], [100, { queued: ROWS }]);
  assert.deepEqual(await judgeCanaries(pool), []);

  await settle(pool, 3, "bounced");
  await settle(pool, 2, "held");
  await settle(pool, 85, "sent");
  assert.deepEqual(await judgeCanaries(pool), [], "five of a hundred may fail");
  await settle(pool, 1, "deferred");
  const [stopped] = await judgeCanaries(pool);
  const evidence = { rows: 100, tried: 91, deferred: 1, bounced: 3, held: 2, expired: 0, limit: 0.05 };
  assert.deepEqual(stopped, { name: "march", because: { code: "canary_failed", evidence } });
  assert.deepEqual(await judgeCanaries(pool), [], "once");
  await feeder.feed();
  assert.equal(await messages(pool), 100);

  const explained = await runCommand(database, ["explain"]);
  assert.match(
    explained.stdout,
    /campaign "march" is paused by its canary: 6 of the first 100 failed, 5 % may; 910 messages wait {2}\[canary_failed\]/,
  );
  const { stdout } = await runCommand(database, ["campaign", "status", "march"]);
  assert.match(stdout, /: paused\n/);
  assert.match(
    stdout,
    /^paused by its canary: of the first 100 recipients 91 were tried: 1 deferred, 3 bounced, 2 held; 5 % may fail\nlook at what failed; `campaign resume` goes on with all$/m,
  );
  const json = await runCommand(database, ["campaign", "status", "march", "--json"]);
  const report = JSON.parse(json.stdout) as Readonly<Record<string, unknown>>;
  assert.deepEqual(report["paused_because"], { code: "canary_failed", evidence });

  assert.deepEqual(await campaignSays(database, "resume", "march"), { exitCode: 0, status: "running" });
  assert.deepEqual(await judgeCanaries(pool), []);
  await feeder.feed();
  assert.equal(await messages(pool), ROWS);
  await books.stop();
});

test("a canary that does well is watched, and then all others go by themselves", async (t) => {
  const { pool, ...database } = await testDatabase(t);
  await draft(pool);
  await campaignSays(database, "start", "march", "--canary", "10%", "--canary-wait", "1 h");
  const feeder = createFeeder({ pool, clock: systemClock });
  await feeder.feed();
  // Two wait behind a destination that is paused: they hold up nobody.
  await settle(pool, 98, "sent");
  await judgeCanaries(pool);
  assert.match(
    (await runCommand(database, ["campaign", "status", "march", "--no-rate"])).stdout,
    /^canary of 100 recipients: all tried; the others go at .*Z unless too many fail$/m,
  );
  await pool.query("UPDATE postlane.campaign SET canary_tried_at = canary_tried_at - interval '59 min'");
  await judgeCanaries(pool);
  await feeder.feed();
  assert.equal(await messages(pool), 100);
  await pool.query("UPDATE postlane.campaign SET canary_tried_at = canary_tried_at - interval '1 min'");
  await judgeCanaries(pool);
  await feeder.feed();
  assert.equal(await messages(pool), ROWS);
});

async function draft(pool: Pool) {
  const template = { from: "news@news.example", subject: "News", text: "Hello!" };
  const id = await insertCampaign(pool, { name: "march", lane: "bulk", status: "draft", template });
  await fillList(pool, id, "SELECT n, 'user' || n || '@example.com', '{}', NULL FROM generate_series(1, $1) AS n", [
    ROWS,
  ]);
  return id;
}

/** As a dispatcher settles so many of those that were not tried yet. */
async function settle(pool: Pool, n: number, state: string): Promise<void> {
  const some = "SELECT message_id FROM postlane.queue WHERE state = 'queued' ORDER BY message_id LIMIT $1";
  const taken =
    state === "held" || state === "deferred"
      ? `UPDATE postlane.queue SET state = $2, attempts = 1 WHERE message_id IN (${some})`
      : `DELETE FROM postlane.queue WHERE message_id IN (${some})`;
  await pool.query(
    `WITH taken AS (${taken} RETURNING lane_id, campaign_id, accepted_on)
     INSERT INTO postlane.balance_delta (lane_id, campaign_id, accepted_on, state, n)
     SELECT lane_id, campaign_id, accepted_on, entry.state, entry.n
     FROM taken CROSS JOIN (VALUES ('queued', -1), ($2, 1)) AS entry (state, n)`,
    [n, state],
  );
}

async function messages(pool: Pool): Promise<number> {
  return (await pool.query("SELECT count(*)::integer AS n FROM postlane.message")).rows[0].n;
}
