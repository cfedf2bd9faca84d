// The fast road against the slow one: what a merged mail decodes to is what Liquid makes of the template, whatever
// stands next to a value: spaces, line breaks, long words, half a line break, half a character.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { simpleParser } from "mailparser";
import PostalMime from "postal-mime";
import { compileMail, mergeMail } from "../../src/compose/compile-mail.ts";
import { ComposeRefused } from "../../src/compose/compose-refused.ts";
import { compileTemplate } from "../../src/templates/compile-template.ts";
import { liquidFor } from "../../src/templates/liquid-engine.ts";

const outputs = fc.constantFrom(
  "{{ a }}",
  "{{ b }}",
  '{{ a | default: "friend" }}',
  "{{ b | raw }}",
  "{{- a -}}",
  "{{ a | upcase }}",
  "{% if a %}{{ b }}{% endif %}",
);
const constants = fc.oneof(
  fc.constantFrom(
    "\n",
    "\r\n",
    "\r",
    " ",
    " \n",
    "\t",
    ".",
    "\n.",
    "=",
    "=3D",
    "é",
    "漢字",
    "🎉",
    "x".repeat(74),
    "y".repeat(75),
    "z".repeat(76),
    "w".repeat(1200),
    "From me\n",
    "--=_",
  ),
  fc.string({ unit: "binary", maxLength: 90 }).filter((text) => !text.includes("{")),
);
const template = fc.array(fc.oneof(outputs, constants), { maxLength: 14 }).map((parts) => parts.join(""));
const value = fc.oneof(
  constants,
  fc.constantFrom("", "Ann", "O'Neil & <Co>", "\ud83c", "\udf89", "line\nbreak", "\nfirst", "last\n", "end \r", " "),
  fc.string({ unit: "grapheme", maxLength: 100 }),
);

const toLines = (text: string): string => Buffer.from(text, "utf8").toString("utf8").replace(/\r\n?/g, "\n");
/** postal-mime ends every text with a line break of its own. */
const withoutLastBreaks = (text: string): string => text.replace(/\n+$/, "");
/** mailparser reads an empty part as one line break. */
const orBreak = (text: string): string => (text === "" ? "\n" : text);

function expected(kind: "text" | "html", source: string, data: object): string {
  const clean = toLines(source);
  return toLines(String(liquidFor(kind).renderSync(liquidFor(kind).parse(clean), data)));
}

const FIELDS = { recipient: "ann@example.net", messageId: "msg_7.1@example.com", wallMs: 1_700_000_000_000 };

test("a merged mail decodes to what Liquid renders, in text and HTML", async () => {
  await fc.assert(
    fc.asyncProperty(template, template, value, value, async (text, html, a, b) => {
      const mail = compileMail(compileTemplate({ from: "hello@example.com", subject: "Hi", text, html }));
      const content = mergeMail(mail, { ...FIELDS, data: { a, b } });
      assert.ok(content.isAscii);
      // oxlint-disable-next-line no-control-regex
      assert.ok(!/\r(?!\n)|(?<!\r)\n|\u0000/.test(content.text));
      const lines = content.text.split("\r\n");
      assert.ok(
        lines.every((line) => line.length <= 76 && !/[ \t]$/.test(line)),
        "quoted-printable lines",
      );
      const read = await PostalMime.parse(content.text);
      assert.equal(withoutLastBreaks(read.text ?? ""), withoutLastBreaks(expected("text", text, { a, b })));
      assert.equal(withoutLastBreaks(read.html ?? ""), withoutLastBreaks(expected("html", html, { a, b })));
    }),
    { numRuns: 1500 },
  );
});

test("mailparser reads the same, to the last line break; a mail of one part may get one more", async () => {
  await fc.assert(
    fc.asyncProperty(template, value, value, async (text, a, b) => {
      const template = compileTemplate({ from: "hello@example.com", subject: "Hi", text, html: text });
      const both = mergeMail(compileMail(template), { ...FIELDS, data: { a, b } });
      const read = await simpleParser(Buffer.from(both.text), { skipTextToHtml: true });
      assert.equal(orBreak(read.text ?? ""), orBreak(expected("text", text, { a, b })));
      assert.equal(orBreak(read.html || ""), orBreak(expected("html", text, { a, b })));
      const { html: _, ...textOnly } = template;
      const one = mergeMail(compileMail(textOnly), { ...FIELDS, data: { a, b } });
      const readOne = await simpleParser(Buffer.from(one.text), { skipTextToHtml: true });
      assert.equal((readOne.text ?? "").replace(/\n$/, ""), expected("text", text, { a, b }).replace(/\n$/, ""));
    }),
    { numRuns: 500 },
  );
});

test("a value in the subject comes back, or stops the message when it holds a line break", async () => {
  await fc.assert(
    fc.asyncProperty(value, async (a) => {
      const mail = compileMail(compileTemplate({ from: "hello@example.com", subject: "For {{ a }}", text: "x" }));
      const merge = () => mergeMail(mail, { ...FIELDS, data: { a } });
      // oxlint-disable-next-line no-control-regex
      if (a.length > 994 || /[\u0000-\u0008\u000a-\u001f\u007f]/.test(a)) {
        assert.throws(merge, (error) => error instanceof ComposeRefused && error.field === "Subject");
        return;
      }
      const read = await PostalMime.parse(merge().text);
      assert.equal(read.subject, Buffer.from(`For ${a}`, "utf8").toString("utf8"));
    }),
    { numRuns: 800 },
  );
});
