// What a log or the kernel may say, whatever it is, breaks nothing, and what is made of it fits a database: no control
// character, no endless text, a time that is one.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { envelopeOf } from "../../src/gauges/empty-maildir.ts";
import { parsePressure } from "../../src/gauges/pressure.ts";
import { createRelayLines } from "../../src/gauges/relay-lines.ts";
import { createRelayMemory } from "../../src/gauges/relay-memory.ts";
import { tokenOfReturnPath } from "../../src/mail/return-token.ts";

const NOW_MS = Date.UTC(2026, 10, 26, 12);
const VALUE_CHARS_MAX = 8192;
const anything = fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), fc.constant("x".repeat(20_000)));
const word = fc.constantFrom(
  "to=<",
  ">",
  "from=<",
  ", ",
  "status=sent (",
  "relay=",
  "dsn=2.0.0",
  "AAAAAAA1: ",
  "\u0000",
  '"',
  "\\",
);
const texts = fc.oneof(
  anything,
  fc.array(fc.oneof(word, anything), { maxLength: 12 }).map((parts) => parts.join("")),
);
const program = fc.constantFrom("smtp", "smtpd", "qmgr", "master", "virtual", "x");

test("no line breaks the reader of a log, and what it tells fits a text column", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(program, texts, fc.boolean())), (parts) => {
      const tokenOf = (address: string) => tokenOfReturnPath(address, "returns.example");
      const memory = createRelayMemory(tokenOf);
      const settings = { outlet: "news", instance: "postfix", means: "delivered" as const, tokenOf };
      const lines = createRelayLines(settings, memory);
      for (const [name, rest, hasHead] of parts) {
        const arrival = lines.read(hasHead ? `Nov 26 12:00:00 h postfix/${name}[1]: ${rest}` : rest, NOW_MS);
        for (const value of Object.values(arrival?.body ?? {})) {
          assert.equal(typeof value, "string");
          assert.ok(
            (value as string).length <= VALUE_CHARS_MAX && !/\p{Cc}/u.test(value as string),
            JSON.stringify(value),
          );
        }
      }
    }),
  );
});

test("no pressure but a share is read", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        anything,
        anything.map((tail) => `some avg10=${tail}`),
      ),
      (text) => {
        const share = parsePressure(text);
        assert.ok(share === undefined || (share >= 0 && share <= 1));
      },
    ),
  );
});

test("no mail breaks the search for its envelope's recipient", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), anything, (octets, address) => {
      for (const raw of [Buffer.from(octets), Buffer.from(`Delivered-To: ${address}\r\n\r\nbody`)]) {
        const { recipient } = envelopeOf(raw);
        assert.ok(recipient === undefined || (recipient.length <= 320 && !/\p{Cc}/u.test(recipient)));
      }
    }),
  );
});
