// What is shown before is what goes out: previews against the mail that a dispatcher hands to a sink, and test copies that
// arrive marked and leave the campaign, its books and its recipients as they were.

import assert from "node:assert/strict";
import { test } from "node:test";
import { simpleParser } from "mailparser";
import type { Pool } from "pg";
import { findCampaign, type CampaignRow } from "../../src/campaigns/campaign-store.ts";
import { createListLines, readListOfCampaign } from "../../src/dispatcher/list-lines.ts";
import type { CampaignId } from "../../src/mail/ids.ts";
import { readUnsubscribeToken } from "../../src/mail/unsubscribe-token.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { loadConfig } from "../../src/platform/config.ts";
import { createMac } from "../../src/platform/mac.ts";
import { readUnsubscribeKey } from "../../src/postgres/secret-store.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { previewCopy, type PreviewedCopy } from "../../src/preflight/preview-copy.ts";
import { sendTestCopies } from "../../src/preflight/send-test-copies.ts";
import { insertCampaign, listRecipients, makeRecipients } from "../rig/campaign-list.ts";
import { startLane } from "../rig/lane.ts";
import { booksOf, until } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

const PLACES = { publicUrl: "https://mail.shop.example", returnsDomain: "returns.shop.example" };
const SETTINGS = {
  ...loadConfig({ cwd: "/nonexistent", env: {}, hostname: "test.example" }),
  from: "Shop <shop@shop.example>",
  ...PLACES,
};
const TEMPLATE = {
  from: "News <news@news.example>",
  reply_to: "Desk <desk@news.example>",
  subject: "Grüße, {{ first_name }}",
  text: "Hello {{ first_name }}!\n{{ unsubscribe_url }}\n",
  html: '<p>Hällo {{ first_name }}! <a href="{{ unsubscribe_url }}">Unsubscribe</a></p>',
  headers: { "X-Name": "{{ first_name }}" },
  attachments: [{ filename: "a.txt", bytes: 5 }],
};

async function campaignOf(pool: Pool, status: "running" | "draft"): Promise<CampaignRow> {
  const id = await insertCampaign(pool, { name: "news", lane: "bulk", status, template: TEMPLATE, list: "weekly" });
  await pool.query(
    "INSERT INTO postlane.attachment (content_id, place, octets) SELECT content_id, 1, 'hello' FROM postlane.campaign WHERE id = $1",
    [id],
  );
  return await find(pool, id);
}

async function find(pool: Pool, id: CampaignId): Promise<CampaignRow> {
  return (await findCampaign(pool, "", id))!;
}

const PEOPLE = `SELECT n, 'p' || n || '@d' || n || '.example', json_build_object('first_name', 'Ann ' || n || ' é')
  FROM generate_series(1, 5) AS n`;

async function listed(pool: Pool, id: CampaignId): Promise<void> {
  await inTransaction(pool, (client) => listRecipients(client, id, PEOPLE));
}

const portsOf = (pool: Pool) => ({ pool, clock: systemClock, settings: SETTINGS });

async function previewOf(pool: Pool, campaign: CampaignRow, address: string): Promise<PreviewedCopy> {
  const answer = await previewCopy(portsOf(pool), campaign, { kind: "address", address });
  assert.equal(answer.kind, "copy");
  return answer.kind === "copy" ? answer.copy : assert.fail();
}

/** What only a message has, of whichever copy. */
function comparable(raw: string): string {
  const boundaries = [...raw.matchAll(/boundary="([^"]+)"/g)].map(([, one]) => one!);
  const bare = boundaries.reduce((text, one, place) => text.replaceAll(one, `BOUNDARY${place}`), raw);
  return bare
    .replace(/^Date: .*$/m, "Date: D")
    .replace(/^Message-ID: .*$/m, "Message-ID: M")
    .replaceAll(/(\/u\/|u\+)[a-z2-7-]{24}/g, "$1TOKEN")
    .replaceAll(/=\r\n/g, "");
}

test("a preview is what goes on the wire", { timeout: 60_000 }, async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const sink = await startScriptedSink(t);
  const campaign = await campaignOf(pool, "running");
  await inTransaction(pool, (client) => makeRecipients(client, campaign.id, PEOPLE));
  const mac = createMac(await readUnsubscribeKey(pool));
  const lists = createListLines({ ...PLACES, mac, readCampaign: (id) => readListOfCampaign(pool, id) });
  await startLane(t, { database, relay: sink, lane: { name: "bulk" }, lists });
  await until("all are there", () => sink.accepted.length === 5);
  for (const { content, recipients } of sink.accepted) {
    const copy = await previewOf(pool, campaign, recipients[0]!);
    assert.equal(comparable(copy.raw), comparable(content.toString("utf8")));
    assert.equal(copy.line, Number(/^p(\d)@/.exec(recipients[0]!)![1]));
  }
});

test("a preview has an address to unsubscribe by that is nobody's, and says what a reader sees", async (t) => {
  const { pool } = await testDatabase(t);
  const campaign = await campaignOf(pool, "draft");
  await listed(pool, campaign.id);
  const copy = await previewOf(pool, campaign, "P2@d2.example");
  assert.equal(copy.recipient, "p2@d2.example");
  assert.equal(copy.subject, "Grüße, Ann 2 é");
  assert.equal(copy.reply_to, "Desk <desk@news.example>");
  assert.equal(copy.text, "Hello Ann 2 é!\nhttps://mail.shop.example/u/preview-no-working-token\n");
  assert.match(copy.html!, /<p>Hällo Ann 2 é!/);
  assert.ok(copy.headers.some((field) => field.startsWith("List-Unsubscribe: <https://mail.shop.example/u/preview-")));
  const mac = createMac(await readUnsubscribeKey(pool));
  assert.equal(readUnsubscribeToken("preview-no-working-token", mac), undefined);
  assert.equal(readUnsubscribeToken("test-copy-no-unsubscribe", mac), undefined);
  const first = await previewCopy(portsOf(pool), campaign, { kind: "first" });
  assert.equal(first.kind === "copy" && first.copy.recipient, "p1@d1.example");
  const third = await previewCopy(portsOf(pool), campaign, { kind: "line", line: 3 });
  assert.equal(third.kind === "copy" && third.copy.recipient, "p3@d3.example");
  assert.deepEqual(await previewCopy(portsOf(pool), campaign, { kind: "line", line: 9 }), { kind: "not_found" });
});

test("test copies arrive marked, and change nothing of the campaign", { timeout: 60_000 }, async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const sink = await startScriptedSink(t);
  const campaign = await campaignOf(pool, "draft");
  await listed(pool, campaign.id);
  const before = await booksOf(pool, campaign.id);
  const wish = { to: "me@office.example", door: "cli", credential: "cli" } as const;
  const answer = await sendTestCopies(portsOf(pool), campaign, { ...wish, recipients: ["p4@d4.example"] });
  assert.equal(answer.kind, "sent");
  const mac = createMac(await readUnsubscribeKey(pool));
  const lists = createListLines({ ...PLACES, mac, readCampaign: (id) => readListOfCampaign(pool, id) });
  await startLane(t, { database, relay: sink, lane: { name: "bulk" }, lists });
  await until("it is there", () => sink.accepted.some(({ recipients }) => recipients[0] === "me@office.example"));
  const mine = sink.accepted.find(({ recipients }) => recipients[0] === "me@office.example")!;
  const mail = mine.content.toString("utf8").replaceAll(/(?<=\w)=\r\n/g, "");
  assert.match(mail, /^X-Postlane-Test: cmp_\d+ for p4@d4\.example\r$/m);
  assert.match(mail, /^To: me@office\.example\r$/m);
  assert.equal((await simpleParser(mine.content)).subject, "[Test] Grüße, Ann 4 é");
  assert.match(mail, /^List-Unsubscribe: <https:\/\/mail\.shop\.example\/u\/test-copy-no-unsubscribe>/m);
  assert.match(mail, /^List-Id: weekly <weekly\.news\.example>\r$/m);
  assert.equal(mail.match(/List-Unsubscribe:/g)!.length, 1);
  assert.match(mail, /filename=a\.txt|filename="a\.txt"/);
  const tokens = [...mail.matchAll(/\/u\/([a-z2-7-]{24})/g)].map(([, token]) => token);
  assert.ok(tokens.length >= 1 && tokens.every((token) => token === "test-copy-no-unsubscribe"), String(tokens));
  assert.deepEqual(await booksOf(pool, campaign.id), before);
  const { rows } = await pool.query("SELECT metadata, door FROM postlane.submission");
  assert.deepEqual(rows, [{ metadata: { test_of: `cmp_${campaign.id}`, recipient: "p4@d4.example" }, door: "cli" }]);
  assert.equal((await find(pool, campaign.id)).status, "draft");
});

test("tests go to the first three, or to nobody when one is not on the list", async (t) => {
  const { pool } = await testDatabase(t);
  const campaign = await campaignOf(pool, "draft");
  const wish = { to: "me@office.example", door: "cli", credential: "cli" } as const;
  assert.deepEqual(await sendTestCopies(portsOf(pool), campaign, wish), { kind: "empty" });
  await listed(pool, campaign.id);
  const sent = await sendTestCopies(portsOf(pool), campaign, wish);
  const who = sent.kind === "sent" ? sent.copies.map(({ recipient }) => recipient) : [];
  assert.deepEqual(who, ["p1@d1.example", "p2@d2.example", "p3@d3.example"]);
  const named = (recipients: readonly string[]) => sendTestCopies(portsOf(pool), campaign, { ...wish, recipients });
  const missing = { kind: "not_found", recipients: ["no@body.example"] };
  assert.deepEqual(await named(["p1@d1.example", "no@body.example"]), missing);
  const many = Array.from({ length: 21 }, (_, n) => `p${n}@d.example`);
  assert.deepEqual(await named(many), { kind: "too_many", max: 20 });
  const { rows } = await pool.query("SELECT count(*)::integer AS n FROM postlane.submission");
  assert.equal(rows[0].n, 3);
});
