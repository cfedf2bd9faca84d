// Replies mean the same in whatever pieces they arrive, and no bytes at all can break the parser.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  createReplyParser,
  feedReplies,
  REPLY_LINE_BYTES_KEPT,
  REPLY_LINE_BYTES_MAX,
  type ParsedReply,
} from "../../src/handover/reply-parser.ts";

const segments = (bytes: Buffer, cuts: readonly number[]): Buffer[] => {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].toSorted((one, other) => one - other);
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index] ?? bytes.length));
};

function parseIn(pieces: readonly Buffer[]): { replies: ParsedReply[]; error: string | undefined } {
  const parser = createReplyParser();
  const replies = pieces.flatMap((piece) => feedReplies(parser, piece));
  return { replies, error: parser.error };
}

const text = fc.string({ unit: "binary", maxLength: 40 }).map((line) => line.replaceAll(/[\r\n]/g, ""));
const reply = fc
  .record({ code: fc.integer({ min: 200, max: 599 }), lines: fc.array(text, { minLength: 1, maxLength: 5 }) })
  .map(({ code, lines }) =>
    lines.map((line, at) => `${code}${at === lines.length - 1 ? " " : "-"}${line}\r\n`).join(""),
  );

test("valid replies, in any segmentation, are all read", () => {
  fc.assert(
    fc.property(fc.array(reply, { maxLength: 10 }), fc.array(fc.nat(), { maxLength: 30 }), (replies, cuts) => {
      const bytes = Buffer.from(replies.join(""));
      const { replies: parsed, error } = parseIn(segments(bytes, cuts));
      assert.equal(error, undefined);
      assert.deepEqual(
        parsed.map(({ reply: { code } }) => String(code)),
        replies.map((one) => one.slice(0, 3)),
      );
      assert.deepEqual(parsed, parseIn([bytes]).replies);
      for (const one of parsed) assert.ok(!/\p{Cc}|\p{Surrogate}/u.test(one.reply.text));
    }),
    { numRuns: 500 },
  );
});

test("any bytes, in any segmentation, give the same replies and the same fault", () => {
  const likely = fc.constantFrom("250 ok\r\n", "250-ok\r\n", "354 ", "\r\n", "\n", "\r", "250", "-", "5.1.1 ", "\0");
  const bytes = fc.oneof(
    fc.array(likely).map((parts) => Buffer.from(parts.join(""))),
    fc.uint8Array().map((all) => Buffer.from(all)),
  );
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(), { maxLength: 30 }), (all, cuts) => {
      assert.deepEqual(parseIn(segments(all, cuts)), parseIn([all]));
    }),
    { numRuns: 1000 },
  );
});

test("what is kept of an unfinished line is bounded, and so is the line", () => {
  const parser = createReplyParser();
  const piece = Buffer.from("250 ".padEnd(10_000, "x"));
  for (let sentBytes = 0; sentBytes < REPLY_LINE_BYTES_MAX; sentBytes += piece.length) {
    assert.equal(parser.error, undefined);
    feedReplies(parser, piece);
    assert.ok(parser.rest.length <= REPLY_LINE_BYTES_KEPT);
  }
  assert.notEqual(parser.error, undefined);
});

test("long lines, in any segmentation, give the same replies and the same fault", () => {
  const length = fc.integer({ min: REPLY_LINE_BYTES_KEPT - 10, max: REPLY_LINE_BYTES_KEPT + 10 });
  const end = fc.constantFrom("\r\n", "\n", "\rx\r\n");
  const line = fc.tuple(fc.constantFrom("250-", "250 ", "junk"), length, end);
  const cuts = fc.array(fc.nat({ max: 3 * REPLY_LINE_BYTES_KEPT }), { maxLength: 30 });
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 3 }), cuts, (lines, at) => {
      const all = Buffer.from(lines.map(([head, bytes, tail]) => head.padEnd(bytes, "y") + tail).join(""));
      assert.deepEqual(parseIn(segments(all, at)), parseIn([all]));
    }),
    { numRuns: 300 },
  );
});
