// SMTP smuggling onwards: whatever a caller puts into a text, a page, a subject or a header, and whatever a mail that the
// SMTP door has let in holds, toward Postfix and Exim it is one mail, and on the wire there is never a bare CR or LF.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Pool } from "pg";
import { systemClock } from "../../src/platform/clock.ts";
import { createAcceptance } from "../../src/submission/accept-submission.ts";
import type { Submission } from "../../src/submission/submission.ts";
import { needsExim, startExim } from "../rig/exim.ts";
import { FALSE_ENDS } from "../rig/false-ends.ts";
import { startLane } from "../rig/lane.ts";
import { untilEmpty } from "../rig/lane-mail.ts";
import { needsPostfix, startPostfix } from "../rig/postfix.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startScriptedSink, type ScriptedSink } from "../rig/scripted-sink.ts";

// A NUL no text of the database can hold.
const SEQUENCES = [
  ...FALSE_ENDS.filter((end) => !end.includes("\0")),
  "\r\n.\r\n",
  "\r\n..\r\n",
  "\r\n .\r\n",
  "\x85.\x85",
  "\u2028.\u2028",
];
const COMMANDS = "MAIL FROM:<admin@shop.example>\r\nRCPT TO:<eve@victim.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nx";
const HOSTILE = SEQUENCES.map((sequence) => `outer${sequence}${COMMANDS}${sequence}`);

test("on the wire: no bare CR or LF, and one content for each message", async (t) => {
  const database = await testDatabase(t);
  const sink = await startScriptedSink(t, { extensions: ["PIPELINING", "8BITMIME", "SMTPUTF8"] });
  const accepted = await submitAll(database.pool);
  await startLane(t, { database, relay: sink });
  await sink.waitFor(() => sink.accepted.length >= accepted);
  assertOneEach(sink, accepted);
  assert.deepEqual(sink.breaches, []);
});

test("through Postfix: one in, one out", async (t) => {
  if (!needsPostfix(t)) return;
  await throughRelay(t, async (sink) => await startPostfix(t, { relayTo: { host: "127.0.0.1", port: sink.port } }));
});

test("through Exim: one in, one out", async (t) => {
  if (!(await needsExim(t))) return;
  await throughRelay(t, async ({ port }) => {
    const host = { host: "127.0.0.1", port };
    return await startExim(t, { routes: { "example.com": host, "victim.example": host } });
  });
});

async function throughRelay(
  t: TestContext,
  startRelay: (behind: ScriptedSink) => Promise<{ readonly port: number }>,
): Promise<void> {
  const database = await testDatabase(t);
  const behind = await startScriptedSink(t, { extensions: ["PIPELINING", "8BITMIME", "SMTPUTF8"] });
  const relay = await startRelay(behind);
  const accepted = await submitAll(database.pool);
  await startLane(t, { database, relay });
  await untilEmpty(database.pool);
  await behind.waitFor(() => behind.accepted.length >= accepted);
  assertOneEach(behind, accepted);
}

function assertOneEach(sink: ScriptedSink, accepted: number): void {
  assert.equal(sink.accepted.length, accepted);
  const recipients = sink.accepted.flatMap((message) => message.recipients);
  assert.equal(new Set(recipients).size, accepted, "one message each");
  assert.ok(
    recipients.every((recipient) => /^user\d+@example\.com$/.test(recipient)),
    recipients.join(" "),
  );
  assert.ok(sink.accepted.every((message) => !message.hasBareNewline && message.sender !== "admin@shop.example"));
}

/** By every way that takes texts, and as whole mails with what the SMTP door lets in. Answers how many were accepted. */
async function submitAll(pool: Pool): Promise<number> {
  const acceptance = createAcceptance(pool, systemClock, new Set(["bulk"]));
  const answers = await Promise.all(HOSTILE.flatMap(submissionsOf).map((submission) => acceptance.accept(submission)));
  const refused = answers.filter(({ kind }) => kind === "refused");
  // In a subject or a header a line break is refused; what is none there goes as a word.
  assert.ok(refused.length > HOSTILE.length, `${refused.length} were refused`);
  return answers.length - refused.length;
}

let users = 0;

function submissionsOf(hostile: string): readonly Submission[] {
  const from = "shop@shop.example";
  const to = (): string => `user${++users}@example.com`;
  const email = (fields: object): Submission => ({
    kind: "email",
    door: "http",
    credential: "key:1",
    email: { from, to: to(), text: "Hello", ...fields },
  });
  const mail: Submission = {
    kind: "mail",
    door: "smtp",
    credential: "loopback",
    envelope: { to: [to()], mail: { sender: from } },
    raw: Buffer.from(`From: ${from}\r\nSubject: raw\r\n\r\n${hostile}\r\n`),
  };
  return [
    email({ text: hostile }),
    email({ html: `<p>${hostile}</p>` }),
    email({ subject: hostile }),
    email({ headers: { "X-Order": hostile } }),
    email({ from: `"${hostile}" <${from}>` }),
    ...(/\r(?!\n)|(?<!\r)\n/.test(hostile) ? [] : [mail]),
  ];
}
