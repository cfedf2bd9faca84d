// What any user of the machine pipes into sendmail, and gives it as arguments: nothing of it throws, the pieces in which it
// comes change nothing, and a mail that is taken has only CRLF, exactly one key, no Bcc and no recipient that could end a
// command.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addressProblem } from "../../src/mail/address.ts";
import { addressesIn, readHeader, writeMail } from "../../src/doors/sendmail/mail-header.ts";
import { prepareMail } from "../../src/doors/sendmail/prepare-mail.ts";
import { readMail, withCrlf } from "../../src/doors/sendmail/read-mail.ts";
import { parseSendmailOptions } from "../../src/doors/sendmail/sendmail-options.ts";
import type { SendmailSettings } from "../../src/doors/sendmail/sendmail-settings.ts";

const DELIMITERS = Array.from('\r\n. \t:,;<>()"\\@é\0');
const LINES = [
  "\r\n",
  "\n.\n",
  "\n.\r\n",
  "\n\n",
  "To: ann@example.com",
  "Bcc: bob@example.com",
  "bcc : x@example.org",
  "Subject: x",
  "From: a@example.com",
  "X-Postlane-Idempotency-Key: mine",
  "X-Postlane-Door: smtp",
  "ann@example.com",
  "From x Mon\n",
  "a".repeat(300),
];
const PIECES = [...DELIMITERS, ...LINES];
const text = fc.array(fc.constantFrom(...PIECES), { maxLength: 25 }).map((parts) => parts.join(""));
const word = fc.oneof(
  fc.constantFrom(
    "-t",
    "-i",
    "-ti",
    "-f",
    "-F",
    "-N",
    "never",
    "-R",
    "full",
    "-bs",
    "-oi",
    "--",
    "-",
    "ann@example.com",
    "root",
  ),
  fc.string({ unit: "binary", maxLength: 12 }),
  text,
);
const SETTINGS: SendmailSettings = {
  smtp: { host: "127.0.0.1", port: 1 },
  messageBytesMax: 1_000_000,
  spoolMailsMax: 1,
  spoolBytesMax: 1,
  domain: "web1.example.com",
  aliases: new Map([["root", "ops@example.com"]]),
};
const CALLER = { user: "www-data", wallMs: 1_700_000_000_000, id: "0123456789abcdef" };

test("the pieces in which a mail comes change nothing", async () => {
  await fc.assert(
    fc.asyncProperty(text, fc.array(fc.nat(40), { maxLength: 30 }), fc.boolean(), async (mail, lengths, endsAtDot) => {
      const octets = Buffer.from(mail);
      const pieces: Buffer[] = [];
      let at = 0;
      for (const length of [...lengths, octets.length]) pieces.push(octets.subarray(at, (at += length)));
      const limits = { bytesMax: 100_000, endsAtDot };
      const [whole, inPieces] = await Promise.all([
        readMail(streamOf([octets]), limits),
        readMail(streamOf(pieces), limits),
      ]);
      assert.deepEqual(inPieces, whole);
    }),
    { numRuns: 3000 },
  );
});

async function* streamOf(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}

test("whatever is given: a mail that can be sent, or a refusal with what to do", () => {
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), text, (args, mail) => {
      const options = parseSendmailOptions(args);
      if (options.kind !== "send") return;
      const read = withCrlf(mail, 1_000_000);
      if (read.kind === "refused") return;
      const prepared = prepareMail(read.octets, options.send, SETTINGS, CALLER);
      if (prepared.kind === "refused") {
        assert.ok(prepared.exitCode >= 64 && !/[\p{Cc}]/u.test(prepared.problem), prepared.problem);
        return;
      }
      const { sender, recipients, octets } = prepared.mail;
      for (const address of [...recipients, ...(sender === "" ? [] : [sender])])
        assert.equal(addressProblem(address), undefined);
      assert.ok(!/\r(?!\n)|(?<!\r)\n|\0/.test(octets.toString("latin1")), "a bare CR, LF or NUL");
      const names = readHeader(octets).fields.map(({ name }) => name);
      const count = (name: string): number => names.filter((each) => each === name).length;
      assert.deepEqual([count("bcc"), count("x-postlane-door")], [0, 1]);
      assert.ok(count("x-postlane-idempotency-key") >= 1 && count("from") >= 1 && count("date") === 1);
    }),
    { numRuns: 5000 },
  );
});

test("a header is read and written octet by octet, and addresses take no longer for being odd", () => {
  fc.assert(
    fc.property(text, (mail) => {
      const read = withCrlf(mail.replaceAll(/[\r\0]/g, ""), 1_000_000);
      assert.ok(read.kind === "mail");
      const { fields, bytes } = readHeader(read.octets);
      const written = writeMail(fields, read.octets, bytes).toString("latin1");
      const head = fields.map((field) => field.text).join("");
      assert.equal(written, `${head}\r\n${read.octets.toString("latin1").slice(bytes)}`);
      for (const address of addressesIn(mail)) assert.doesNotMatch(address, /[\r\n]/);
    }),
    { numRuns: 3000 },
  );
  const startedMs = performance.now();
  for (const odd of ["(", "<", '"', "(\\", ",", "<<>", ' "a" ']) addressesIn(odd.repeat(100_000));
  assert.ok(performance.now() - startedMs < 5000);
});
