// Every sheet adds up at every look: while a campaign runs, is paused, edited and canceled, while its rest goes out, while what
// was sent comes back, and when it is finished. Lanes and days too.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { addCampaignVersion } from "../../src/campaigns/campaign-store.ts";
import { controlCampaign } from "../../src/campaigns/control-campaign.ts";
import { importList } from "../../src/campaigns/import-list.ts";
import { createRest } from "../../src/campaigns/send-rest.ts";
import { startCampaign } from "../../src/campaigns/start-campaign.ts";
import type { CampaignId, MessageId } from "../../src/mail/ids.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { reportInFull } from "../../src/reports/family-report.ts";
import { countEverything } from "../../src/reports/status-report.ts";
import {
  addToList,
  campaignRow,
  insertContent,
  makeDraft,
  makeNext,
  sheetProblems,
  startNow,
  watchSheets,
} from "../rig/campaign-sheets.ts";
import { booksOf, until } from "../rig/lane-mail.ts";
import { startLane } from "../rig/lane.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { startQuietUpkeep } from "../rig/quiet-upkeep.ts";
import { byMaildir, evidence, judgeOf, logLine, nextAttempt, noticeFor, takeAll } from "../rig/returned-mail.ts";
import { DROP, startScriptedSink } from "../rig/scripted-sink.ts";
import { suppress } from "../rig/suppressing.ts";

const PEOPLE = 2_000;

test("at every look: running, paused, edited, canceled, its rest sent, returns taken, finished", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const sheets = watchSheets(pool);
  const id = await makeDraft(pool, { name: "march", recipients: recipients(0, PEOPLE) });
  for (let n = 0; n < 50; n++) await suppress(pool, address(n * 10));
  const lane = await startMoody(t, database);
  startQuietUpkeep(t, pool);
  await startNow(pool, id);

  await settled(database, id, 200);
  await controlCampaign(pool, id, "pause");
  await inTransaction(pool, async (client) =>
    addCampaignVersion(client, id, await insertContent(client, "Hello again, {{ first_name }}")),
  );
  await addToList(pool, (await campaignRow(pool, id)).list_id, recipients(PEOPLE, PEOPLE + 100));
  await controlCampaign(pool, id, "resume");
  await settled(database, id, 600);
  await controlCampaign(pool, id, "cancel");
  await until("the canceled one is swept", async () => (await campaignRow(pool, id)).swept_at !== null);

  const rest = await createRest(pool, id);
  assert.ok(rest.kind === "made");
  await settled(database, rest.campaignId, 200);
  await bringBack(database, id);
  const { rows: deferred } = await pool.query(
    "SELECT count(*)::integer AS n FROM postlane.queue WHERE state = 'deferred'",
  );
  assert.ok(deferred[0].n > 0);
  await until(
    "nothing of the rest is queued",
    async () => (await booksOf(pool, rest.campaignId))["queued"] === undefined,
  );
  await pool.query("UPDATE postlane.queue SET due_at = now(), tx = pg_current_xact_id() WHERE state = 'deferred'");
  await until("the rest waits for the unknown ones alone", async () => {
    const { queued, deferred: later } = await booksOf(pool, rest.campaignId);
    return queued === undefined && later === undefined;
  });
  await lane.drain();
  await sheets.stop();

  const report = await reportInFull(pool, await campaignRow(pool, id));
  assert.equal(report.family?.recipients, PEOPLE + 100);
  assert.equal(report.family.not_accepted, 0);
  assert.ok(report.family.books.adds_up);
  assert.deepEqual(
    report.versions?.map(({ messages }) => messages > 0),
    [true, true],
  );
  for (const counted of await countEverything(pool)) assert.ok(counted.adds_up, JSON.stringify(counted));
  const { rows: twice } = await pool.query(
    `SELECT lower(recipient) AS recipient FROM postlane.message AS m JOIN postlane.event AS e ON e.message_id = m.id
     WHERE e.kind = 'sent' GROUP BY 1 HAVING count(DISTINCT m.id) > 1`,
  );
  assert.deepEqual(twice, [], "sent to nobody twice");
});

test("a message that the books have once too often is seen", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await makeDraft(pool, { name: "march", recipients: recipients(0, 3) });
  await startNow(pool, id);
  assert.deepEqual(await sheetProblems(pool), []);
  await pool.query(
    `INSERT INTO postlane.balance_delta (lane_id, campaign_id, accepted_on, state, n)
     SELECT lane_id, campaign_id, accepted_on, 'sent', 1 FROM postlane.balance_sheet`,
  );
  const problems = await sheetProblems(pool);
  assert.equal(problems.length, 3, problems.join("\n"));
});

test("who moves to another time zone while waves are to come is sent to once, in the zone of the start", async (t) => {
  const { pool, dataDir } = await testDatabase(t);
  const [east, west] = ["Pacific/Kiritimati", "Pacific/Pago_Pago"];
  const id = await makeDraft(pool, {
    name: "march",
    recipients: [0, 1, 2, 3].map((n) => ({ address: address(n), timeZone: n < 2 ? east : west })),
  });
  const { list_id } = await campaignRow(pool, id);
  const localTime = new Date().toISOString().slice(0, 19);
  await startCampaign(pool, id, { when: { kind: "local", localTime, zone: "UTC" } });
  await makeNext(pool, id, 10);
  // One who has got it moves west, one who waits moves east.
  const file = path.join(dataDir, "moved.csv");
  writeFileSync(file, `email,first_name,time_zone\n${address(0)},Ann,${west}\n${address(3)},Ann,${east}\n`);
  await importList(pool, {
    listId: list_id,
    file,
    columns: (["email", "first_name", "time_zone"] as const).map((name) => {
      return { name, original: name, type: name === "time_zone" ? name : "text", isAddress: name === "email" };
    }),
    onRejected: async () => {},
    onProgress: () => {},
  });
  await pool.query("UPDATE postlane.campaign_wave SET due_at = now()");
  while ((await makeNext(pool, id, 1)) > 0);
  assert.deepEqual(await booksOf(pool, id), { queued: 4 });
  assert.deepEqual(await sheetProblems(pool), []);
});

/** A relay that refuses some for good, some for now, and of some says nothing at the end. */
async function startMoody(t: Parameters<typeof startLane>[0], database: TestDatabase) {
  const deferred = new Set<string>();
  const sink = await startScriptedSink(t, {
    answer: ({ verb, recipient }) => {
      const n = Number(/p(\d+)@/.exec(recipient)?.[1] ?? 0);
      if (verb === "RCPT" && n % 20 === 1) return "550 5.1.1 no such user";
      if (verb === "RCPT" && n % 20 === 2 && !deferred.has(recipient)) {
        deferred.add(recipient);
        return "451 4.7.1 try again later";
      }
      return verb === "DOT" && n % 200 === 3 ? DROP : undefined;
    },
  });
  return await startLane(t, {
    database,
    relay: sink,
    lane: { name: "bulk", unknownPolicy: "hold" },
    maxRefusals: 1,
  });
}

/** Until so many of it wait no longer. */
async function settled({ pool }: TestDatabase, id: CampaignId, count: number): Promise<void> {
  await until(`${count} of campaign ${id} are sent`, async () => ((await booksOf(pool, id))["sent"] ?? 0) >= count);
}

/** Of what was sent one is delivered, one bounces and one is the relay's no more; what was unknown was accepted. */
async function bringBack({ pool }: TestDatabase, id: CampaignId): Promise<void> {
  const context = await judgeOf(pool);
  const { rows } = await pool.query(
    `SELECT m.id, m.recipient AS to, e.kind, e.attempt FROM postlane.message AS m JOIN postlane.event AS e ON e.message_id = m.id
     WHERE m.campaign_id = $1 AND e.kind IN ('sent', 'unknown') ORDER BY e.kind, m.id`,
    [id],
  );
  const mails = rows.map(({ id: messageId, to, kind, attempt }) => {
    const before = { id: messageId as MessageId, attempt: attempt - 1, to, queueId: "", returnPath: "" };
    return { kind: kind as string, mail: nextAttempt(context, before) };
  });
  const [delivered, bounced] = mails.filter(({ kind }) => kind === "sent");
  await logLine(pool, delivered!.mail);
  await byMaildir(pool, bounced!.mail, noticeFor(bounced!.mail, { status: "5.1.1" }));
  for (const { kind, mail } of mails) if (kind === "unknown") await evidence(pool, mail, "accepted");
  await takeAll(context);
  const books = await booksOf(pool, id);
  assert.equal(books["delivered"], 1, JSON.stringify(books));
  assert.equal(books["unknown"], undefined);
}

function recipients(from: number, to: number) {
  return Array.from({ length: to - from }, (_, n) => ({ address: address(from + n) }));
}

function address(n: number): string {
  return `p${n}@d${n % 50}.example`;
}
