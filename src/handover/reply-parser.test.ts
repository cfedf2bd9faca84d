import assert from "node:assert/strict";
import { test } from "node:test";
import { REPLY_TEXT_MAX } from "../mail/reply.ts";
import {
  createReplyParser,
  feedReplies,
  REPLY_LINE_BYTES_KEPT,
  REPLY_LINE_BYTES_MAX,
  REPLY_LINES_MAX,
} from "./reply-parser.ts";

function parse(text: string) {
  const parser = createReplyParser();
  const parsed = feedReplies(parser, Buffer.from(text, "utf8"));
  return { replies: parsed.map(({ reply }) => reply), lines: parsed.map(({ lines }) => lines), error: parser.error };
}

test("a reply has a code, an enhanced code of its own class, and text", () => {
  const cases: readonly (readonly [string, object])[] = [
    ["250 2.1.5 Ok\r\n", { code: 250, enhanced: "2.1.5", text: "Ok" }],
    ["250\r\n", { code: 250, text: "" }],
    ["250 \r\n", { code: 250, text: "" }],
    ["550 5.1.1\r\n", { code: 550, enhanced: "5.1.1", text: "" }],
    ["550 4.1.1 other class\r\n", { code: 550, text: "4.1.1 other class" }],
    ["550 5.01.1 leading zero\r\n", { code: 550, text: "5.01.1 leading zero" }],
    ["550 5.1 short\r\n", { code: 550, text: "5.1 short" }],
    ["550 5.1.1x\r\n", { code: 550, text: "5.1.1x" }],
    ["354 3.0.0 go\r\n", { code: 354, text: "3.0.0 go" }],
    ["250 5.\r\n", { code: 250, text: "5." }],
    [
      "550-5.7.1 first\r\n550-5.7.1 second\r\n550 5.7.1 third\r\n",
      { code: 550, enhanced: "5.7.1", text: "first second third" },
    ],
    ["550-first\r\n550 5.7.1 second\r\n", { code: 550, enhanced: "5.7.1", text: "first second" }],
  ];
  for (const [text, reply] of cases)
    assert.deepEqual(parse(text), { ...parse(text), replies: [reply], error: undefined });
});

test("control characters never get into a reply's text, and UTF-8 is read", () => {
  assert.equal(parse("550 a\x00b\x1bc\td\re\r\n").replies[0]?.text, "a b c d e");
  assert.equal(parse("550 Postfach für Zoë voll \u2028x\r\n").replies[0]?.text, "Postfach für Zoë voll  x");
});

test("a long text is cut, never inside a character", () => {
  const [reply] = parse(`550-${"x".repeat(REPLY_TEXT_MAX - 1)}\r\n550 😀\r\n`).replies;
  assert.equal(reply?.text.length, REPLY_TEXT_MAX);
  const [cut] = parse(`550-${"x".repeat(REPLY_TEXT_MAX - 2)}\r\n550 😀\r\n`).replies;
  assert.equal(cut?.text, `${"x".repeat(REPLY_TEXT_MAX - 2)} `);
});

test("the lines of an EHLO reply stay apart", () => {
  assert.deepEqual(parse("250-host\r\n250-SIZE 100\r\n250 AUTH PLAIN LOGIN\r\n").lines, [
    ["host", "SIZE 100", "AUTH PLAIN LOGIN"],
  ]);
});

test("what is no SMTP reply is a fault, and the replies before it count", () => {
  const bad: Readonly<Record<string, RegExp>> = {
    "250 Ok\n": /CRLF/,
    "\n": /CRLF/,
    "\r\n": /not an SMTP reply/,
    "hello\r\n": /not an SMTP reply/,
    "25 x\r\n": /not an SMTP reply/,
    "2500 x\r\n": /not an SMTP reply/,
    "199 x\r\n": /not an SMTP reply/,
    "600 x\r\n": /not an SMTP reply/,
    "250_x\r\n": /not an SMTP reply/,
    "250-a\r\n251 b\r\n": /code changes/,
    "250-a\r\n\r\n": /not an SMTP reply/,
  };
  for (const [text, error] of Object.entries(bad)) {
    const parsed = parse(`220 fine\r\n${text}250 never read\r\n`);
    assert.match(parsed.error ?? "no error", error, JSON.stringify(text));
    assert.deepEqual(parsed.replies, [{ code: 220, text: "fine" }]);
  }
});

test("a long line is read to its end, and only its beginning is kept", () => {
  const { replies, lines, error } = parse(
    `250-2.0.0 ${"x".repeat(65_536)}\r\n250 ${"y".repeat(65_536)}\r\n550 5.1.1 no\r\n`,
  );
  assert.equal(error, undefined);
  assert.deepEqual(
    replies.map(({ code, enhanced, text }) => [code, enhanced, text.length]),
    [
      [250, "2.0.0", REPLY_TEXT_MAX],
      [550, "5.1.1", "no".length],
    ],
  );
  assert.ok(lines.flat().every((line) => line.length <= REPLY_LINE_BYTES_KEPT));
  assert.match(parse(`250 ${"x".repeat(65_536)}\n`).error ?? "", /CRLF/);
});

test("a line without an end and the number of lines have a limit", () => {
  const room = REPLY_LINE_BYTES_MAX - "250 \r\n".length;
  assert.equal(parse(`250 ${"x".repeat(room)}\r\n`).error, undefined);
  assert.match(parse(`250 ${"x".repeat(room + 1)}\r\n`).error ?? "", /too long/);
  assert.match(parse(`250 ${"x".repeat(REPLY_LINE_BYTES_MAX)}`).error ?? "", /too long/);
  const lines = "250-x\r\n".repeat(REPLY_LINES_MAX - 1);
  assert.equal(parse(`${lines}250 x\r\n`).error, undefined);
  assert.match(parse(`${lines}250-x\r\n250 x\r\n`).error ?? "", /too many lines/);
});

test("after a fault nothing is read any more", () => {
  const parser = createReplyParser();
  feedReplies(parser, Buffer.from("junk\r\n"));
  assert.deepEqual(feedReplies(parser, Buffer.from("250 ok\r\n")), []);
});
