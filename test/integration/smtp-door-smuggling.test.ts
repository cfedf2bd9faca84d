// SMTP smuggling (CVE-2023-51764 and its kin): a mail within a mail, behind an end that is none. Whatever the sequence and
// wherever the network cuts it: one in, at most one kept, and never a bare CR, a bare LF or a NUL.

import assert from "node:assert/strict";
import { test } from "node:test";
import { FALSE_ENDS } from "../rig/false-ends.ts";
import { testDatabase } from "../rig/postgres.ts";
import { keptMail, openDoor, Talk } from "./smtp-rig.ts";

const SEQUENCES = [...FALSE_ENDS, "\r\n .\r\n", "\r\n..\r\n", "\r\n.\x85", "\x85.\x85", "\u2028.\u2028"];

const SMUGGLED =
  "MAIL FROM:<admin@example.com>\r\nRCPT TO:<eve@example.com>\r\nDATA\r\nSubject: smuggled\r\n\r\nsmuggled";
/** Sequences that hold nothing forbidden: the mail is one mail, with all of it inside. */
const HARMLESS = new Set(["\r\n .\r\n", "\r\n..\r\n", "\r\n.\x85", "\x85.\x85", "\u2028.\u2028"]);

test("one in, at most one kept", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  let kept = 0;
  for (const sequence of SEQUENCES) {
    const wire = Buffer.from(
      `Subject: outer\r\n\r\nouter${sequence}${SMUGGLED}\r\n.\r\n`,
      sequence > "\u0100" ? "utf8" : "latin1",
    );
    for (const segments of segmentations(wire)) {
      const what = `${JSON.stringify(sequence)} in ${segments.length} pieces`;
      const talk = await Talk.with(port);
      await talk.sayAll("MAIL FROM:<site@example.com>", "RCPT TO:<ann@example.com>", "DATA");
      await talk.writeInPieces(segments);
      const reply = await talk.reply();
      assert.match(reply, HARMLESS.has(sequence) ? /^250/ : /^554 5\.6\.0/, what);
      assert.equal(await talk.say("NOOP"), "250 2.0.0 OK", `${what}: nothing else was answered`);
      talk.end();
      const mails = await keptMail(pool);
      kept += HARMLESS.has(sequence) ? 1 : 0;
      assert.equal(mails.length, kept, what);
      assert.ok(mails.every(({ raw }) => !/\r(?!\n)|(?<!\r)\n|\0/.test(raw)));
      assert.ok(mails.every(({ recipients }) => recipients.join() === "ann@example.com"));
    }
  }
  assert.ok(kept > 0);
});

test("a whole second mail in one write is a second mail", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talk = await Talk.with(port);
  const mail = (to: string): string =>
    `MAIL FROM:<>\r\nRCPT TO:<${to}>\r\nDATA\r\nSubject: to ${to}\r\n\r\n..\r\n.\r\n`;
  talk.write(`${mail("ann@example.com")}${mail("bob@example.com")}QUIT\r\n`);
  const codes: string[] = [];
  for (let count = 0; count < 9; count++) codes.push((await talk.reply()).slice(0, 3));
  assert.deepEqual(codes, ["250", "250", "354", "250", "250", "250", "354", "250", "221"]);
  assert.deepEqual(
    (await keptMail(pool)).map(({ recipients }) => recipients.join()),
    ["ann@example.com", "bob@example.com"],
  );
});

/** At once; cut around what could be an end; and octet by octet. */
function segmentations(wire: Buffer): readonly (readonly Buffer[])[] {
  const at = wire.indexOf("outer", wire.indexOf("outer") + 1) + 5;
  const cutAt = (...cuts: readonly number[]): readonly Buffer[] =>
    [0, ...cuts].map((start, index) => wire.subarray(start, cuts[index] ?? wire.length));
  const octets = Array.from({ length: wire.length - 1 }, (_, index) => index + 1);
  return [[wire], cutAt(at), cutAt(at + 1), cutAt(at + 2), cutAt(at + 3), cutAt(at + 1, at + 2), cutAt(...octets)];
}
