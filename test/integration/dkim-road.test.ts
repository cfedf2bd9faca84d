// Signed mail on the whole road: from the doors' tables through the dispatcher, its signing rows and a real Postfix into
// a sink. What arrives verifies; what has no key goes unsigned; a key that cannot sign holds its own mail alone.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import type { SigningKeys } from "../../src/compose/signing-key.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { createAcceptance } from "../../src/submission/accept-submission.ts";
import { dkimpy, makeTestKeys } from "../rig/dkim-verifiers.ts";
import { startLane } from "../rig/lane.ts";
import {
  booksOf,
  createCampaign,
  enqueue,
  enqueueMany,
  fillCampaign,
  storyOf,
  until,
  untilEmpty,
  watchBooks,
} from "../rig/lane-mail.ts";
import { needsPostfix, startPostfix } from "../rig/postfix.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";
import { startSmtpSink, type KeptMessage } from "../rig/smtp-sink.ts";

const { keys, records } = makeTestKeys("shop.example");
/** Its own domain, those below it, and nobody else's. */
const signingKeys: SigningKeys = {
  keysFor: (domain) => (domain === "shop.example" || domain.endsWith(".shop.example") ? keys : []),
};

const RAW = [
  "Received: from a by b; Thu, 1 Jan 2026 00:00:00 +0000",
  "DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x; h=from; bh=abc; b=abc",
  "From: Shop <raw@shop.example>",
  "Subject:\ttwo  words",
  "\tfolded ",
  "Date: Thu, 1 Jan 2026 00:00:00 +0000",
  "Message-ID: <raw@shop.example>",
  "To: raw@example.net",
  "",
  "Hello  \t",
  ".dot",
  "Grüße",
  "",
  "",
];

test("what a real Postfix has relayed verifies, whatever it came by", { timeout: 120_000 }, async (t) => {
  const verify = dkimpy(t, records);
  if (verify === undefined || !needsPostfix(t)) return;
  const database = await testDatabase(t);
  const { pool } = database;
  const sink = await startSmtpSink(t, { keep: true });
  const postfix = await startPostfix(t, { relayTo: sink });
  const books = watchBooks(pool);
  const mails = Array.from({ length: 60 }, (_, n) => ({
    from: `Shop <user${n}@${n % 3 === 0 ? "other.example" : n % 3 === 1 ? "shop.example" : "news.shop.example"}>`,
    to: `single${n}@d${n % 5}.example`,
    subject: `Grüße ${n} ${"long ".repeat(n)}`,
    text: `Hello ${n}\n.\n..two\n  spaced   out \n\n${"x".repeat(50 * n)}\n\n\n`,
    ...(n % 2 === 0 ? { html: `<p>Grüße ${n}</p>` } : {}),
  }));
  await enqueueMany(pool, mails);
  const campaign = await createCampaign(pool, {
    name: "news",
    lane: "transactional",
    template: { from: "News <news@shop.example>", html: "<p>{{ first_name }}</p>" },
  });
  await fillCampaign(pool, campaign, { rows: 40, destinations: 4, domain: "list.example" });
  const answer = await createAcceptance(pool, systemClock, new Set()).accept({
    kind: "mail",
    door: "smtp",
    credential: "loopback",
    envelope: { to: ["raw@example.net"], mail: { sender: "raw@shop.example" } },
    raw: Buffer.from(`${RAW.join("\r\n")}\r\n`),
  });
  assert.equal(answer.kind, "accepted");
  await startLane(t, { database, relay: postfix, openMax: 8, signingKeys });
  await untilEmpty(pool);
  await sink.waitForCount(101, 60_000);
  let unsigned = 0;
  for (const message of sink.kept()) {
    const mail = onTheWire(message);
    const words = await verify(mail);
    const from = /^From: [^]*?<[^@]*@([^>]*)>/m.exec(mail.toString("latin1"))![1]!;
    if (from === "other.example") {
      assert.deepEqual(words, []);
      unsigned++;
    } else if (message.rcptTo[0] === "raw@example.net") {
      assert.deepEqual(words.slice(0, 2), ["pass", "pass"]);
      assert.equal(words.length, 3, "the signature of somebody else is gone");
      assert.ok(mail.toString().endsWith(`${RAW.join("\r\n")}\r\n`), "the mail itself was changed");
    } else assert.deepEqual(words, ["pass", "pass"], String(message.rcptTo));
  }
  assert.equal(unsigned, 20);
  await books.stop();
});

test("a key that cannot sign holds its own mail alone, and the error names it", { timeout: 60_000 }, async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const sink = await startScriptedSink(t);
  const wrong = { ...keys[1]!, domain: "broken.example", privateKey: generateKeyPairSync("x25519").privateKey };
  await startLane(t, {
    database,
    relay: sink,
    signingKeys: { keysFor: (domain) => (domain === "broken.example" ? [wrong] : signingKeys.keysFor(domain)) },
  });
  const id = await enqueue(pool, { from: "a@broken.example", to: "ann@example.net" });
  await enqueue(pool, { from: "a@shop.example", to: "bob@example.net" });
  await until("the other one is there", () => sink.accepted.length === 1);
  await until("it is held", async () => (await booksOf(pool))["held"] === 1);
  assert.match((await storyOf(pool, id)).at(-1)?.reply ?? "", /the DKIM key rsa of broken\.example cannot sign/);
  assert.match(sink.accepted[0]!.content.toString("latin1"), /^DKIM-Signature: /);
});

test("a key that comes while mail is claimed is used for it", { timeout: 60_000 }, async (t) => {
  const verify = dkimpy(t, records);
  if (verify === undefined) return;
  const database = await testDatabase(t);
  const { pool } = database;
  const sink = await startScriptedSink(t);
  // What is asked first is whether the row will be signed; only then it is composed.
  let asked = 0;
  await enqueue(pool, { from: "a@shop.example", to: "ann@example.net" });
  await startLane(t, {
    database,
    relay: sink,
    signingKeys: { keysFor: (domain) => (asked++ === 0 ? [] : signingKeys.keysFor(domain)) },
  });
  await until("it is there", () => sink.accepted.length === 1);
  assert.deepEqual(await verify(sink.accepted[0]!.content), ["pass", "pass"]);
});

/** The sink keeps lines ended by LF. */
function onTheWire({ content }: KeptMessage): Buffer {
  return Buffer.from(content.toString("latin1").replaceAll("\n", "\r\n"), "latin1");
}
