// Whatever the header and the body hold: the body and every field that stays are kept octet for octet and in order, what
// must go is gone, and what was added stands on top, each once.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readControls } from "../../src/doors/smtp/control-headers.ts";
import { headerAddresses } from "../../src/doors/smtp/header-addresses.ts";
import { prepareMail } from "../../src/doors/smtp/prepare-mail.ts";
import { readMail, readRcpt } from "../../src/doors/smtp/read-envelope.ts";
import { HEADER_BYTES_MAX, readHeader } from "../../src/doors/smtp/read-header.ts";
import { receivedField } from "../../src/doors/smtp/received-field.ts";

const ADDED = { received: "Received: ours\r\n", messageId: "Message-ID: <ours@x>\r\n", date: "Date: ours\r\n" };

const gone = fc.constantFrom(
  "Bcc",
  "bCC",
  "Resent-Bcc",
  "X-Postlane-Lane",
  "x-postlane-idempotency-key",
  "X-POSTLANE-DOOR",
);
const stays = fc.constantFrom(
  "Subject",
  "Bcc2",
  "X-Bcc",
  "X-Postlane-Other",
  "From",
  "Message-ID",
  "Date",
  "Received",
  "no field",
);
const text = fc.string({ unit: fc.constantFrom("a", ":", " ", "\t", "\xe9", "<", "@", "Bcc:", "\x85"), maxLength: 8 });
const folds = fc.array(fc.tuple(fc.constantFrom(" ", "\t"), text), { maxLength: 2 });
const space = fc.constantFrom("", " ", "\t");

function fieldOf(names: fc.Arbitrary<string>, isKept: boolean) {
  return fc.tuple(names, space, text, folds).map(([name, before, value, lines]) => {
    const colon = name === "no field" ? "" : `${before}:`;
    const octets = `${name}${colon}${name === "no field" ? "" : value}\r\n${lines.map((line) => `${line.join("")}\r\n`).join("")}`;
    return { name: name.toLowerCase(), octets, isKept };
  });
}

const fields = fc.array(fc.oneof(fieldOf(gone, false), fieldOf(stays, true)), { maxLength: 12 });
const bodies = fc.oneof(
  fc.constant(""),
  fc.string({ unit: fc.constantFrom("a", "\r\n", ".", "Bcc: x\r\n", "\xff"), maxLength: 20 }),
);

test("what stays is untouched, what must go is gone", () => {
  fc.assert(
    fc.property(fields, bodies, fc.boolean(), (given, body, hasBody) => {
      const rest = hasBody ? `\r\n${body}` : "";
      const content = Buffer.from(given.map(({ octets }) => octets).join("") + rest, "latin1");
      const header = readHeader(content);
      assert.equal(header.kind, "header");
      if (header.kind !== "header") return;
      const has = (name: string): boolean => given.some((field) => field.name === name);
      const expected =
        ADDED.received +
        (has("message-id") ? "" : ADDED.messageId) +
        (has("date") ? "" : ADDED.date) +
        given.map(({ isKept, octets }) => (isKept ? octets : "")).join("") +
        rest;
      assert.equal(prepareMail(content, header.fields, ADDED).toString("latin1"), expected);
    }),
    { numRuns: 20_000 },
  );
});

test("any octets at all: nothing throws, and what is kept is a part of what came", () => {
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .string({ unit: fc.constantFrom("\r\n", " ", ":", "Bcc", "a", "\r", "\n", "\0"), maxLength: 60 })
      .map((each) => Buffer.from(each)),
  );
  fc.assert(
    fc.property(octets, (given) => {
      const content = Buffer.from(given);
      const header = readHeader(content);
      if (header.kind === "refused") return;
      readControls(content, header.fields);
      const prepared = prepareMail(content, header.fields, ADDED);
      assert.ok(prepared.length <= content.length + 60);
      const end = header.fields.at(-1)?.end ?? 0;
      assert.ok(prepared.subarray(prepared.length - (content.length - end)).equals(content.subarray(end)));
    }),
    { numRuns: 20_000 },
  );
});

test("commands, From and the greeting: nothing a client says gets out of its place", () => {
  const nasty = fc.string({
    unit: fc.constantFrom(
      "<",
      ">",
      " ",
      "\r",
      "\n",
      "\0",
      "=",
      "+",
      "a",
      "@",
      ".",
      ";",
      "(",
      ")",
      '"',
      "\\",
      "\u00fc",
      "SIZE",
      ":",
      ",",
    ),
    maxLength: 40,
  });
  fc.assert(
    fc.property(nasty, fc.boolean(), (given, mayBeUtf8) => {
      for (const read of [
        readMail(Buffer.from(`MAIL FROM:<${given}`), 9),
        readRcpt(Buffer.from(`RCPT TO:<${given}`), mayBeUtf8),
      ]) {
        if (read.kind === "refused")
          assert.match(`${read.reply.code} ${read.reply.text}`, /^([45])\d\d \1\.\d\.\d [ -~]+$/);
        // oxlint-disable-next-line no-control-regex
        else assert.doesNotMatch(JSON.stringify(Object.values(read)), /[\u0000-\u001f<> ]/);
      }
      headerAddresses(given);
      const protocol = { isExtended: true, isSecure: false, isAuthenticated: false, isUtf8: false };
      const passage = { clientAddress: "192.0.2.1", host: "h.test", mark: "pl-", serial: "1", wallMs: 0, protocol };
      assert.match(
        receivedField({ ...passage, helo: given }),
        /^Received: from (?:[\w.-]+|\[[\w:.]+\]) \(\[192\.0\.2\.1\]\)\r\n\tby h\.test \(Postlane\) with ESMTP id pl-1;\r\n\tThu, 01 Jan 1970 00:00:00 \+0000\r\n$/,
      );
    }),
    { numRuns: 20_000 },
  );
});

test("a header without an end is given up at its limit, in time that grows with its length alone", () => {
  for (const line of ["a\r\n", "a: b\r\n c\r\n", "x".repeat(1000), ": \r\n"]) {
    const content = Buffer.from(line.repeat((4 * HEADER_BYTES_MAX) / line.length));
    assert.deepEqual(readHeader(content), { kind: "refused", why: "too_long" });
  }
});
