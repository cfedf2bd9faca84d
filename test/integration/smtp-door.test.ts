// The SMTP door spoken to by hand, over a real database: what it takes, what it keeps of it, and what it refuses.

import assert from "node:assert/strict";
import { test } from "node:test";
import { testDatabase } from "../rig/postgres.ts";
import { keptMail, openDoor, Talk, withoutReceived } from "./smtp-rig.ts";

const HEADER =
  "From: Site <site@example.com>\r\nMessage-ID: <1@example.com>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n";

test("a mail to several is kept as it came, once, and answered with its submission", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talk = await Talk.with(port);
  const content = `${HEADER}Subject: x\r\n\r\n.\r\n..two\r\nlast\r\n`;
  const reply = await talk.mail(content, ["ann@example.com", "bob@example.net", "Ann@Example.com"]);
  const [kept, ...others] = await keptMail(pool);
  assert.equal(reply, `250 2.0.0 sub_${kept?.id} queued`);
  assert.deepEqual(others, []);
  assert.equal(withoutReceived(kept!.raw), content);
  assert.deepEqual(
    { door: kept?.door, credential: kept?.credential, to: kept?.recipients, mail: kept?.mail },
    {
      door: "smtp",
      credential: "loopback",
      to: ["ann@example.com", "bob@example.net"],
      mail: { sender: "site@example.com" },
    },
  );
  talk.end();
});

test("what is offered, and every reply has its enhanced code", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talk = await Talk.at(port);
  const ehlo = await talk.say("EHLO client.test");
  const offered = ehlo.split("\r\n").map((line) => line.slice(4));
  const extensions = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "AUTH PLAIN LOGIN"];
  assert.deepEqual(offered, ["door.test", ...extensions, `SIZE ${10 * 2 ** 20}`]);
  const replies = await talk.sayAll(
    "NOOP",
    "RSET",
    "VRFY ann",
    "HELP",
    "WIZ x",
    "STARTTLS",
    "RCPT TO:<ann@example.com>",
    "DATA",
    "MAIL FROM:<site@example.com>",
    "MAIL FROM:<site@example.com>",
    "DATA",
    "RCPT TO:<ann>",
    "RCPT TO:<ann@example.com> X=1",
    "RSET",
    "AUTH PLAIN AGEAYg==",
    "QUIT",
  );
  for (const reply of replies) assert.match(reply, /^([245])\d\d \1\.\d{1,3}\.\d{1,3} [ -~]+$/, reply);
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 9)),
    [
      "250 2.0.0",
      "250 2.0.0",
      "252 2.1.5",
      "500 5.5.2",
      "500 5.5.2",
      "502 5.5.1",
      "503 5.5.1",
      "503 5.5.1",
      "250 2.1.0",
      "503 5.5.1",
      "554 5.5.1",
      "553 5.1.3",
      "555 5.5.4",
      "250 2.0.0",
      "535 5.7.8",
      "221 2.0.0",
    ],
  );
});
