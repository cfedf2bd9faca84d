// Whatever envelope and content we are handed: what is written is free of bare CR, bare LF and NUL, and has exactly the
// commands of one transaction. The rest is refused here.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NO_EXTENSIONS, parseExtensions } from "../../src/handover/smtp-extensions.ts";
import { contentWithFinalDot, prepareTransaction } from "../../src/handover/smtp-transaction.ts";

const nasty = fc.constantFrom(
  "\r",
  "\n",
  "\0",
  "\r\n",
  ".",
  ">",
  "<",
  " ",
  "@",
  "a",
  "\u010a",
  "\u010d",
  "é",
  "\u2028",
  "\ud800",
  "ｂ",
  "。",
  "＞",
);
const anyText = fc.oneof(
  fc.array(nasty, { maxLength: 12 }).map((pieces) => pieces.join("")),
  fc.string({ unit: "binary", maxLength: 20 }),
);
const anyAddress = fc.oneof(
  anyText,
  fc.tuple(anyText, anyText).map(([local, domain]) => `${local}@${domain}`),
);
const offers = fc.constantFrom(NO_EXTENSIONS, parseExtensions(["x", "PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8"]));

test("only safe octets reach the wire", () => {
  fc.assert(
    fc.property(anyAddress, anyAddress, anyText, fc.boolean(), offers, (sender, recipient, text, isAscii, offered) => {
      const ended = `${text}\r\n`;
      const content = { text: ended, isAscii };
      const prepared = prepareTransaction({ token: "t", envelope: { sender, recipient }, content }, offered, "h:25");
      if (prepared.kind === "refused") return;
      const commands = octets(prepared.transaction.envelope);
      assert.match(commands, /^MAIL FROM:<[^\r\n\0<> ]*>[ A-Z0-9=]*\r\nRCPT TO:<[^\r\n\0<> ]+>\r\nDATA\r\n$/);
      const wire = octets(contentWithFinalDot(prepared.transaction));
      assert.ok(!/\r(?!\n)|(?<!\r)\n|\0/.test(wire));
      assert.ok(wire.indexOf("\r\n.\r\n") === wire.length - 5 || wire === "\r\n.\r\n");
    }),
    { numRuns: 20_000 },
  );
});

/** As the connection writes it. */
const octets = (text: string): string => Buffer.from(text, "latin1").toString("latin1");
