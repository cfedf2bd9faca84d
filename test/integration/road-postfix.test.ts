// The whole road into a real Postfix that relays into a sink which keeps every message: each arrives under its own
// return path, also when recipients amid pipelined transactions are refused; and what arrives is what we wrote, octet by
// octet below the trace headers, and says what Nodemailer's rendering of the same mail says.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createTransport } from "nodemailer";
import PostalMime, { type Email } from "postal-mime";
import { startLane, type LaneOptions } from "../rig/lane.ts";
import { booksOf, enqueue, enqueueMany, storyOf, untilEmpty, watchBooks } from "../rig/lane-mail.ts";
import { needsPostfix, startPostfix } from "../rig/postfix.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startSmtpSink, type KeptMessage } from "../rig/smtp-sink.ts";

test("refused recipients amid pipelined mail: every other message arrives under its own return path", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const { pool } = database;
  const sink = await startSmtpSink(t, { keep: true });
  // Not 5.1.1: after two of them nothing would go to that address any more.
  const mainCf = {
    smtpd_recipient_restrictions:
      "check_recipient_access inline:{ {refused@shop.example = 550 5.7.1 not for you} }, permit",
  };
  const postfix = await startPostfix(t, { relayTo: sink, mainCf });
  const books = watchBooks(pool);
  const count = 60;
  const isRefused = (n: number): boolean => n % 10 === 5;
  await enqueueMany(
    pool,
    Array.from({ length: count }, (_, n) => ({
      from: `Sender ${n} <sender${n}@site${n}.example>`,
      to: isRefused(n) ? "refused@shop.example" : `user${n}@shop.example`,
    })),
  );
  // Few connections and more room than that: envelopes ride behind final dots.
  await startLane(t, { database, relay: postfix, openMax: 6, outlet: { connectionsMax: 2 } });
  await untilEmpty(pool);
  const bounced = count / 10;
  assert.deepEqual(await booksOf(pool), { sent: count - bounced, bounced });
  await sink.waitForCount(count - bounced, 30_000);
  const arrived = sink.kept().map(({ mailFrom, rcptTo }) => [mailFrom, ...rcptTo]);
  const expected = Array.from({ length: count }, (_, n) => n)
    .filter((n) => !isRefused(n))
    .map((n) => [`sender${n}@site${n}.example`, `user${n}@shop.example`]);
  assert.deepEqual(arrived.toSorted(byText), expected.toSorted(byText));
  const { rows } = await pool.query("SELECT id FROM postlane.message WHERE recipient = 'refused@shop.example'");
  for (const { id } of rows) assert.match((await storyOf(pool, id)).at(-1)?.reply ?? "", /550 5\.7\.1/);
  await books.stop();
});

const MAILS = 100;
const SEED = 20_261_123;

test("what we wrote arrives unchanged, and says what Nodemailer's mail says", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const { pool } = database;
  const sink = await startSmtpSink(t, { keep: true });
  const postfix = await startPostfix(t, { relayTo: sink });
  const mails = fc.sample(mail, { numRuns: MAILS, seed: SEED });
  const books = watchBooks(pool);

  const written = new Map<string, string>();
  const remember: LaneOptions["compose"] = (compose) => (row, wallMs) => {
    const composed = compose(row, wallMs);
    assert.ok(!("octets" in composed), "it is signed without a key");
    written.set(row.recipient, composed.content.text);
    return composed;
  };
  await startLane(t, { database, relay: postfix, openMax: 6, compose: remember });
  for (const [n, { subject, fromName, toName, text, html }] of mails.entries()) {
    const to = mailbox(toName, `ours${n}@shop.example`);
    await enqueue(pool, { from: mailbox(fromName, "shop@shop.example"), to, subject, ...bodies(text, html) });
  }
  const transport = createTransport({ host: postfix.host, port: postfix.port, pool: true, ignoreTLS: true });
  t.after(() => transport.close());
  for (const [n, { subject, fromName, toName, text, html }] of mails.entries()) {
    await transport.sendMail({
      from: { name: fromName, address: "shop@shop.example" },
      to: { name: toName, address: `theirs${n}@shop.example` },
      subject,
      ...bodies(text, html),
    });
  }
  await untilEmpty(pool);
  await sink.waitForCount(2 * MAILS, 30_000);

  const kept = new Map(sink.kept().map((message) => [message.rcptTo[0]!, message]));
  assert.equal(kept.size, 2 * MAILS);
  for (const [n, given] of mails.entries()) {
    const ours = kept.get(`ours${n}@shop.example`)!;
    assert.equal(withoutTrace(ours), written.get(`ours${n}@shop.example`)!.replaceAll("\r\n", "\n"), `mail ${n}`);
    const [read, readTheirs] = [await readMail(ours), await readMail(kept.get(`theirs${n}@shop.example`)!)];
    const seen = JSON.stringify(given);
    assert.deepEqual(read, readTheirs, seen);
    assert.equal(read.subject, given.subject, seen);
    assert.deepEqual([read.fromName, read.toName], [given.fromName, given.toName], seen);
  }
  await books.stop();
});

// ---- generated mail ------------------------------------------------------------------------------------------------

const words = fc.constantFrom(
  "Hello",
  "Grüße",
  "Привет",
  "你好",
  "שלום",
  "🎉",
  "é",
  "=?utf-8?B?SGk=?=",
  "=20",
  "a,b;c:d",
  "<b>",
  ".",
  "..",
  "From ",
  "--",
  "w".repeat(90),
  "ю".repeat(120),
);
/**
 * Header texts without what cannot be compared: readers strip blanks at both ends, Nodemailer rewrites doubled ones, and
 * what looks like an encoded word it leaves as it is, so that readers decode it.
 */
const oneLine = fc
  .array(words, { minLength: 1, maxLength: 8 })
  .map((list) => list.join(" ").replaceAll("=?", "=").replaceAll(/ +/g, " ").trim());
const manyLines = fc
  .array(fc.tuple(words, fc.constantFrom("\n", "\r\n", " ", "\n\n", "\n.\n", "\n..x\n")), {
    minLength: 1,
    maxLength: 20,
  })
  .map((pairs) => pairs.flat().join("").trim());
const mail = fc.record({
  subject: oneLine,
  fromName: oneLine,
  toName: oneLine,
  text: manyLines,
  html: fc.option(manyLines, { nil: undefined }),
});

const mailbox = (name: string, address: string): string => `"${name.replaceAll(/["\\]/g, "\\$&")}" <${address}>`;

const bodies = (text: string, html: string | undefined) => ({ text, ...(html === undefined ? {} : { html }) });

/** What Postfix put in front: its Received field, folded over some lines. */
function withoutTrace({ content }: KeptMessage): string {
  const text = content.toString("latin1");
  const trace = /^Received: from [^\n]*\n(?:[ \t][^\n]*\n)*/.exec(text);
  assert.ok(trace !== null, `no trace header stands in front:\n${text.slice(0, 200)}`);
  return text.slice(trace[0].length);
}

interface ReadMail {
  readonly subject: string | undefined;
  readonly fromName: string | undefined;
  readonly toName: string | undefined;
  readonly text: string;
  readonly html: string;
}

async function readMail({ content }: KeptMessage): Promise<ReadMail> {
  const email: Email = await PostalMime.parse(content);
  return {
    subject: email.subject,
    fromName: email.from?.name,
    toName: email.to?.[0]?.name,
    text: toLines(email.text),
    html: toLines(email.html),
  };
}

/** Line breaks are LF when they were read, and how many end a text is the reader's own business. */
const toLines = (text = ""): string => text.replaceAll(/\r\n?/g, "\n").replace(/\n+$/, "");

const byText = (one: readonly string[], other: readonly string[]): number => one.join().localeCompare(other.join());
