// A campaign at a local time on the night of a clock change: each recipient is due once, at the instant of its own zone. No
// test waits for a time: waves are made due by moving them.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import type { Pool } from "pg";
import { controlCampaign } from "../../src/campaigns/control-campaign.ts";
import { createFeeder } from "../../src/campaigns/feed-campaigns.ts";
import { sendCampaign } from "../../src/campaigns/send-campaign.ts";
import { startCampaign, type StartWish } from "../../src/campaigns/start-campaign.ts";
import { listWaves } from "../../src/campaigns/wave-store.ts";
import type { CampaignId } from "../../src/mail/ids.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { fillList, insertCampaign } from "../rig/campaign-list.ts";
import { booksOf, watchBooks } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";

/** Of each zone so many recipients; null: they name none, and get the campaign's. */
const PER_ZONE = 3;
const ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", null] as const;
const OF_NOBODY = "Asia/Tokyo";

const NIGHTS: readonly (readonly [name: string, localTime: string, due: Readonly<Record<string, string>>])[] = [
  [
    "half past two is missing in Berlin",
    "2099-03-29T02:30",
    {
      "Australia/Lord_Howe": "2099-03-28T15:30:00Z",
      "Pacific/Apia": "2099-03-28T13:30:00Z",
      "Asia/Tokyo": "2099-03-28T17:30:00Z",
      "Europe/Berlin": "2099-03-29T01:30:00Z",
      "America/New_York": "2099-03-29T06:30:00Z",
    },
  ],
  [
    "half past two is missing in New York",
    "2099-03-08T02:30",
    {
      "Australia/Lord_Howe": "2099-03-07T15:30:00Z",
      "Pacific/Apia": "2099-03-07T13:30:00Z",
      "Asia/Tokyo": "2099-03-07T17:30:00Z",
      "Europe/Berlin": "2099-03-08T01:30:00Z",
      "America/New_York": "2099-03-08T07:30:00Z",
    },
  ],
  [
    "a quarter past two is missing on Lord Howe",
    "2099-10-04T02:15",
    {
      "Australia/Lord_Howe": "2099-10-03T15:45:00Z",
      "Pacific/Apia": "2099-10-03T13:15:00Z",
      "Asia/Tokyo": "2099-10-03T17:15:00Z",
      "Europe/Berlin": "2099-10-04T00:15:00Z",
      "America/New_York": "2099-10-04T06:15:00Z",
    },
  ],
  [
    "half past two comes twice in Berlin",
    "2099-10-25T02:30",
    {
      "Australia/Lord_Howe": "2099-10-24T15:30:00Z",
      "Pacific/Apia": "2099-10-24T13:30:00Z",
      "Asia/Tokyo": "2099-10-24T17:30:00Z",
      "Europe/Berlin": "2099-10-25T00:30:00Z",
      "America/New_York": "2099-10-25T06:30:00Z",
    },
  ],
  [
    "half past one comes twice in New York",
    "2099-11-01T01:30",
    {
      "Australia/Lord_Howe": "2099-10-31T14:30:00Z",
      "Pacific/Apia": "2099-10-31T12:30:00Z",
      "Asia/Tokyo": "2099-10-31T16:30:00Z",
      "Europe/Berlin": "2099-11-01T00:30:00Z",
      "America/New_York": "2099-11-01T05:30:00Z",
    },
  ],
  [
    "a quarter to two comes twice on Lord Howe",
    "2099-04-05T01:45",
    {
      "Australia/Lord_Howe": "2099-04-04T14:45:00Z",
      "Pacific/Apia": "2099-04-04T12:45:00Z",
      "Asia/Tokyo": "2099-04-04T16:45:00Z",
      "Europe/Berlin": "2099-04-04T23:45:00Z",
      "America/New_York": "2099-04-05T05:45:00Z",
    },
  ],
];

for (const [name, localTime, due] of NIGHTS) {
  test(`${name}: each recipient once, at the instant of its zone`, async (t) => {
    const { pool } = await testDatabase(t);
    const id = await draftInZones(pool);
    const books = watchBooks(pool);
    const answer = await startCampaign(pool, id, { when: { kind: "local", localTime, zone: OF_NOBODY } });
    assert.ok(answer.kind === "started");
    assert.deepEqual([answer.status, answer.accepted], ["scheduled", ZONES.length * PER_ZONE]);
    const waves = await listWaves(pool, id);
    assert.deepEqual(
      Object.fromEntries(waves.map(({ time_zone, due_at }) => [time_zone ?? OF_NOBODY, due_at.toISOString()])),
      Object.fromEntries(Object.entries(due).map(([zone, at]) => [zone, new Date(at).toISOString()])),
    );
    const feeder = createFeeder({ pool, clock: systemClock });
    await feeder.feed();
    assert.deepEqual(await messagesByZone(pool, id), {}, "nobody before the time");
    const reached: Record<string, number> = {};
    for (const { n, time_zone } of waves) {
      await makeDue(pool, id, n);
      // Twice, and by two: no recipient gets a second message.
      await Promise.all([feeder.feed(), createFeeder({ pool, clock: systemClock }).feed()]);
      reached[String(time_zone)] = PER_ZONE;
      assert.deepEqual(await messagesByZone(pool, id), reached);
    }
    await books.stop();
    assert.deepEqual(await booksOf(pool, id), { queued: ZONES.length * PER_ZONE });
  });
}

test("where the local time is over it goes at once, elsewhere at its time; paused and resumed it waits again", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftInZones(pool);
  const books = watchBooks(pool);
  // An hour ago in Apia, which is the first of these zones all year round.
  const localTime = localNow("Pacific/Apia", -3_600_000);
  const answer = await startCampaign(pool, id, { when: { kind: "local", localTime, zone: "Europe/Berlin" } });
  assert.ok(answer.kind === "started");
  assert.deepEqual(
    answer.waves.filter(({ state }) => state === "queued").map(({ time_zone, rows }) => [time_zone, rows]),
    [["Pacific/Apia", PER_ZONE]],
  );
  const feeder = createFeeder({ pool, clock: systemClock });
  await feeder.feed();
  assert.deepEqual(await messagesByZone(pool, id), { "Pacific/Apia": PER_ZONE });
  assert.equal(await statusOf(pool, id), "running", "its first time has come");
  await controlCampaign(pool, id, "pause");
  await controlCampaign(pool, id, "resume");
  assert.equal(await statusOf(pool, id), "running");
  await books.stop();
  assert.deepEqual(await booksOf(pool, id), { queued: PER_ZONE, scheduled: 4 * PER_ZONE });
});

test("a local time that is over for everyone on the list is refused, and nobody is accepted", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftInZones(pool);
  // Over in New York, the last of these zones.
  const localTime = localNow("America/New_York", -60_000);
  const wish: StartWish = { when: { kind: "local", localTime, zone: "Europe/Berlin" } };
  assert.deepEqual(await startCampaign(pool, id, wish), { kind: "refused", why: "over", status: "draft" });
  assert.deepEqual(await booksOf(pool, id), {});
});

test("paused before its time it waits for it again, and canceled before its time nobody gets it", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await draftInZones(pool);
  const atMs = Date.parse("2099-01-01T00:00:00Z");
  await startCampaign(pool, id, { when: { kind: "at", atMs } });
  await controlCampaign(pool, id, "pause");
  await makeDue(pool, id, 1);
  const feeder = createFeeder({ pool, clock: systemClock });
  await feeder.feed();
  assert.deepEqual(await messagesByZone(pool, id), {});
  await pool.query("UPDATE postlane.campaign_wave SET due_at = '2099-01-01'");
  const resumed = await controlCampaign(pool, id, "resume");
  assert.equal(resumed.status, "scheduled");
  const canceled = await controlCampaign(pool, id, "cancel");
  assert.deepEqual(canceled, { kind: "done", status: "canceled", wasSo: false, withdrawn: ZONES.length * PER_ZONE });
  await makeDue(pool, id, 1);
  await feeder.feed();
  assert.deepEqual(await messagesByZone(pool, id), {});
  assert.deepEqual(await booksOf(pool, id), { canceled: ZONES.length * PER_ZONE });
});

test("who moves to another zone while the campaign waits gets it once, by the zone that it was accepted with", async (t) => {
  const { pool, dataDir } = await testDatabase(t);
  const file = path.join(dataDir, "members.csv");
  const template = path.join(dataDir, "news");
  writeTemplate(template);
  const send = async (lines: readonly string[]) => {
    writeFileSync(file, ["email,name,time_zone", ...lines].join("\n"));
    const start: StartWish = { when: { kind: "local", localTime: "2099-03-29T02:30", zone: "UTC" } };
    const answer = await sendCampaign(pool, { file, templateDir: template, lane: "bulk", start });
    assert.ok(answer.kind === "sent", JSON.stringify(answer));
    return answer.campaignId;
  };
  const id = await send([
    "ann@a.example,Ann,Europe/Berlin",
    "bob@b.example,Bob,America/New_York",
    "cat@c.example,Cat,",
  ]);
  const waves = await listWaves(pool, id);
  // Ann's time comes before Bob's. Both move, and so does who had none.
  await makeDue(pool, id, waves.find(({ time_zone }) => time_zone === "Europe/Berlin")!.n);
  const feeder = createFeeder({ pool, clock: systemClock });
  await feeder.feed();
  await send([
    "ann@a.example,Anna,America/New_York",
    "bob@b.example,Rob,Europe/Berlin",
    "cat@c.example,Cat,Asia/Tokyo",
  ]);
  for (const { n } of waves) await makeDue(pool, id, n);
  await feeder.feed();
  const { rows } = await pool.query(
    "SELECT recipient, data ->> 'name' AS name FROM postlane.message ORDER BY recipient",
  );
  assert.deepEqual(rows, [
    { recipient: "ann@a.example", name: "Ann" },
    { recipient: "bob@b.example", name: "Rob" },
    { recipient: "cat@c.example", name: "Cat" },
  ]);
  assert.deepEqual(await booksOf(pool, id), { queued: 3 });
  // All have it: now zones are renewed.
  await send(["ann@a.example,Anna,America/New_York"]);
  const zone = await pool.query("SELECT time_zone FROM postlane.recipient WHERE address = 'ann@a.example'");
  assert.equal(zone.rows[0].time_zone, "America/New_York");
});

// ---- rig -------------------------------------------------------------------------------------------------------------

async function draftInZones(pool: Pool): Promise<CampaignId> {
  const template = { from: "news@news.example", subject: "News", text: "Hello!" };
  const id = await insertCampaign(pool, { name: "news", lane: "bulk", status: "draft", template });
  await fillList(
    pool,
    id,
    `SELECT row_number() OVER (), 'user' || n || '@' || coalesce(translate(lower(zone), '/_', '.-'), 'no.zone'), '{}', zone
     FROM generate_series(1, $1) AS n, unnest($2::text[]) AS zone`,
    [PER_ZONE, ZONES],
  );
  return id;
}

async function makeDue(pool: Pool, id: CampaignId, n: number): Promise<void> {
  await pool.query(
    "UPDATE postlane.campaign_wave SET due_at = clock_timestamp() - interval '1 s' WHERE campaign_id = $1 AND n = $2",
    [id, n],
  );
}

/** By the zone of the recipient: messages, which must be as many as people. */
async function messagesByZone(pool: Pool, id: CampaignId): Promise<Readonly<Record<string, number>>> {
  const { rows } = await pool.query(
    `SELECT r.time_zone, count(*)::integer AS messages, count(DISTINCT m.recipient)::integer AS people
     FROM postlane.message AS m JOIN postlane.recipient AS r ON r.address = m.recipient
     WHERE m.campaign_id = $1 GROUP BY r.time_zone`,
    [id],
  );
  for (const { messages, people } of rows) assert.equal(messages, people);
  return Object.fromEntries(rows.map(({ time_zone, messages }) => [String(time_zone), messages]));
}

async function statusOf(pool: Pool, id: CampaignId): Promise<string> {
  return (await pool.query("SELECT status FROM postlane.campaign WHERE id = $1", [id])).rows[0].status;
}

/** What the clock shows there, `byMs` from now. */
function localNow(timeZone: string, byMs: number): string {
  const shown = new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "medium" });
  return shown.format(Date.now() + byMs).replace(" ", "T");
}

function writeTemplate(folder: string): void {
  mkdirSync(folder);
  writeFileSync(path.join(folder, "template.yaml"), "subject: News\nfrom: news@news.example\n");
  writeFileSync(path.join(folder, "body.txt"), "Hello {{ name }}!\n");
}
