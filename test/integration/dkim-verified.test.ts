// Every shape of mail, signed as the dispatcher signs it, and verified by programs that nobody here wrote. Each of them
// must also refuse the same mail with one octet changed: one that says yes to everything proves nothing.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { compileMail, mergeMail } from "../../src/compose/compile-mail.ts";
import { composeMail, type MailFields } from "../../src/compose/compose-mail.ts";
import { createMailSigner } from "../../src/compose/sign-mail.ts";
import type { SigningKey } from "../../src/compose/signing-key.ts";
import type { Content } from "../../src/mail/envelope.ts";
import { compileTemplate } from "../../src/templates/compile-template.ts";
import { dkimpy, mailAuth, makeTestKeys, openDkim, type Verify } from "../rig/dkim-verifiers.ts";

const { keys, records } = makeTestKeys("shop.example");
const [ED25519, RSA] = keys as [SigningKey, SigningKey];

const fields = (more: Partial<MailFields> = {}): MailFields => ({
  from: "Shop <hello@shop.example>",
  to: ["ann@example.net"],
  subject: "Your order",
  messageId: "msg_1.1@shop.example",
  wallMs: Date.now(),
  ...more,
});
const raw = (...lines: readonly string[]): Content => {
  const text = Buffer.from(`${lines.join("\r\n")}\r\n`).toString("latin1");
  // oxlint-disable-next-line no-control-regex
  return { text, isAscii: /^[\u0000-\u007f]*$/.test(text) };
};
const FROM = "From: Shop <hello@shop.example>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000";

const template = compileMail(
  compileTemplate({
    from: "News <news@shop.example>",
    subject: "Hello {{ name }}",
    text: "Hello {{ name }},\n.\n..dots\n  indented   and spaced \n\n\n",
    html: "<p>Hello {{ name }}</p>\n\n",
  }),
  { headers: { "Feedback-ID": "a:b:c:shop", "X-Long": "word ".repeat(60).trim() } },
);

/** No mail by RFC 5322 §3.6, and OpenDKIM does not even look at its signature. */
const TWICE = "raw, with fields twice";

const SHAPES: Readonly<Record<string, Content>> = {
  text: composeMail({ text: "Hello\n" }, fields()),
  html: composeMail({ html: "<p>Grüße, שלום, 🎉</p>" }, fields({ subject: "Grüße 🎉" })),
  both: composeMail(
    { text: "Hello", html: "<p>Hello</p>" },
    fields({ cc: ["bob@example.net"], replyTo: ["r@shop.example"] }),
  ),
  "an empty text": composeMail({ text: "" }, fields()),
  "blank lines at the end": composeMail({ text: "Hello\n\n\n \n\n" }, fields()),
  "dots at the beginning of lines": composeMail({ text: ".\n..\n.dot\n" }, fields()),
  "a local part in UTF-8": composeMail({ text: "Hello" }, fields({ to: ["jörg@bücher.example"] })),
  "many recipients and a long subject": composeMail(
    { text: "Hello" },
    fields({
      to: Array.from({ length: 40 }, (_, n) => `Person ${n} <person${n}@example.net>`),
      subject: "long ".repeat(80),
    }),
  ),
  "extra headers": composeMail(
    { text: "Hello" },
    fields({
      extra:
        "List-Unsubscribe: <https://shop.example/u/abc>,\r\n <mailto:u@shop.example>\r\n" +
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Id: News <news.shop.example>\r\n",
    }),
  ),
  "a merged message": mergeMail(template, {
    data: { name: "Ann Müller" },
    recipient: "ann@example.net",
    messageId: "msg_2.1@shop.example",
    wallMs: Date.now(),
  }),
  "raw, oddly folded": raw(
    "Received: from a\r\n\tby b;\r\n Thu, 1 Jan 2026 00:00:00 +0000",
    "from:Shop\r\n \t <hello@shop.example>",
    "SUBJECT:\t two  \t words\t ",
    "To:\r\n ann@example.net",
    "X-Empty:",
    "date:Thu, 1 Jan 2026 00:00:00 +0000",
    "",
    "Hello  \t",
    " \t",
    "a\tb   c",
    "",
    " ",
  ),
  "raw, without a body": raw(FROM, "Subject: x", "To: ann@example.net", ""),
  "raw, without even the empty line": raw(FROM, "Subject: x", "To: ann@example.net"),
  "raw, blank lines only": raw(FROM, "To: ann@example.net", "", "", "  ", "\t", ""),
  "raw, in 8 bits, with a long line": raw(FROM, "Subject: Grüße", "", "Größe \u00a0 ", "x".repeat(2000), "\u00a0"),
  [TWICE]: raw("To: a@example.net", FROM, "Subject: one", "To: b@example.net", "Subject: two", "", "Hi"),
  "raw, larger than what is hashed at once": raw(
    FROM,
    "",
    ...Array.from({ length: 3000 }, (_, n) => `line  ${n} of\tit `),
  ),
};

async function sign(content: Content, used: readonly SigningKey[]): Promise<Buffer> {
  const signed = await createMailSigner({ keysFor: () => used }).sign(content, Date.now());
  assert.ok(signed !== undefined, "it was not signed");
  assert.equal(signed.isAscii, content.isAscii);
  assert.ok(signed.text.endsWith(content.text), "the mail itself was changed");
  return Buffer.from(signed.text, "latin1");
}

async function assertAll(
  t: TestContext,
  verify: Verify,
  used: readonly SigningKey[],
  words: readonly string[],
  without?: string,
): Promise<void> {
  for (const [shape, content] of Object.entries(SHAPES)) {
    if (shape === without) continue;
    const mail = await sign(content, used);
    assert.deepEqual(await verify(mail), words, shape);
  }
  t.diagnostic(`${Object.keys(SHAPES).length} shapes`);
  const whole = (await sign(SHAPES["both"]!, used)).toString("latin1");
  for (const changed of [
    whole.replace("Hello", "Hallo"),
    whole.replace("Your order", "Your 0rder"),
    whole.replace(/ t=1/g, " t=0"),
  ]) {
    assert.notEqual(changed, whole);
    for (const word of await verify(Buffer.from(changed, "latin1"))) assert.notEqual(word, "pass");
  }
  const added = `Subject: another\r\n${whole}`;
  for (const word of await verify(Buffer.from(added, "latin1"))) assert.notEqual(word, "pass", "a subject was added");
}

test("OpenDKIM verifies every shape, by either key and by both", { timeout: 60_000 }, async (t) => {
  const verify = await openDkim(t, records);
  if (verify === undefined) return;
  for (const used of [keys, [ED25519], [RSA]]) await assertAll(t, verify, used, ["pass"], TWICE);
});

test("dkimpy verifies both signatures of every shape", { timeout: 60_000 }, async (t) => {
  const verify = dkimpy(t, records);
  if (verify !== undefined) await assertAll(t, verify, keys, ["pass", "pass"]);
});

test("mailauth verifies both signatures of every shape", { timeout: 60_000 }, async (t) => {
  const verify = await mailAuth(t, records);
  if (verify !== undefined) await assertAll(t, verify, keys, ["pass", "pass"]);
});
