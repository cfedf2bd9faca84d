// Attachments by every door, through the queue and a dispatcher to a relay: read back as they were given by a program that
// nobody here wrote, stored once for fifty recipients, and never lost for want of memory.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import PostalMime from "postal-mime";
import { Resend } from "resend";
import { createClient } from "../../src/client/client.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createAcceptance } from "../../src/submission/accept-submission.ts";
import type { EmailAttachment } from "../../src/submission/submission.ts";
import { startLane } from "../rig/lane.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";
import { suppress } from "../rig/suppressing.ts";
import { readAttachments } from "../rig/read-attachments.ts";
import { runCommand } from "./cli-command.ts";
import { startHttp } from "./http-rig.ts";

const OCTETS = Buffer.from(Uint8Array.from({ length: 40_000 }, (_, at) => at * 131 + (at >> 8)));
const LOGO = Buffer.from("89504e470d0a1a0a", "hex");

test("POST /emails to fifty: each gets all of it, and it is stored once", async (t) => {
  const rig = await startHttp(t);
  const sink = await startScriptedSink(t);
  const to = Array.from({ length: 50 }, (_, n) => `ann${n}@example.com`);
  const email = {
    to,
    subject: "Ihre Rechnung",
    text: "Thank you",
    html: '<img src="cid:logo"><p>Thank you',
    tags: [{ name: "kind", value: "receipt" }],
    attachments: [
      { filename: "Rechnung für Zoë – 请.bin", content: OCTETS.toString("base64") },
      { filename: "logo.png", content: LOGO.toString("base64"), content_id: "logo", content_type: null },
      { filename: "empty.txt", content: "" },
    ],
  };
  const answer = await rig.ask("POST", "/emails", { key: await rig.key(), body: email });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.deepEqual(await stored(rig), [
    { place: 1, octets: OCTETS },
    { place: 2, octets: LOGO },
    { place: 3, octets: Buffer.alloc(0) },
  ]);
  const { rows } = await rig.pool.query("SELECT body -> 'attachments' AS said FROM postlane.content");
  assert.deepEqual(rows[0].said, [
    { filename: "Rechnung für Zoë – 请.bin", bytes: 40_000 },
    { filename: "logo.png", content_id: "logo", bytes: 8 },
    { filename: "empty.txt", bytes: 0 },
  ]);

  await startLane(t, { database: rig, relay: sink });
  await until("all fifty are there", () => sink.accepted.length === 50);
  assert.deepEqual(sink.accepted.flatMap(({ recipients }) => recipients).toSorted(), to.toSorted());
  for (const { content } of sink.accepted) {
    const mail = await PostalMime.parse(content, { attachmentEncoding: "arraybuffer" });
    assert.deepEqual([mail.subject, mail.text?.trim()], ["Ihre Rechnung", "Thank you"]);
    assert.deepEqual(readAttachments(mail), [
      ["logo.png", "image/png", "inline", "<logo>", LOGO.toString("hex")],
      ["Rechnung für Zoë – 请.bin", "application/octet-stream", "attachment", undefined, OCTETS.toString("hex")],
      ["empty.txt", "text/plain", "attachment", undefined, ""],
    ]);
    const header = (name: string) => mail.headers.find(({ key }) => key === name)?.value;
    assert.equal(header("auto-submitted"), "auto-generated");
    assert.equal(header("feedback-id"), "receipt::transactional:shop-example");
  }
  assert.deepEqual(sink.breaches, []);
});

test("the client, Resend's SDK and the command line attach the same", async (t) => {
  const rig = await startHttp(t);
  const sink = await startScriptedSink(t);
  const key = await rig.key();
  const file = path.join(rig.dataDir, "größe.csv");
  writeFileSync(file, "a;b\n1;2\n");
  const octets = Buffer.from("a;b\n1;2\n");
  const email = { subject: "Report", text: "See there" };

  await createClient({ baseUrl: rig.url, key }).send({
    ...email,
    to: "client@example.com",
    attachments: [{ filename: "größe.csv", content: new Uint8Array(octets) }],
  });
  const items = await createClient({ baseUrl: rig.url, key }).sendBatch([
    { ...email, to: "batch@example.com", attachments: [{ filename: "größe.csv", content: octets.toString("base64") }] },
    { ...email, to: "refused@example.com", attachments: [{ filename: "a\nb", content: octets }] },
  ]);
  assert.deepEqual(
    items.map((item) => (item.kind === "accepted" ? "accepted" : [item.error.code, item.error.field])),
    ["accepted", ["bad_field", "attachments"]],
  );
  const { error } = await new Resend(key, { baseUrl: rig.url }).emails.send({
    ...email,
    from: "Shop <shop@example.com>",
    to: "resend@example.com",
    attachments: [{ filename: "größe.csv", content: octets }],
  });
  assert.equal(error, null);
  const sent = await runCommand(
    rig,
    ["send", "--to", "cli@example.com", "--subject", "Report", "--text", "See there"].concat("--attach", file),
  );
  assert.equal(sent.exitCode, 0, sent.stderr);

  await startLane(t, { database: rig, relay: sink });
  await until("all are there", () => sink.accepted.length === 4);
  for (const { content } of sink.accepted) {
    const mail = await PostalMime.parse(content, { attachmentEncoding: "arraybuffer" });
    assert.deepEqual(readAttachments(mail), [
      ["größe.csv", "text/csv", "attachment", undefined, octets.toString("hex")],
    ]);
  }
});

test("what cannot be attached by the command line is said", async (t) => {
  const database = await testDatabase(t);
  const send = ["send", "--to", "ann@example.com", "--subject", "x", "--text", "x", "--attach"];
  for (const [file, what] of [
    ["missing.pdf", /--attach missing\.pdf: it cannot be read: ENOENT/],
    [".", /--attach \.: this is no file/],
  ] as const) {
    const { exitCode, stderr } = await runCommand(database, [...send, file]);
    assert.equal(exitCode, 2);
    assert.match(stderr, what);
  }
});

test("the same key queues nothing twice, other octets are another email, and a refused one leaves nothing", async (t) => {
  const { pool } = await testDatabase(t);
  const attachments = [{ filename: "a.bin", content: "AAAA" }];
  const email = { to: "ann@example.com", text: "x", attachments, idempotency_key: "one" };
  const enqueue = async (given: object) => await pool.query("SELECT postlane.enqueue($1)", [JSON.stringify(given)]);
  await enqueue(email);
  await enqueue(email);
  await assert.rejects(enqueue({ ...email, attachments: [{ filename: "a.bin", content: "AAAB" }] }), { code: "PL005" });
  await pool.query("UPDATE postlane.lane SET full_because = 'test'");
  await assert.rejects(enqueue({ ...email, idempotency_key: "two" }), { code: "PL009" });
  const { rows } = await pool.query("SELECT count(*) AS n FROM postlane.attachment");
  assert.equal(rows[0].n, 1);
});

test("one suppressed recipient takes no attachment from the others", async (t) => {
  const database = await testDatabase(t);
  await suppress(database.pool, "bob@example.com", { scope: { kind: "everything" } });
  const email = {
    to: ["ann@example.com", "bob@example.com"],
    text: "x",
    attachments: [{ filename: "a.bin", content: OCTETS.toString("base64") }],
  };
  await database.pool.query("SELECT postlane.enqueue($1)", [JSON.stringify(email)]);
  const sink = await startScriptedSink(t);
  await startLane(t, { database, relay: sink });
  await until("Ann's is there", () => sink.accepted.length === 1);
  const mail = await PostalMime.parse(sink.accepted[0]!.content, { attachmentEncoding: "arraybuffer" });
  assert.deepEqual(readAttachments(mail), [
    ["a.bin", "application/octet-stream", "attachment", undefined, OCTETS.toString("hex")],
  ]);
});

test("nobody waits behind a large one: it is written apart", async (t) => {
  const { pool } = await testDatabase(t);
  const acceptance = createAcceptance(pool, systemClock, new Set());
  const submit = async (attachments?: readonly EmailAttachment[]) =>
    await acceptance.accept({
      kind: "email",
      door: "http",
      credential: "key:1",
      email: { to: "ann@example.com", text: "x", ...(attachments === undefined ? {} : { attachments }) },
    });
  const blocker = await pool.connect();
  await blocker.query("BEGIN; LOCK TABLE postlane.attachment IN ACCESS EXCLUSIVE MODE");
  let isLargeAccepted = false;
  const large = submit([{ filename: "a.bin", content: Buffer.alloc(300_000).toString("base64") }]);
  void large.then(() => (isLargeAccepted = true));
  assert.equal((await submit()).kind, "accepted");
  assert.equal(isLargeAccepted, false);
  await blocker.query("ROLLBACK");
  blocker.release();
  assert.equal((await large).kind, "accepted");
});

test("more than memory holds goes out all the same, and nothing is held", async (t) => {
  const database = await testDatabase(t);
  const sink = await startScriptedSink(t);
  const size = 50_000;
  const emails = 12;
  for (let n = 0; n < emails; n++) {
    const content = Buffer.alloc(size, 65 + n).toString("base64");
    const email = { to: `ann${n}@example.com`, text: "x", attachments: [{ filename: "a.bin", content }] };
    await database.pool.query("SELECT postlane.enqueue($1)", [JSON.stringify(email)]);
  }
  // Two find room at a time.
  const lane = await startLane(t, { database, relay: sink, attachmentCacheBytesMax: 2.5 * size * (78 / 57) });
  await until("all are there", () => sink.accepted.length === emails);
  for (const { recipients, content } of sink.accepted) {
    const n = Number(/\d+/.exec(recipients[0]!)![0]);
    const base64 = content.subarray(content.lastIndexOf("\r\n\r\n") + 4, content.lastIndexOf("\r\n--"));
    const octets = Buffer.from(base64.toString("latin1"), "base64");
    assert.ok(octets.equals(Buffer.alloc(size, 65 + n)), `${octets.length} octets to ${recipients[0]}`);
  }
  await lane.drain();
  const { rows } = await database.pool.query("SELECT count(*) AS n FROM postlane.queue");
  assert.equal(rows[0].n, 0);
});

async function stored({ pool }: TestDatabase): Promise<readonly object[]> {
  const { rows } = await pool.query("SELECT place, octets FROM postlane.attachment ORDER BY content_id, place");
  return rows;
}
