// Whatever comes back is read without an error, in bounded time, into bounded and printable parts; and what a mailer
// wrote into the fields of a notice is what is read out of them, however it folds and ends its lines.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { ReturnedMail } from "../../src/mail/notice.ts";
import { parseNotice, RAW_BYTES_MAX } from "../../src/returns/parse-notice.ts";

const FOLDER = path.resolve(import.meta.dirname, "../../../test/fixtures/returns");
const samples = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".eml"))
  .map((name) => readFileSync(path.join(FOLDER, name)));

/** Of a mail at its largest; it takes some ten milliseconds, and one that is quadratic takes minutes. */
const READ_MS_MAX = 2000;

function isWellFormed(mail: ReturnedMail): void {
  if (mail.kind !== "notice") return;
  assert.ok(mail.recipients.length >= 1 && mail.recipients.length <= 100);
  for (const report of mail.recipients) {
    assert.match(report.status ?? "5.0.0", /^[245]\.\d{1,3}\.\d{1,3}$/);
    for (const text of Object.values(report)) assertPrintable(text);
  }
  const { recipients: _, ...message } = mail;
  for (const text of Object.values(message)) assertPrintable(text);
}

function assertPrintable(text: string): void {
  assert.ok(text.length <= 1000, `${text.length} characters`);
  assert.doesNotMatch(text, /\p{Cc}/u);
}

test("any octets", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (raw) => isWellFormed(parseNotice(raw))),
    { numRuns: 2000 },
  );
});

/** Pieces that mean something to a reader of mail, in any order. */
const piece = fc.constantFrom(
  "\n",
  "\r\n",
  "\r",
  "\n\n",
  "--b",
  "--b--",
  "Content-Type: ",
  "multipart/report; report-type=delivery-status; boundary=b",
  'multipart/mixed; boundary="b"',
  "message/delivery-status",
  "message/rfc822",
  "Content-Transfer-Encoding: base64\n",
  "Content-Transfer-Encoding: quoted-printable\n",
  "Reporting-MTA: dns; a.example\n",
  "Final-Recipient: rfc822; a@b.example\n",
  "Action: failed\n",
  "Action:",
  "Status: 5.1.1\n",
  "Status: (((((5.1.1",
  "=\n",
  "=41",
  " ",
  "\t",
  ":",
  "\0",
  '"',
  ";",
);

test("any order of the pieces of a notice", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      isWellFormed(parseNotice(Buffer.from(pieces.join(""), "latin1")));
    }),
    { numRuns: 3000 },
  );
});

test("any change of a real one: an octet, a piece cut out, a piece twice", () => {
  const change = fc.record({
    sample: fc.nat(samples.length - 1),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.nat(200),
    octet: fc.nat(255),
    how: fc.constantFrom("octet", "cut", "twice", "end"),
  });
  fc.assert(
    fc.property(change, ({ sample, at, length, octet, how }) => {
      const raw = samples[sample]!;
      const begin = Math.floor(at * raw.length);
      const end = Math.min(raw.length, begin + length);
      const middle = {
        octet: Buffer.concat([Buffer.of(octet), raw.subarray(begin + 1)]),
        cut: raw.subarray(end),
        twice: Buffer.concat([raw.subarray(begin, end), raw.subarray(begin)]),
        end: Buffer.alloc(0),
      }[how];
      isWellFormed(parseNotice(Buffer.concat([raw.subarray(0, begin), middle])));
    }),
    { numRuns: 2000 },
  );
});

test("the largest mails of one kind of piece each", () => {
  const fill = (text: string): Buffer =>
    Buffer.from(text.repeat(Math.ceil(RAW_BYTES_MAX / text.length)).slice(0, RAW_BYTES_MAX));
  const inReport = (text: string): Buffer =>
    Buffer.concat([
      Buffer.from("Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"),
      fill(text),
    ]);
  const pieces = [
    "\n",
    "\r",
    "a:b\n",
    " \n",
    "(",
    "((",
    ")",
    "=",
    "--b\n",
    "\n--b\n",
    ";",
    'a="',
    "\0",
    "Status: (5.1.1\n",
  ];
  const nested = Array.from(
    { length: 5000 },
    (_, n) => `Content-Type: multipart/mixed; boundary=b${n}\n\n--b${n}\n`,
  ).join("");
  const mails = [
    ...pieces.map(fill),
    ...pieces.map(inReport),
    fill(nested),
    Buffer.concat([Buffer.from("Content-Type: "), fill(";a=b")]),
    Buffer.concat([Buffer.from('Content-Type: multipart/report; boundary="'), fill("b")]),
    inReport("Final-Recipient: rfc822; a@b\nAction: failed\n\n"),
    inReport(`Status: ${"(".repeat(500)}\n`),
    Buffer.from(`Content-Type: multipart/mixed; boundary=b\n\n${"--b\n\nx\n".repeat(40_000)}`),
  ];
  for (const mail of mails) {
    const beganAt = performance.now();
    isWellFormed(parseNotice(mail));
    const tookMs = performance.now() - beganAt;
    assert.ok(tookMs < READ_MS_MAX, `${Math.round(tookMs)} ms for ${mail.subarray(0, 60).toString("latin1")}`);
  }
});

const word = fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,40}[a-z0-9]$/);

test("what was written into a notice is read out of it, however its lines are folded and end", () => {
  const given = fc.record({
    host: word,
    queueId: fc.stringMatching(/^[A-Za-z0-9]{5,20}$/),
    boundary: fc.stringMatching(/^[A-Za-z0-9'()+_,./:=?-]{1,60}[A-Za-z0-9]$/),
    lineEnd: fc.constantFrom("\n", "\r\n"),
    fold: fc.constantFrom("", "\n ", "\n\t\t"),
    encoding: fc.constantFrom("7bit", "base64"),
    recipients: fc.array(
      fc.record({
        address: fc.tuple(word, word).map(([local, domain]) => `${local}@${domain}`),
        action: fc.constantFrom("failed", "delayed", "delivered", "relayed", "expanded"),
        status: fc.tuple(fc.constantFrom(2, 4, 5), fc.nat(999), fc.nat(999)).map((parts) => parts.join(".")),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  });
  fc.assert(
    fc.property(given, ({ host, queueId, boundary, lineEnd, fold, encoding, recipients }) => {
      const groups = recipients.map(({ address, action, status }) =>
        [`Final-Recipient:${fold} rfc822;${fold} ${address}`, `Action: ${action}`, `Status:${fold} ${status}`, ""].join(
          "\n",
        ),
      );
      const fields = [`Reporting-MTA: dns;${fold} ${host}`, `X-Postfix-Queue-ID: ${queueId}`, "", ...groups].join("\n");
      const encoded = encoding === "base64" ? Buffer.from(fields).toString("base64") : fields;
      const mail = [
        `Content-Type: multipart/report;${fold} report-type=delivery-status;${fold} boundary="${boundary}"`,
        "",
        `--${boundary}`,
        "",
        "words",
        `--${boundary}`,
        "Content-Type: message/delivery-status",
        `Content-Transfer-Encoding: ${encoding}`,
        "",
        encoded,
        `--${boundary}--`,
        "",
      ].join("\n");
      const found = parseNotice(Buffer.from(mail.replaceAll("\n", lineEnd)));
      assert.ok(found.kind === "notice");
      assert.equal(found.reportingMta, host);
      assert.equal(found.queueId, queueId);
      assert.deepEqual(
        found.recipients,
        recipients.map(({ address, action, status }) => ({ action, status, finalRecipient: address })),
      );
    }),
    { numRuns: 500 },
  );
});
