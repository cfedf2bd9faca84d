// Every field of an email, refused for everything that can be wrong with it: the SQLSTATE that programs look at, and a
// hint that says what to do.

import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { acceptSubmission } from "../../src/submission/accept-submission.ts";
import { testDatabase } from "../rig/postgres.ts";

const good = { to: "ann@example.com", subject: "Hello", text: "Hello Ann" };
const tenMegabytes = "x".repeat(10_485_760);
const manyMailboxes = (n: number): readonly string[] =>
  Array.from({ length: n }, (_, index) => `a${index}@example.com`);

const attachment = { filename: "a.txt", content: "YQ==" };
/** Behind one that is right. */
const attached = (changes: object): object => ({ ...good, attachments: [attachment, { ...attachment, ...changes }] });

type Refusal = readonly [what: string, email: unknown, code: string, message: RegExp];

const REFUSALS: readonly Refusal[] = [
  ["an email that is a list", [], "PL001", /an email is a JSON object/],
  ["an email that is a text", "hello", "PL001", /an email is a JSON object/],
  ["an unknown field", { ...good, recipient: "x" }, "PL001", /unknown field "recipient"/],
  ["no to", { text: "x" }, "PL002", /"to" is missing/],
  ["an empty to", { ...good, to: [] }, "PL002", /"to" is missing/],
  ["a to of null", { ...good, to: null }, "PL002", /"to" is missing/],
  ["a to that is a number", { ...good, to: 5 }, "PL001", /"to" must be a string or a list of strings/],
  ["a to with a number in it", { ...good, to: ["a@example.com", 5] }, "PL001", /"to" must be a string or a list/],
  ["a to with a list in it", { ...good, to: ["a@example.com", ["b@example.com"]] }, "PL001", /"to" must be a string/],
  ["a to that is no address", { ...good, to: "ann" }, "PL002", /field "to": 'ann' is not an address: no @/],
  [
    "a bad address in a list",
    { ...good, to: ["a@example.com", "b@x"] },
    "PL002",
    /'b@x' is not an address: the domain/,
  ],
  ["an address with a line break", { ...good, to: "a@example.com\nBcc: b@example.com" }, "PL002", /not an address/],
  ["a name with a line break", { ...good, to: "A\r\nB <a@example.com>" }, "PL002", /a control character/],
  ["too many recipients in to", { ...good, to: manyMailboxes(51) }, "PL004", /51 mailboxes, at most 50/],
  ["too many recipients together", { ...good, to: manyMailboxes(50), cc: "b@example.com" }, "PL004", /51 recipients/],
  ["a bad cc", { ...good, cc: "x" }, "PL002", /field "cc"/],
  ["a bad bcc", { ...good, bcc: ["x"] }, "PL002", /field "bcc"/],
  ["a bad reply_to", { ...good, reply_to: "x" }, "PL002", /field "reply_to"/],
  ["a bad from", { ...good, from: "Shop" }, "PL002", /field "from"/],
  ["an empty from", { ...good, from: "" }, "PL002", /field "from": '' is not an address: no address/],
  ["two senders", { ...good, from: ["a@example.com", "b@example.com"] }, "PL004", /2 mailboxes, at most 1/],
  ["a from that is an object", { ...good, from: {} }, "PL001", /"from" must be a string/],
  ["no body", { to: "ann@example.com", subject: "x" }, "PL001", /neither "text" nor "html"/],
  ["a text that is a number", { ...good, text: 1 }, "PL001", /"text" must be a string, not number/],
  ["an html that is a list", { ...good, html: [] }, "PL001", /"html" must be a string, not array/],
  ["a subject that is an object", { ...good, subject: {} }, "PL001", /"subject" must be a string, not object/],
  ["a subject with a line break", { ...good, subject: "a\nBcc: x" }, "PL001", /"subject" holds a control character/],
  ["a subject that is too long", { ...good, subject: "x".repeat(999) }, "PL004", /more than 998 characters/],
  ["headers that are a list", { ...good, headers: [] }, "PL001", /"headers" must be an object/],
  ["a header of Postlane's own", { ...good, headers: { "Message-ID": "x" } }, "PL001", /written by Postlane/],
  ["a header that is MIME's", { ...good, headers: { "content-type": "x" } }, "PL001", /written by Postlane/],
  ["a header name with a colon", { ...good, headers: { "a:b": "x" } }, "PL001", /'a:b' is not a header name/],
  ["a header with a line break", { ...good, headers: { "X-A": "a\r\nBcc: b" } }, "PL001", /control characters/],
  ["a header that is a number", { ...good, headers: { "X-A": 1 } }, "PL001", /not a string/],
  ["a header that is too long", { ...good, headers: { "X-A": "x".repeat(2001) } }, "PL004", /more than 2000/],
  [
    "too many headers",
    { ...good, headers: Object.fromEntries(manyMailboxes(51).map((_, n) => [`X-${n}`, "x"])) },
    "PL004",
    /50/,
  ],
  ["attachments that are an object", { ...good, attachments: {} }, "PL001", /"attachments" must be a list of objects/],
  ["an attachment that is a text", { ...good, attachments: ["x"] }, "PL001", /"attachments" must be a list of objects/],
  ["an attachment without a name", attached({ filename: null }), "PL001", /attachments\[1\]\.filename: must be/],
  ["an attachment with an empty name", attached({ filename: "" }), "PL001", /attachments\[1\]\.filename: has 0/],
  ["a file name that is too long", attached({ filename: "x".repeat(256) }), "PL001", /filename: has 256 characters/],
  ["a file name with a line break", attached({ filename: "a\r\nb" }), "PL001", /filename: holds a control character/],
  ["an attachment without content", attached({ content: null }), "PL001", /attachments\[1\]\.content: must be/],
  ["content that is no base64", attached({ content: "AA=" }), "PL001", /attachments\[1\]\.content: not base64/],
  ["content in base64url", attached({ content: "_-8=" }), "PL001", /attachments\[1\]\.content: not base64/],
  ["an attachment to be fetched", attached({ path: "https://x.example/" }), "PL001", /\.path: nothing is fetched/],
  ["an attachment with an unknown field", attached({ name: "x" }), "PL001", /attachments\[1\]: unknown field "name"/],
  ["a content type that is none", attached({ content_type: "pdf" }), "PL001", /\.content_type: not of the form/],
  ["a content type that is a number", attached({ content_type: 1 }), "PL001", /\.content_type: must be a string/],
  ["a content type with a line break", attached({ content_type: 'a/b; c="\n"' }), "PL001", /\.content_type: not of/],
  ["a content type with a backslash", attached({ content_type: 'a/b; c="\\"' }), "PL001", /\.content_type: not of/],
  ["a content type that is too long", attached({ content_type: `a/${"b".repeat(254)}` }), "PL001", /more than 255/],
  ["a message as an attachment", attached({ content_type: "Message/RFC822" }), "PL001", /may not be in base64/],
  ["a content id with brackets", attached({ content_id: "<logo>" }), "PL001", /\.content_id: not 1 to 128/],
  ["a content id that is too long", attached({ content_id: "x".repeat(129) }), "PL001", /\.content_id: not 1 to 128/],
  [
    "a content id given twice",
    { ...good, attachments: [attachment, attachment].map((each) => ({ ...each, content_id: "logo" })) },
    "PL001",
    /attachments\[1\]\.content_id: another attachment has it/,
  ],
  ["too many attachments", { ...good, attachments: Array(51).fill(attachment) }, "PL004", /51 attachments, at most 50/],
  [
    "attachments that are too large together",
    { ...good, attachments: Array(3).fill({ ...attachment, content: Buffer.alloc(3_495_254).toString("base64") }) },
    "PL004",
    /more than 10485760 bytes/,
  ],
  ["tags that are an object", { ...good, tags: {} }, "PL001", /"tags" must be a list/],
  ["a tag without a value", { ...good, tags: [{ name: "a" }] }, "PL001", /"tags" must be a list/],
  ["a tag with a space", { ...good, tags: [{ name: "a", value: "b c" }] }, "PL001", /"tags" must be a list/],
  ["a bad tag behind a good one", { ...good, tags: [{ name: "a", value: "b" }, 5] }, "PL001", /"tags" must be a list/],
  ["a tag that is too long", { ...good, tags: [{ name: "a", value: "b".repeat(257) }] }, "PL004", /more than 256/],
  ["too many tags", { ...good, tags: manyMailboxes(51).map(() => ({ name: "a", value: "b" })) }, "PL004", /51 tags/],
  ["metadata that is a text", { ...good, metadata: "x" }, "PL001", /"metadata" must be an object/],
  ["an unknown lane", { ...good, lane: "express" }, "PL003", /no lane 'express'/],
  ["a lane that is a number", { ...good, lane: 1 }, "PL001", /"lane" must be a string/],
  ["a time without a zone", { ...good, scheduled_at: "2027-01-31T09:00:00" }, "PL006", /is not a time/],
  ["a time in words", { ...good, scheduled_at: "tomorrow" }, "PL006", /'tomorrow' is not a time/],
  ["a time that never comes", { ...good, scheduled_at: "infinity" }, "PL006", /'infinity' is not a time/],
  ["a month that is none", { ...good, scheduled_at: "2027-13-01T00:00:00Z" }, "PL006", /is not a time/],
  ["a zone that is none", { ...good, scheduled_at: "2027-01-01T00:00:00+99:00" }, "PL006", /is not a time/],
  ["a year of five digits", { ...good, scheduled_at: "12999-01-01T00:00:00Z" }, "PL006", /is not a time/],
  [
    "an end before the beginning",
    { ...good, expires_at: "2001-01-01T00:00:00Z" },
    "PL006",
    /not after the time of sending/,
  ],
  ["an end that is a number", { ...good, expires_at: 1 }, "PL001", /"expires_at" must be a string/],
  ["an empty idempotency key", { ...good, idempotency_key: "" }, "PL004", /has 0 characters/],
  ["a long idempotency key", { ...good, idempotency_key: "x".repeat(257) }, "PL004", /has 257 characters/],
  ["an idempotency key with a tab", { ...good, idempotency_key: "a\tb" }, "PL001", /control character/],
  ["an email that is too large", { ...good, html: tenMegabytes }, "PL004", /bytes, at most 10485760/],
];

test("an email is refused for", async (t) => {
  const { pool } = await testDatabase(t);
  for (const [what, email, code, message] of REFUSALS) {
    await t.test(what, async () => {
      const error = await refusalOf(pool, JSON.stringify(email));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      assert.ok((error.hint ?? "").length > 5, "it has a hint");
      assert.deepEqual(await counts(pool), [0, 0, 0, 0], "nothing is left behind");
    });
  }
});

test("every field may be null, and a large email that the database keeps compressed is measured in full", async (t) => {
  const { pool } = await testDatabase(t);
  const nulls = Object.fromEntries(
    ["from", "cc", "bcc", "reply_to", "html", "headers", "tags", "lane", "scheduled_at", "expires_at", "metadata"]
      .concat("attachments")
      .concat("subject", "idempotency_key")
      .map((field) => [field, null]),
  );
  await pool.query("SELECT postlane.enqueue($1)", [JSON.stringify({ ...good, ...nulls })]);
  const { rows } = await pool.query("SELECT body FROM postlane.content");
  assert.deepEqual(rows[0].body, { to: ["ann@example.com"], text: "Hello Ann" });

  await pool.query("CREATE TABLE outbox (email jsonb)");
  await pool.query("INSERT INTO outbox VALUES ($1)", [JSON.stringify({ ...good, html: tenMegabytes })]);
  await assert.rejects(pool.query("SELECT postlane.enqueue(email) FROM outbox"), { code: "PL004" });
});

test("a submission through a door of ours is refused as a value", async (t) => {
  const { pool } = await testDatabase(t);
  const answer = await acceptSubmission(pool, {
    kind: "email",
    email: { to: "ann", text: "x" },
    door: "http",
    credential: "key:1",
  });
  assert.deepEqual(answer, {
    kind: "refused",
    code: "PL002",
    message: `field "to": 'ann' is not an address: no @`,
    hint: 'Give "local@domain" or "Name <local@domain>".',
    field: "to",
  });
});

async function refusalOf(pool: pg.Pool, email: string): Promise<pg.DatabaseError> {
  const error: unknown = await pool.query("SELECT postlane.enqueue($1)", [email]).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof pg.DatabaseError, "it was not refused");
  return error;
}

async function counts(pool: pg.Pool): Promise<readonly number[]> {
  const { rows } = await pool.query({
    text: `SELECT (SELECT count(*) FROM postlane.content), (SELECT count(*) FROM postlane.message),
       (SELECT count(*) FROM postlane.queue), (SELECT count(*) FROM postlane.balance_delta)`,
    rowMode: "array",
  });
  return rows[0] as number[];
}
