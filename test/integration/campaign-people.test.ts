// The people behind each number: an export has as many lines as the number in the sheet says, for every number, of a campaign
// that has everything in it; and for every state of its lane.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { parse as parseCsv } from "csv-parse/sync";
import type { Pool } from "pg";
import { addCampaignVersion, createCampaign, moveCampaignIfIn } from "../../src/campaigns/campaign-store.ts";
import { controlCampaign } from "../../src/campaigns/control-campaign.ts";
import { importList } from "../../src/campaigns/import-list.ts";
import { createList } from "../../src/campaigns/list-store.ts";
import { startCampaign } from "../../src/campaigns/start-campaign.ts";
import type { CampaignId, ListId } from "../../src/mail/ids.ts";
import { STATES } from "../../src/mail/state.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { listLanes } from "../../src/queue/lane-store.ts";
import { exportPeople, parsePeopleWanted, type PeopleQuestion } from "../../src/reports/export-people.ts";
import { reportInFull } from "../../src/reports/family-report.ts";
import { reportLane } from "../../src/reports/lane-report.ts";
import { sweepCanceled } from "../../src/upkeep/sweep.ts";
import { becomes, campaignRow, insertContent, makeNext, sheetProblems } from "../rig/campaign-sheets.ts";
import { enqueue } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { suppress } from "../rig/suppressing.ts";

const WEST = "Pacific/Pago_Pago";
const EAST = "Pacific/Kiritimati";

test("as many lines as the number says, for every number, while it runs, is canceled and is swept", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const id = await campaignOfEverything(database);
  await enqueue(pool, { to: "single@example.com", lane: "bulk" });
  const running = await assertAllNumbers(pool, id);
  assert.deepEqual(running.counts, {
    rejected: 2,
    double: 1,
    accepted: 29,
    not_accepted: 2,
    scheduled: 3,
    queued: 15,
    deferred: 2,
    held: 1,
    unknown: 1,
    sent: 2,
    delivered: 1,
    bounced: 1,
    expired: 1,
    canceled: 0,
    suppressed: 2,
    "version:1": 4,
    "version:2": 4,
  });
  assert.equal(running.unmade, 13);

  await controlCampaign(pool, id, "cancel");
  const canceled = await assertAllNumbers(pool, id);
  assert.equal(canceled.counts["canceled"], 13, "what had no message");
  await sweepCanceled(pool);
  const swept = await assertAllNumbers(pool, id);
  assert.equal(swept.counts["canceled"], 22);
  assert.equal(swept.counts["version:2"], 4, "who was tried before the cancel got a version all the same");
});

test("a line tells where somebody stands, since when and why, and no cell can be taken for a formula", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const id = await campaignOfEverything(database);
  const campaign = await campaignRow(pool, id);
  const rowsOf = async (what: string) => parse(await exported(pool, questionOf(campaign, what)));

  const [bounced] = await rowsOf("bounced");
  const told = await pool.query(
    "SELECT id, (SELECT at FROM postlane.event WHERE message_id = m.id AND kind = 'bounced') AS at FROM postlane.message AS m WHERE recipient = 'p7@example.com'",
  );
  const { id: messageId, at } = told.rows[0];
  assert.deepEqual(bounced, [
    "9",
    "p7@example.com",
    "bounced",
    at.toISOString(),
    '\'=550 "no", he said\r\n550 no',
    "3",
    `msg_${messageId}`,
    "2",
  ]);
  const [delivered] = await rowsOf("delivered");
  assert.deepEqual(
    [delivered![1], delivered![5], delivered![7]],
    ["p6@example.com", "1", "2"],
    "what came back later knows no version",
  );
  const suppressed = await rowsOf("suppressed");
  assert.match(suppressed[0]![4]!, /is on the suppression list for bulk since .*: manual, by test/);
  const scheduled = await rowsOf("scheduled");
  assert.deepEqual(scheduled[0], ["28", "west0@example.com", "scheduled", "", "", "", "", ""]);
  const accepted = await rowsOf("accepted");
  assert.equal(accepted.find(([, address]) => address?.includes("=formula"))?.[1], "'=formula@example.com");

  assert.deepEqual(
    (await rowsOf("rejected")).map(([line, raw, reason]) => [line, raw, reason]),
    [
      ["32", "'=1+1,Zed,", "no @"],
      ["33", 'nobody,Z, "Y",', "no @"],
    ],
  );
  assert.deepEqual(
    (await rowsOf("double")).map(([line, raw, reason]) => [line, raw, reason]),
    [["31", "P1@example.com", "stands on line 3 already"]],
  );
});

test("the report says who got which version, and why some were suppressed", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const id = await campaignOfEverything(database);
  const report = await reportInFull(pool, await campaignRow(pool, id));
  assert.deepEqual(
    report.versions?.map(({ version, messages }) => [version, messages]),
    [
      [1, 4],
      [2, 4],
    ],
  );
  for (const version of report.versions) assert.ok(version.first_at! <= version.last_at!);
  assert.deepEqual(report.suppressed_because, [
    { reason: "the address is on the suppression list for bulk: manual, by test", n: 2 },
  ]);
  assert.deepEqual(report.rests, []);
  assert.equal(report.family, null);
});

test("pages follow each other without a gap: more recipients and rejected rows than one page holds", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const rows = 12_345;
  const lines = Array.from({ length: rows }, (_, n) => (n % 2 === 0 ? `u${n}@example.com` : `bad${n}`));
  const file = path.join(database.dataDir, "large.csv");
  writeFileSync(file, `email\n${lines.join("\n")}\n`);
  const listId = await listOf(pool, file, ["email"]);
  const contentId = await insertContent(pool, "Hello");
  const id = (await createCampaign(pool, {
    name: "large",
    lane: "bulk",
    listId,
    contentId,
    status: "draft",
    list: "",
  }))!;
  await startCampaign(pool, id, { when: { kind: "now" } });
  await makeNext(pool, id, 6_000);
  const campaign = await campaignRow(pool, id);
  for (const what of ["queued", "accepted", "rejected"]) {
    const got = parse(await exported(pool, questionOf(campaign, what)));
    const expected = what === "rejected" ? Math.floor(rows / 2) : Math.ceil(rows / 2);
    assert.equal(new Set(got.map(([line]) => line)).size, expected, what);
  }
  const lane = (await listLanes(pool)).find(({ name }) => name === "bulk")!;
  const queued = parse(await exported(pool, { kind: "lane", laneId: lane.id, day: undefined, state: "queued" }));
  assert.equal(new Set(queued.map(([, address]) => address)).size, Math.ceil(rows / 2));
});

// ---- the campaign ----------------------------------------------------------------------------------------------------

/**
 * 29 accepted: 16 without a zone or in the east have a message, 10 of those not yet, 3 wait for the west; 2 came later.
 * Two versions of the template: four messages had the first in their latest attempt, four the second.
 */
async function campaignOfEverything(database: TestDatabase): Promise<CampaignId> {
  const { pool } = database;
  const file = path.join(database.dataDir, "list.csv");
  const people = Array.from({ length: 26 }, (_, n) => `p${n}@example.com,Ann,${EAST}`);
  const west = Array.from({ length: 3 }, (_, n) => `west${n}@example.com,Ann,${WEST}`);
  people[25] = `=formula@example.com,Ann,${EAST}`;
  const others = ["P1@example.com,Again,", "=1+1,Zed,", 'nobody,"Z, ""Y""",'];
  writeFileSync(file, `email,first_name,time_zone\n${[...people, ...west, ...others].join("\n")}\n`);
  const listId = await listOf(pool, file, ["email", "first_name", "time_zone"]);
  for (const name of ["p14", "p15"]) await suppress(pool, `${name}@example.com`);
  const contentId = await insertContent(pool, "Hello {{ first_name }}!");
  const id = (await createCampaign(pool, {
    name: "march",
    lane: "bulk",
    listId,
    contentId,
    status: "draft",
    list: "news",
  }))!;
  const localTime = new Date().toISOString().slice(0, 19);
  const started = await startCampaign(pool, id, { when: { kind: "local", localTime, zone: "UTC" } });
  assert.ok(started.kind === "started");
  assert.deepEqual([started.accepted, started.status], [29, "scheduled"]);
  await moveCampaignIfIn(pool, id, "running", ["scheduled"]);
  assert.equal(await makeNext(pool, id, 16), 16);

  const to = (...numbers: readonly number[]) => numbers.map((n) => `p${n}@example.com`);
  await becomes(pool, id, to(0, 1), "sent");
  await becomes(pool, id, to(2, 3), "deferred", { reply: "451 later" });
  await becomes(pool, id, to(3), "deferred", { attempt: 2, version: 2 });
  await inTransaction(pool, async (client) =>
    addCampaignVersion(client, id, await insertContent(client, "Hello again")),
  );
  await becomes(pool, id, to(4), "held", { attempt: 0, reply: "looks odd" });
  await becomes(pool, id, to(5), "unknown");
  await becomes(pool, id, to(6), "sent", { version: 2 });
  await becomes(pool, id, to(6), "delivered");
  await becomes(pool, id, to(7), "deferred");
  await becomes(pool, id, to(7), "bounced", { attempt: 3, version: 2, reply: '=550 "no", he said\r\n550 no' });
  await becomes(pool, id, to(8), "deferred", { version: 2 });
  await becomes(pool, id, to(8), "expired");

  const later = path.join(database.dataDir, "later.csv");
  writeFileSync(later, "email,first_name,time_zone\nlater0@example.com,Ann,\nlater1@example.com,Ann,\n");
  await importInto(pool, listId, later, ["email", "first_name", "time_zone"]);
  return id;
}

async function listOf(pool: Pool, file: string, names: readonly string[]): Promise<ListId> {
  const listId = (await createList(pool, undefined, columnsOf(names)))!;
  await importInto(pool, listId, file, names);
  return listId;
}

async function importInto(pool: Pool, listId: ListId, file: string, names: readonly string[]): Promise<void> {
  const columns = columnsOf(names);
  await importList(pool, { listId, file, columns, onRejected: async () => {}, onProgress: () => {} });
}

function columnsOf(names: readonly string[]) {
  return names.map((name) => {
    const type = name === "time_zone" ? ("time_zone" as const) : ("text" as const);
    return { name, original: name, type, isAddress: name === "email" };
  });
}

// ---- the numbers -----------------------------------------------------------------------------------------------------

const WHAT = ["rejected", "double", "accepted", "not_accepted", ...STATES, "version:1", "version:2"] as const;

/** Of the campaign and of its lane, of which all of today's are. */
async function assertAllNumbers(pool: Pool, id: CampaignId) {
  assert.deepEqual(await sheetProblems(pool), []);
  const campaign = await campaignRow(pool, id);
  const report = await reportInFull(pool, campaign);
  const { books, rejected, doubled, not_accepted } = report;
  const numbers: Record<string, number> = {
    ...books.states,
    rejected,
    double: doubled,
    accepted: books.accepted,
    not_accepted,
  };
  for (const { version, messages } of report.versions!) numbers[`version:${version}`] = messages;
  const counts: Record<string, number> = {};
  for (const what of WHAT) {
    counts[what] = parse(await exported(pool, questionOf(campaign, what))).length;
    assert.equal(counts[what], numbers[what], what);
  }
  const lane = (await listLanes(pool)).find(({ name }) => name === "bulk")!;
  const { rows } = await pool.query("SELECT DISTINCT accepted_on::text AS day FROM postlane.balance_sheet");
  for (const day of [...rows.map((row) => row.day as string), undefined, "2001-01-01"]) {
    const sheet = await reportLane(pool, lane, { day, daysMax: 10 });
    for (const state of STATES) {
      const text = await exported(pool, { kind: "lane", laneId: lane.id, day, state });
      assert.equal(parse(text).length, sheet.books.states[state], `${state} in the lane on ${day ?? "any day"}`);
    }
  }
  return { counts, unmade: report.unmade };
}

function questionOf(campaign: Awaited<ReturnType<typeof campaignRow>>, what: string): PeopleQuestion {
  return { kind: "campaign", campaign, wanted: parsePeopleWanted(what)! };
}

/** Without the header. */
function parse(text: string): readonly (readonly string[])[] {
  return parseCsv(text, { from_line: 2 });
}

async function exported(pool: Pool, question: PeopleQuestion): Promise<string> {
  const chunks: string[] = [];
  const count = await exportPeople(pool, question, async (chunk) => void chunks.push(chunk));
  assert.equal(parse(chunks.join("")).length, count);
  return chunks.join("");
}
