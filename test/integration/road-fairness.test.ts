// Whose turn it is: with ten thousand destinations in backlog, a destination's only message is handed over within a
// second; and two campaigns in one lane advance side by side, whatever their lists look like.

import assert from "node:assert/strict";
import { test } from "node:test";
import { startLane } from "../rig/lane.ts";
import {
  addRecipient,
  createCampaign,
  databaseMs,
  enqueue,
  fillCampaign,
  untilEmpty,
  untilEvent,
  watchBooks,
} from "../rig/lane-mail.ts";
import { needs } from "../rig/needs.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startSmtpSink } from "../rig/smtp-sink.ts";

const DESTINATIONS = 10_000;
const ROWS = 40_000;
const WITHIN_MS = 1_000;

test("among 10,000 destinations in backlog a newcomer's only message goes out within a second", async (t) => {
  if (!needs(t, "smtp-sink")) return;
  const database = await testDatabase(t);
  const { pool } = database;
  const sink = await startSmtpSink(t);
  const campaign = await createCampaign(pool, { name: "large" });
  await fillCampaign(pool, campaign, { rows: ROWS, destinations: DESTINATIONS, domain: "large.example" });
  const books = watchBooks(pool);
  await startLane(t, { database, relay: sink, lane: { name: "bulk" } });
  // In the first round through the destinations, in the second and in the third.
  for (const passed of [1, ROWS / 4, ROWS / 2]) {
    await sink.waitForCount(passed, 60_000);
    const ofCampaign = await addRecipient(pool, campaign, `only@only-after-${passed}.example`);
    const ofCampaignAtMs = await databaseMs(pool);
    const single = await enqueue(pool, { to: `single@single-after-${passed}.example`, lane: "bulk" });
    const singleAtMs = await databaseMs(pool);
    for (const [id, committedAtMs] of [
      [ofCampaign, ofCampaignAtMs],
      [single, singleAtMs],
    ] as const) {
      const waitedMs = (await untilEvent(pool, id, "sent")).at_ms - committedAtMs;
      assert.ok(waitedMs < WITHIN_MS, `after ${passed} messages: it waited ${Math.round(waitedMs)} ms`);
    }
    assert.ok(sink.count() < ROWS, "the backlog was gone before the newcomers were through");
  }
  await untilEmpty(pool, 60_000);
  await books.stop();
});

test("two campaigns in one lane advance side by side", async (t) => {
  if (!needs(t, "smtp-sink")) return;
  const database = await testDatabase(t);
  const { pool } = database;
  const sink = await startSmtpSink(t);
  const narrow = await createCampaign(pool, { name: "narrow" });
  await fillCampaign(pool, narrow, { rows: 10_000, destinations: 5, domain: "narrow.example" });
  const wide = await createCampaign(pool, { name: "wide" });
  await fillCampaign(pool, wide, { rows: 10_000, destinations: 5_000, domain: "wide.example" });
  const books = watchBooks(pool);
  await startLane(t, { database, relay: sink, lane: { name: "bulk" } });
  await untilEmpty(pool, 60_000);
  // Half way, not at the end: one that is ahead then would have been caught up with.
  const { rows } = await pool.query(
    `SELECT count(*) FILTER (WHERE campaign_id = $1)::integer AS narrow, count(*) FILTER (WHERE campaign_id = $2)::integer AS wide
     FROM (
       SELECT m.campaign_id FROM postlane.event AS e JOIN postlane.message AS m ON m.id = e.message_id
       WHERE e.kind = 'sent' ORDER BY e.at LIMIT 10000
     ) AS first_half`,
    [narrow, wide],
  );
  const [half] = rows as { narrow: number; wide: number }[];
  const ratio = half!.narrow / half!.wide;
  assert.ok(ratio > 0.8 && ratio < 1.25, `half way: ${half!.narrow} of the narrow one, ${half!.wide} of the wide one`);
  await books.stop();
});
