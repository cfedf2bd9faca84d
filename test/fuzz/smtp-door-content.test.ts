// Whatever octets come, in whatever pieces: the door reads what a reader of whole texts reads, and never keeps a bare CR,
// a bare LF or a NUL.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ContentReader, createReadingRoom } from "../../src/doors/smtp/read-content.ts";

const piece = fc.constantFrom(
  "\r\n",
  "\r",
  "\n",
  "\0",
  ".",
  "..",
  "a",
  "\r\n.\r\n",
  "\r\n.",
  ".\r\n",
  "\n.\n",
  "MAIL FROM:<a@b.c>",
);
const wires = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(""));
const cuts = fc.array(fc.nat({ max: 200 }), { maxLength: 20 });

test("in any segmentation the same", () => {
  fc.assert(
    fc.property(wires, cuts, (wire, at) => {
      const octets = Buffer.from(wire, "latin1");
      const expected = readWhole(wire);
      const reader = new ContentReader(createReadingRoom(2 ** 20), 2 ** 20);
      let before = 0;
      let end: number | undefined;
      for (const part of partsOf(octets, at)) {
        const used = reader.feed(part);
        if (used !== undefined) {
          end = before + used;
          break;
        }
        before += part.length;
      }
      assert.equal(end, expected?.end);
      if (expected === undefined) return;
      const read = reader.end();
      const isFaulty = /\r(?!\n)|(?<!\r)\n|\0/.test(expected.lines);
      assert.equal(read.kind, isFaulty ? "faulty" : "whole");
      if (read.kind === "whole") assert.equal(read.content.toString("latin1"), expected.content);
    }),
    { numRuns: 50_000 },
  );
});

/** RFC 5321 §4.1.1.4 and §4.5.2 on a whole text. */
function readWhole(wire: string) {
  const at = `\r\n${wire}`.indexOf("\r\n.\r\n");
  if (at === -1) return undefined;
  const lines = wire.slice(0, at);
  return { lines, content: lines.replaceAll(/(^|\r\n)\./g, "$1"), end: at + 3 };
}

function partsOf(octets: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [0, ...cuts.filter((cut) => cut < octets.length).toSorted((one, other) => one - other), octets.length];
  return places.slice(1).map((end, index) => octets.subarray(places[index], end));
}
