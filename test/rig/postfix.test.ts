// The rig's own proof: a message goes through the private Postfix into the sink as it was, and nothing stays behind.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import net from "node:net";
import { it } from "node:test";
import { promisify } from "node:util";

import { needs } from "./needs.ts";
import { needsPostfix, startPostfix } from "./postfix.ts";
import { startSmtpSink } from "./smtp-sink.ts";

const run = promisify(execFile);
const deliverMsMax = 20_000;

it("the sink counts, and keeps what it is told to keep", async (t) => {
  if (!needs(t, "smtp-sink")) return;
  const sink = await startSmtpSink(t, { keep: true });
  assert.equal(sink.count(), 0);
  const content = "Subject: one\r\n\r\n..two dots become one\r\n.. \r\nlast\r\n";
  await speak(sink.port, ["EHLO a.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@y.test>", "DATA", `${content}.`, "QUIT"]);
  assert.equal(await sink.waitForCount(1, deliverMsMax), 1);
  const [kept] = sink.kept();
  assert.deepEqual([kept?.mailFrom, kept?.rcptTo], ["a@x.test", ["b@y.test"]]);
  assert.equal(kept?.content.toString(), "Subject: one\n\n.two dots become one\n. \nlast\n");
});

it("a private Postfix relays what it gets, and is gone after its stop", async (t) => {
  if (!needsPostfix(t)) return;
  const sink = await startSmtpSink(t, { keep: true });
  const postfix = await startPostfix(t, { relayTo: sink });
  await run("/usr/sbin/smtp-source", ["-f", "a@x.test", "-t", "b@y.test", "-m", "5", `127.0.0.1:${postfix.port}`]);
  assert.equal(await sink.waitForCount(5, deliverMsMax), 5);
  for (const { mailFrom, rcptTo } of sink.kept()) assert.deepEqual([mailFrom, ...rcptTo], ["a@x.test", "b@y.test"]);
  await postfix.stop();
  assert.equal(existsSync(postfix.configDir), false);
  await assert.rejects(speak(postfix.port, ["QUIT"]));
});

it("what a Postfix cannot deliver stays in its queue and is counted", async (t) => {
  if (!needsPostfix(t)) return;
  const sink = await startSmtpSink(t, { args: ["-r", "RCPT"] });
  const postfix = await startPostfix(t, { relayTo: sink });
  await run("/usr/sbin/smtp-source", ["-f", "a@x.test", "-t", "b@y.test", "-m", "3", `127.0.0.1:${postfix.port}`]);
  assert.equal(postfix.queueCount(), 3);
});

/** Says each line once the one before was answered; rejects when nobody listens. */
async function speak(port: number, lines: readonly string[]): Promise<void> {
  const socket = net.connect(port, "127.0.0.1");
  const rest = [...lines];
  let reply = "";
  for await (const chunk of socket) {
    reply += String(chunk);
    if (!/^\d{3} [^\n]*\n$/m.test(reply)) continue;
    reply = "";
    const line = rest.shift();
    if (line !== undefined) socket.write(`${line}\r\n`);
  }
  assert.deepEqual(rest, []);
}
