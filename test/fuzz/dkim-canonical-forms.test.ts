// The canonical forms of what is signed, over generated mail with every oddity of white space and folding, against
// dkimpy's: a mail that we signed verifies there, or one of the two is wrong.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createMailSigner } from "../../src/compose/sign-mail.ts";
import { dkimpy, makeTestKeys } from "../rig/dkim-verifiers.ts";

const MAILS = 200;
/** No line ends, and no VT nor FF: dkimpy takes them for white space at the ends of a value, as RFC 6376 §2.8 does not. */
const isOdd = (code: number): boolean => (code < 0x09 || code > 0x0d) && (code < 0x20 || code > 0x7e);

const blanks = fc.stringMatching(/^[ \t]{0,4}$/);
const word = fc.oneof(
  fc.stringMatching(/^[!-~]{1,12}$/),
  fc.string({
    unit: fc
      .integer({ min: 1, max: 255 })
      .filter(isOdd)
      .map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 4,
  }),
  fc.constantFrom(".", "..", "=", ";", ":", "\u00a0", "\u0085"),
);
const line = fc
  .array(fc.tuple(blanks, word), { maxLength: 5 })
  .chain((parts) => blanks.map((end) => parts.flat().join("") + end));
const body = fc
  .array(fc.oneof(line, fc.constantFrom("", " ", "\t \t", "")), { maxLength: 30 })
  .map((lines) => lines.map((one) => `${one}\r\n`).join(""));
const long = fc
  .tuple(
    fc.array(fc.oneof(line, fc.constant("A".repeat(76))), { minLength: 1, maxLength: 6 }),
    fc.integer({ min: 1, max: 1500 }),
    body,
  )
  .map(
    ([lines, times, end]) =>
      lines
        .map((one) => `${one}\r\n`)
        .join("")
        .repeat(times) + end,
  );
const value = fc
  .array(fc.tuple(blanks, fc.constantFrom("", "", "\r\n ", "\r\n\t"), word), { maxLength: 5 })
  .chain((parts) => blanks.map((end) => parts.flat().join("") + end));
/** Without white space before the colon, which dkimpy cannot read. */
const name = fc.constantFrom("Subject", "TO", "cc", "Message-ID", "List-Id", "References", "X-Other", "Received");
const header = fc
  .array(fc.tuple(name, value), { maxLength: 8 })
  .map((fields) => fields.map(([one, text]) => `${one}:${text}\r\n`).join(""));

test("what we sign of any mail is what dkimpy verifies", { timeout: 60_000 }, async (t) => {
  const { keys, records } = makeTestKeys("shop.example");
  const verify = dkimpy(t, records);
  if (verify === undefined) return;
  const signer = createMailSigner({ keysFor: () => keys });
  await fc.assert(
    fc.asyncProperty(
      header,
      header,
      fc.oneof({ weight: 9, arbitrary: body }, { weight: 1, arbitrary: long }),
      async (before, after, text) => {
        const mail = `${before}From: a@shop.example\r\n${after}\r\n${text}`;
        const signed = await signer.sign({ text: mail, isAscii: false }, Date.now());
        assert.ok(signed !== undefined);
        assert.deepEqual(await verify(Buffer.from(signed.text, "latin1")), ["pass", "pass"]);
      },
    ),
    { numRuns: MAILS },
  );
});
