// Whatever a client says it is from: a key that is bound to domains lets through these and no other, and what it is told
// can be printed.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { whyNotAllowed, LOOPBACK_SENDER } from "../../src/senders/may-submit.ts";

const sender = { ...LOOPBACK_SENDER, lanes: ["bulk"], fromDomains: ["shop.example"] };

const hostile = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }).map((text) => `a@shop.example${text}`),
  fc.string({ unit: "grapheme" }).map((text) => `a@${text}shop.example`),
  fc.emailAddress(),
);

test("no address of ASCII passes that is not of the very domain", () => {
  fc.assert(
    fc.property(hostile, (address) => {
      const answer = whyNotAllowed(sender, { lane: "bulk", from: [address] });
      // In other scripts a domain can be written in many ways; where one is the same, its A-label is.
      if (answer === undefined && /^[\0-\x7f]*$/.test(address)) assert.match(address, /^(?:<>)?$|@shop\.example$/i);
      if (answer !== undefined) assert.match(answer.message + answer.hint, /^[ -~]{1,1000}$/);
    }),
    { numRuns: 2000 },
  );
});

test("no lane passes but the key's own", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (lane) => {
      const answer = whyNotAllowed(sender, { lane, from: [] });
      assert.equal(answer === undefined, lane === "bulk");
      if (answer !== undefined) assert.match(answer.message + answer.hint, /^[ -~]{1,1000}$/);
    }),
  );
});
