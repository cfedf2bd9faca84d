// Whatever a submitter sent and a server said: the notice about it has only safe octets and the parts that it should
// have, nothing of theirs becomes a header or a field of it, and both our own reader and another parser read it back.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import PostalMime from "postal-mime";
import { failureNotice, type NoticeFacts } from "../../src/compose/failure-notice.ts";
import { parseNotice } from "../../src/returns/parse-notice.ts";

const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.stringMatching(/^[\r\n\t :;=A-Za-z0-9.-]{0,300}$/),
  fc.constantFrom(
    "550 5.1.1 no such user",
    "550 5.1.1 x\r\nStatus: 2.0.0\r\n\r\n--part\r\nContent-Type: text/html",
    "x\r\n\r\nFinal-Recipient: rfc822; bob@example.com\r\nAction: delivered",
    `550 ${"x".repeat(3000)}`,
    `550 ${"word ".repeat(500)}`,
    "550 5.1.1 Gr\u{fc}\u{df}e \u{1f389} \u{2028}\u{85}\0",
  ),
);
/** What looks like an encoded-word is no address (mail/address.ts), and no notice is written to it. */
const local = fc.stringMatching(/^[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,30}$/).filter((name) => !name.includes("=?"));
const address = fc.oneof(
  local.map((name) => `${name}@example.com`),
  fc.constantFrom("gr\u{fc}\u{df}e@example.com", "ann@b\u{fc}cher.example", "\u{1f389}@example.com"),
);
const original = fc.oneof(
  fc.uint8Array({ maxLength: 2000 }),
  hostile.map((text) => Buffer.from(`Subject: x\r\nMessage-ID: <a@b>\r\nX-Odd: ${text}\r\n\r\nbody\r\n`)),
  fc.constant(Buffer.from(`Subject: ${"x".repeat(3000)}\r\n\r\n${"y".repeat(5000)}\r\n`)),
  fc.constant(Buffer.from("Subject: x\n\nonly LF\n.\nhere\r")),
  fc.constant(Buffer.from("Subject: x\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n--a--\r\n")),
);

const facts: fc.Arbitrary<NoticeFacts> = fc.record(
  {
    action: fc.constantFrom("failed", "relayed", "delivered"),
    isExpired: fc.boolean(),
    from: fc.constant("Mail Delivery System <MAILER-DAEMON@site.example>"),
    to: address,
    reportingMta: fc.constant("site.example"),
    messageId: fc.constant("notice.4711.bounced@site.example"),
    wallMs: fc.constant(1_767_225_600_000),
    arrivedMs: fc.constant(1_767_225_500_000),
    recipient: fc.oneof(address, hostile),
    status: fc.constantFrom("5.1.1", "4.4.7", "2.0.0"),
    host: hostile,
    reply: hostile,
    envid: hostile,
    orcpt: fc.oneof(
      hostile,
      hostile.map((text) => `rfc822;${text}`),
    ),
    original,
    isWhole: fc.boolean(),
  },
  {
    requiredKeys: [
      "action",
      "from",
      "to",
      "reportingMta",
      "messageId",
      "wallMs",
      "arrivedMs",
      "recipient",
      "status",
      "original",
      "isWhole",
    ],
  },
);

const HEADERS = ["from", "to", "subject", "date", "message-id", "auto-submitted", "mime-version", "content-type"];

test("a notice has only safe octets, its own headers and fields, and can be read back", async () => {
  await fc.assert(
    fc.asyncProperty(facts, async (given) => {
      const raw = failureNotice(given);
      const octets = raw.toString("latin1");
      assert.doesNotMatch(octets, /\0|\r(?!\n)|(?<!\r)\n/);
      assert.ok(octets.split("\r\n").every((line) => line.length <= 998));
      assert.ok(octets.endsWith("\r\n"));

      const read = parseNotice(raw, "");
      assert.equal(read.kind, "notice");
      assert.equal(read.recipients.length, 1);
      const report = read.recipients[0]!;
      assert.equal(report.action, given.action);
      assert.equal(report.status, given.status);

      const parsed = await PostalMime.parse(raw, { forceRfc822Attachments: true });
      assert.deepEqual(
        parsed.headers.map(({ key }) => key),
        HEADERS,
      );
      const types = parsed.attachments.map(({ mimeType }) => mimeType);
      assert.equal(types.length, 2, types.join());
      assert.match(types[0]!, /^message\/(?:global-)?delivery-status$/);
      assert.match(types[1]!, given.isWhole ? /^(?:message\/rfc822|text\/rfc822-headers)$/ : /^text\/rfc822-headers$/);
      assert.match(parsed.text ?? "", /^This is the mail system of site\.example\.\r?\n/);
    }),
    { numRuns: 1000 },
  );
});
