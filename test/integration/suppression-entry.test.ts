// Who is on the suppression list is asked at entry, by every door: the submission is accepted as any other, and its message
// is settled as suppressed at once, with a story that says why, in the books and told to webhooks; no dispatcher sees it.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "pg";
import { createWebhook } from "../../src/events/webhook-store.ts";
import type { MessageId } from "../../src/mail/ids.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { makeRecipients } from "../rig/campaign-list.ts";
import { addRecipient, booksOf, createCampaign, enqueue, queueRow, storyOf, watchBooks } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { suppress } from "../rig/suppressing.ts";
import { startHttp } from "./http-rig.ts";
import { openDoor, Talk } from "./smtp-rig.ts";

async function isSuppressed(pool: Pool, id: MessageId): Promise<boolean> {
  const story = await storyOf(pool, id);
  const isSettled = story.length === 1 && story[0]!.kind === "suppressed";
  assert.equal((await queueRow(pool, id)) === undefined, isSettled, "settled, or a row of the queue");
  return isSettled;
}

test("by SQL: accepted, settled at once, with the reason, in the books and told to webhooks", async (t) => {
  const { pool } = await testDatabase(t);
  const books = watchBooks(pool);
  const hook = { url: "https://example.com/", name: undefined, lanes: undefined, secret: Buffer.alloc(24) };
  await createWebhook(pool, { ...hook, kinds: ["suppressed"] });
  await suppress(pool, "Ann@Example.COM", { scope: { kind: "everything" }, source: "letter of 3 May" });
  const ann = await enqueue(pool, { to: "aNN@example.com" });
  const bob = await enqueue(pool, { to: "bob@example.com" });
  assert.equal(await queueRow(pool, ann), undefined);
  assert.equal((await queueRow(pool, bob))?.state, "queued");
  const [event] = await storyOf(pool, ann);
  assert.equal(event!.kind, "suppressed");
  assert.match(
    event!.reply!,
    /^the address is on the suppression list for everything since \d{4}-\d\d-\d\d: manual, by letter of 3 May$/,
  );
  assert.deepEqual(await booksOf(pool), { suppressed: 1, queued: 1 });
  const told = await pool.query("SELECT message_id, kind, attempt FROM postlane.webhook_delivery");
  assert.deepEqual(told.rows, [{ message_id: ann, kind: "suppressed", attempt: 0 }]);
  await books.stop();
});

test("of several recipients only who is suppressed gets nothing; once by an address, once by its domain", async (t) => {
  const { pool } = await testDatabase(t);
  await suppress(pool, "@closed.example", { scope: { kind: "everything" } });
  await suppress(pool, "cy@open.example", { scope: { kind: "everything" } });
  const to = ["ann@open.example", "bob@CLOSED.example", "Cy@open.example", "dan@sub.closed.example"];
  await pool.query("SELECT postlane.enqueue($1)", [JSON.stringify({ to, text: "Hello" })]);
  const { rows } = await pool.query(
    `SELECT m.recipient, e.reply FROM postlane.message AS m JOIN postlane.event AS e ON e.message_id = m.id ORDER BY 1`,
  );
  assert.deepEqual(
    rows.map(({ recipient }) => recipient),
    ["Cy@open.example", "bob@CLOSED.example"],
  );
  assert.match(rows[1].reply, /^the domain is on the suppression list/);
  assert.deepEqual(await booksOf(pool), { suppressed: 2, queued: 2 });
  await watchBooks(pool).stop();
});

test("bulk holds for bulk lanes, a list for mail of that list, and what is over for nothing", async (t) => {
  const { pool } = await testDatabase(t);
  await suppress(pool, "bulk@example.com");
  await suppress(pool, "list@example.com", { scope: { kind: "list", list: "news" } });
  await suppress(pool, "over@example.com", { scope: { kind: "everything" }, days: 1 });
  await pool.query("UPDATE postlane.suppression SET expires_at = now() WHERE address = 'over@example.com'");
  assert.equal(await isSuppressed(pool, await enqueue(pool, { to: "bulk@example.com" })), false);
  assert.equal(await isSuppressed(pool, await enqueue(pool, { to: "bulk@example.com", lane: "bulk" })), true);
  assert.equal(await isSuppressed(pool, await enqueue(pool, { to: "over@example.com", lane: "bulk" })), false);
  assert.equal(await isSuppressed(pool, await enqueue(pool, { to: "list@example.com", lane: "bulk" })), false);
  const news = await createCampaign(pool, { name: "May" });
  const other = await createCampaign(pool, { name: "June" });
  await pool.query("UPDATE postlane.campaign SET list = 'news' WHERE id = $1", [news]);
  assert.equal(await isSuppressed(pool, await addRecipient(pool, news, "list@example.com")), true);
  assert.equal(await isSuppressed(pool, await addRecipient(pool, other, "list@example.com")), false);
  assert.deepEqual(await booksOf(pool, news), { suppressed: 1 });
  await watchBooks(pool).stop();
});

test("what is scheduled for after the end of a suppression is not settled by it", async (t) => {
  const { pool } = await testDatabase(t);
  await suppress(pool, "ann@example.com", { scope: { kind: "everything" }, days: 90 });
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
  const later = await enqueue(pool, { to: "ann@example.com", scheduled_at: inDays(100) });
  const sooner = await enqueue(pool, { to: "ann@example.com", scheduled_at: inDays(80) });
  assert.equal((await queueRow(pool, later))?.state, "scheduled");
  assert.equal(await isSuppressed(pool, sooner), true);
});

test("a chunk of a list leaves out whoever is suppressed, and still counts them as its own", async (t) => {
  const { pool } = await testDatabase(t);
  const books = watchBooks(pool);
  for (const n of [3, 7]) await suppress(pool, `user${n}@example.com`);
  await suppress(pool, "@gone.example");
  const id = await createCampaign(pool, { name: "May" });
  const added = await inTransaction(pool, (client) =>
    makeRecipients(
      client,
      id,
      `SELECT n, 'User' || n || CASE n % 2 WHEN 1 THEN '@Example.com' ELSE '@gone.example' END, '{}'::json
       FROM generate_series(1, 10) AS n`,
    ),
  );
  assert.equal(added, 10);
  assert.deepEqual(await booksOf(pool, id), { queued: 3, suppressed: 7 });
  await books.stop();
});

test("by HTTP: the answer is as always, and the email shows what became of it", async (t) => {
  const rig = await startHttp(t);
  const key = await rig.key();
  await suppress(rig.pool, "ann@example.com", { scope: { kind: "everything" } });
  const body = { from: "shop@example.com", to: ["ann@example.com"], subject: "Hello", text: "Hello" };
  const accepted = await rig.ask("POST", "/emails", { key, body });
  assert.equal(accepted.status, 200, JSON.stringify(accepted.body));
  const email = await rig.ask("GET", `/emails/${accepted.body.id}`, { key });
  assert.equal(email.body.last_event, "suppressed");
  assert.equal(email.body.messages[0].status, "suppressed");
  assert.match(email.body.messages[0].events[0].reply, /suppression list for everything/);
});

test("by SMTP: 250 as always, and who is suppressed gets nothing", async (t) => {
  const { pool } = await testDatabase(t);
  await suppress(pool, "@closed.example", { scope: { kind: "everything" } });
  const { port } = await openDoor(t, pool);
  const talk = await Talk.with(port);
  const content = "From: Site <site@example.com>\r\nSubject: x\r\n\r\nHello\r\n";
  assert.match(await talk.mail(content, ["ann@example.com", "bob@closed.example"]), /^250 2\.0\.0 sub_\d+ queued$/);
  assert.match(await talk.mail(content, ["cy@closed.example"]), /^250 2\.0\.0 sub_\d+ queued$/);
  talk.end();
  assert.deepEqual(await booksOf(pool), { queued: 1, suppressed: 2 });
  await watchBooks(pool).stop();
});

test("a mail with several recipients, by SMTP's function: nobody waits for the success of what never goes", async (t) => {
  const { pool } = await testDatabase(t);
  await suppress(pool, "ann@example.com", { scope: { kind: "everything" } });
  const notify = { "ann@example.com": "SUCCESS", "bob@example.com": "SUCCESS" };
  const envelope = { to: Object.keys(notify), mail: { sender: "shop@example.com", notify } };
  await pool.query("SELECT postlane.accept_mail($1, $2, 'smtp', 'test')", [JSON.stringify(envelope), Buffer.from("x")]);
  const asked = await pool.query(
    "SELECT m.recipient FROM postlane.success_asked AS s JOIN postlane.message AS m ON m.id = s.message_id",
  );
  assert.deepEqual(asked.rows, [{ recipient: "bob@example.com" }]);
  assert.deepEqual(await booksOf(pool), { suppressed: 1, queued: 1 });
});

test("a domain beyond ASCII passes at entry in its own letters, and is known as on the wire", async (t) => {
  const { pool } = await testDatabase(t);
  await suppress(pool, "ann@bücher.example", { scope: { kind: "everything" } });
  assert.equal(await isSuppressed(pool, await enqueue(pool, { to: "ann@bücher.example" })), false);
  assert.equal(await isSuppressed(pool, await enqueue(pool, { to: "ann@XN--bcher-kva.example" })), true);
});
