// What goes into a mail comes out of it: generated subjects, names and bodies in many scripts, read back by two parsers
// that are not ours. And whatever is given, only well-formed lines come out: no header but ours, none over 998 octets.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { simpleParser } from "mailparser";
import PostalMime, { decodeWords } from "postal-mime";
import { composeMail, type MailFields } from "../../src/compose/compose-mail.ts";
import { ComposeRefused } from "../../src/compose/compose-refused.ts";
import type { Content } from "../../src/mail/envelope.ts";

const words = fc.constantFrom(
  "Hello",
  "Grüße",
  "Привет",
  "你好",
  "שלום",
  "مرحبا",
  "🎉",
  "👩‍👩‍👧",
  "e\u0301",
  "\ud800",
  "x\udc00y",
  "=?utf-8?B?SGk=?=",
  "=?",
  "?=",
  "=20",
  "a,b;c:d",
  '"q"',
  "back\\slash",
  "<b>",
  ".",
  "..",
  "--",
  "From ",
  "  ",
  "\t",
  "w".repeat(90),
  "ю".repeat(200),
  "漢".repeat(80),
  "z".repeat(1100),
);
const oneLine = fc.oneof(
  fc.array(words, { maxLength: 12 }).chain((list) => fc.constantFrom(list.join(" "), list.join(""))),
  // oxlint-disable-next-line no-control-regex
  fc.string({ unit: "grapheme", maxLength: 80 }).filter((text) => !/[\u0000-\u0008\u000a-\u001f\u007f]/.test(text)),
);
const breaks = fc.constantFrom("\n", "\r\n", "\r", " \n", "\t\r\n", "\n\n", "", " ");
const manyLines = fc
  .array(fc.tuple(fc.oneof(words, fc.string({ unit: "binary", maxLength: 120 })), breaks), { maxLength: 30 })
  .map((pairs) => pairs.flat().join(""));
/** Without what only an input may have, since a reader strips white space and control characters from names. */
const name = oneLine.map((text) => text.replaceAll("\t", " ").trim()).filter((text) => text !== "");

const toUtf8 = (text: string): string => Buffer.from(text, "utf8").toString("utf8");
const toLines = (text: string): string => toUtf8(text).replace(/\r\n?/g, "\n");
/** postal-mime ends every text with a line break of its own, and keeps the CRLFs of a base64 text. */
const withoutLastBreaks = (text: string): string => text.replace(/[\r\n]+$/, "");
/** mailparser reads an empty part as one line break. */
const orBreak = (text: string): string => (text === "" ? "\n" : text);

function fields(more: Partial<MailFields>): MailFields {
  return {
    from: "hello@example.com",
    to: ["ann@example.net"],
    messageId: "msg_1.1@example.com",
    wallMs: 1_700_000_000_000,
    ...more,
  };
}

export function assertWire(content: Content): void {
  // oxlint-disable-next-line no-control-regex
  assert.equal(content.isAscii, /^[\u0000-\u007f]*$/.test(content.text));
  assert.ok(content.text.endsWith("\r\n"));
  // oxlint-disable-next-line no-control-regex
  assert.ok(!/\r(?!\n)|(?<!\r)\n|\u0000/.test(content.text), "a bare CR, bare LF or NUL");
  for (const line of content.text.split("\r\n")) assert.ok(line.length <= 998, "a line over 998");
  for (const line of headerLines(content)) assert.match(line, /^[!-9;-~]+:|^[ \t].*\S/);
}

function headerLines(content: Content): readonly string[] {
  return content.text.slice(0, content.text.indexOf("\r\n\r\n")).split("\r\n");
}

const headerNames = (content: Content): readonly string[] =>
  headerLines(content).flatMap((line) => (/^[ \t]/.test(line) ? [] : [line.slice(0, line.indexOf(":"))]));

test("subject, names and bodies come back as they were given", async () => {
  await fc.assert(
    fc.asyncProperty(
      oneLine,
      name,
      name,
      fc.option(manyLines, { nil: undefined }),
      manyLines,
      async (subject, fromName, toName, text, html) => {
        const content = composeMail(
          { html, ...(text === undefined ? {} : { text }) },
          fields({
            from: `"${fromName.replace(/["\\]/g, "\\$&")}" <hello@example.com>`,
            to: [`"${toName.replace(/["\\]/g, "\\$&")}" <ann@example.net>`, "bob@example.net"],
            subject,
          }),
        );
        assertWire(content);
        assert.ok(content.isAscii);
        const mail = await PostalMime.parse(Buffer.from(content.text, "latin1"));
        assert.equal(mail.subject ?? "", toUtf8(subject));
        assert.deepEqual(mail.from, { address: "hello@example.com", name: toUtf8(fromName) });
        assert.deepEqual(mail.to, [
          { address: "ann@example.net", name: toUtf8(toName) },
          { address: "bob@example.net", name: "" },
        ]);
        assert.equal(withoutLastBreaks(toLines(mail.html ?? "")), withoutLastBreaks(toLines(html)));
        if (text !== undefined)
          assert.equal(withoutLastBreaks(toLines(mail.text ?? "")), withoutLastBreaks(toLines(text)));
      },
    ),
    { numRuns: 400 },
  );
});

test("mailparser reads the same", async () => {
  await fc.assert(
    fc.asyncProperty(oneLine, manyLines, manyLines, async (subject, text, html) => {
      const content = composeMail({ text, html }, fields({ subject }));
      const mail = await simpleParser(Buffer.from(content.text, "latin1"), {
        skipTextToHtml: true,
        skipImageLinks: true,
      });
      assert.equal(mail.subject ?? "", toUtf8(subject));
      assert.equal(orBreak(mail.text ?? ""), orBreak(toLines(text)));
      assert.equal(orBreak(mail.html || ""), orBreak(toLines(html)));
    }),
    { numRuns: 300 },
  );
});

test("whatever stands in a header, no other header comes of it: it is written or refused", () => {
  const nasty = fc
    .array(
      fc.constantFrom(
        "\r",
        "\n",
        "\r\n",
        "\u0000",
        "\u007f",
        "\u0085",
        "\u2028",
        "Bcc: evil@example.org",
        "\r\n\r\n",
        "a",
        " ",
        "\t",
        "é",
        "<",
        ">",
        "@",
        ".",
        '"',
        "\\",
        ",",
        ":",
        "=?utf-8?Q?=0D=0A?=",
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join(""));
  fc.assert(
    fc.property(nasty, nasty, nasty, nasty, nasty, (subject, from, to, headerName, value) => {
      const attempts = [
        { subject },
        { from: `${from} <hello@example.com>` },
        { to: [`${to}@example.net`] },
        { replyTo: [`"${from}" <a@example.net>`] },
        { headers: { "X-One": value } },
        { headers: { [`X${headerName}`]: value } },
        { messageId: `${value}@example.com` },
      ];
      for (const attempt of attempts) {
        let content: Content;
        try {
          content = composeMail({ text: "body" }, fields(attempt));
        } catch (error) {
          assert.ok(error instanceof ComposeRefused, String(error));
          continue;
        }
        assertWire(content);
        const own = new Set([
          "From",
          "To",
          "Reply-To",
          "Subject",
          "Date",
          "Message-ID",
          "MIME-Version",
          "Content-Type",
          "Content-Transfer-Encoding",
          ...Object.keys(attempt.headers ?? {}),
        ]);
        for (const found of headerNames(content)) assert.ok(own.has(found), found);
        // What was written and not refused had no line break to write.
        assert.ok(!JSON.stringify(attempt).includes("\\r") && !JSON.stringify(attempt).includes("\\n"));
      }
    }),
    { numRuns: 3000 },
  );
});

test("custom headers come back, on lines of at most 998 octets", async () => {
  await fc.assert(
    fc.asyncProperty(oneLine, async (value) => {
      const content = composeMail({ text: "" }, fields({ headers: { "X-Custom-Thing": value } }));
      assertWire(content);
      const mail = await PostalMime.parse(Buffer.from(content.text, "latin1"));
      const line = mail.headerLines.find((header) => header.key === "x-custom-thing");
      const decoded = decodeWords((line?.line ?? "").replace(/^[^:]+: ?/, "").replace(/\r?\n(?=[ \t])/g, ""));
      assert.equal(decoded, toUtf8(value));
    }),
    { numRuns: 400 },
  );
});
