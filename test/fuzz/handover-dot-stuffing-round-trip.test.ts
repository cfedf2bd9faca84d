// What a server that follows RFC 5321 §4.5.2 reads is what we were given, and it reads one content, never two.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isWireSafe, stuffDots } from "../../src/handover/dot-stuffing.ts";

const piece = fc.constantFrom(".", "..", "\r\n", "\r\n.", "\r\n.\r\n", "a", "é", "😀", " ", "MAIL FROM:<x@y>");
const safeText = fc.array(piece).map((pieces) => `${pieces.join("")}\r\n`);

/** By the letter: lines up to a line that is a lone dot, of every other line one leading dot taken away. */
function receive(wire: string): { content: string; rest: string } {
  const lines = wire.split("\r\n");
  const end = lines.indexOf(".");
  const content = lines.slice(0, end).map((line) => `${line.startsWith(".") ? line.slice(1) : line}\r\n`);
  return { content: content.join(""), rest: lines.slice(end + 1).join("\r\n") };
}

test("dot-stuffing is undone by the receiver, and the final dot is the first lone one", () => {
  fc.assert(
    fc.property(safeText, (text) => {
      assert.ok(isWireSafe(text));
      assert.deepEqual(receive(`${stuffDots(text)}.\r\nNEXT`), { content: text, rest: "NEXT" });
    }),
    { numRuns: 2000 },
  );
});

test("the check for bare CR, LF and NUL is as strict as the plain reading of the rule", () => {
  const risky = fc.array(fc.constantFrom("\r", "\n", "\0", "\r\n", ".", "a", "é")).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(risky, (text) => {
      const withoutPairs = text.replaceAll("\r\n", "");
      assert.equal(isWireSafe(text), text.endsWith("\r\n") && !/[\r\n\0]/.test(withoutPairs));
    }),
    { numRuns: 5000 },
  );
});
