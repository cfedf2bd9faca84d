// The real Nodemailer with our transport: what it wrote arrives octet by octet, with attachments, and once, however the
// connection fails.

import assert from "node:assert/strict";
import { test } from "node:test";
import nodemailer from "nodemailer";
import PostalMime from "postal-mime";
import { PostlaneError, postlaneTransport } from "../../src/client/nodemailer.ts";
import { DROP, startScriptedSink, type SinkMessage } from "../rig/scripted-sink.ts";

const keyOf = ({ content }: SinkMessage): string | undefined =>
  /^X-Postlane-Idempotency-Key: (\S+)/m.exec(content.toString("latin1"))?.[1];

test("a mail with everything arrives as Nodemailer wrote it", async (t) => {
  const sink = await startScriptedSink(t);
  const transporter = nodemailer.createTransport(postlaneTransport({ port: sink.port }));
  const picture = Buffer.from(Array.from({ length: 5000 }, (_, at) => at % 256));
  const info = await transporter.sendMail({
    from: "Shöp <shop@example.com>",
    to: ["Ann <ann@example.com>", "bob@example.com"],
    bcc: "archive@example.com",
    subject: "Grüße",
    text: ".\n..\nGrüße\n",
    html: "<p>Grüße</p>",
    headers: { "X-Postlane-Lane": "bulk" },
    attachments: [{ filename: "picture.bin", content: picture }],
  });
  transporter.close();
  const [mail] = sink.accepted;
  assert.equal(mail!.sender, "shop@example.com");
  assert.deepEqual(mail!.recipients, ["ann@example.com", "bob@example.com", "archive@example.com"]);
  assert.deepEqual(info.accepted, mail!.recipients);
  assert.match(info.response, /^250 /);
  const read = await PostalMime.parse(mail!.content);
  assert.equal(read.messageId, info.messageId);
  assert.deepEqual([read.subject, read.bcc, read.text?.trimEnd()], ["Grüße", undefined, ".\n..\nGrüße"]);
  assert.deepEqual(Buffer.from(read.attachments[0]!.content as ArrayBuffer), picture);
  assert.match(keyOf(mail!)!, /^nodemailer-[0-9a-f-]{36}$/);
  assert.deepEqual(sink.breaches, []);
});

test("what is not answered or put off goes again, with its key and octet by octet", async (t) => {
  const sink = await startScriptedSink(t, {
    answer: ({ verb, nth }) => {
      if (verb === "DOT") return nth === 1 ? DROP : nth === 2 ? "451 4.3.0 later" : undefined;
      return verb === "BANNER" && nth === 2 ? "421 4.3.2 too many" : undefined;
    },
  });
  const transporter = nodemailer.createTransport(postlaneTransport({ port: sink.port }));
  const mail = { from: "shop@example.com", to: "ann@example.com", subject: "x", html: "<p>x</p>", text: "x" };
  await transporter.sendMail(mail);
  assert.deepEqual([sink.messages.length, sink.accepted.length], [3, 1]);
  assert.equal(new Set(sink.messages.map(({ content }) => content.toString("latin1"))).size, 1);
  await transporter.sendMail({ ...mail, headers: { "X-Postlane-Idempotency-Key": "order-4711" } });
  assert.deepEqual(sink.accepted.map(keyOf).slice(1), ["order-4711"]);
});

test("what is refused for good is thrown with the door's words, and tried once", async (t) => {
  const sink = await startScriptedSink(t, {
    answer: ({ verb }) => (verb === "RCPT" ? "550 5.1.1 no such user" : undefined),
  });
  const transporter = nodemailer.createTransport(postlaneTransport({ port: sink.port }));
  const sent = transporter.sendMail({ from: "shop@example.com", to: "ann@example.com", text: "x" });
  await assert.rejects(sent, (error: unknown) => {
    assert.ok(error instanceof PostlaneError);
    assert.deepEqual([error.code, error.status], ["refused", 550]);
    assert.equal(error.message, "ann@example.com: 550 5.1.1 no such user");
    return true;
  });
  const gone = nodemailer.createTransport(postlaneTransport({ port: 1, retries: 1 }));
  await assert.rejects(gone.sendMail({ from: "a@example.com", to: "b@example.com", text: "x" }), {
    code: "unreachable",
  });
});

test("a hundred at once share a few connections", async (t) => {
  const sink = await startScriptedSink(t);
  const transporter = nodemailer.createTransport(postlaneTransport({ port: sink.port, connectionsMax: 3 }));
  const send = (_: unknown, at: number) =>
    transporter.sendMail({ from: "shop@example.com", to: `ann${at}@example.com`, text: "x" });
  await Promise.all(Array.from({ length: 100 }, send));
  assert.deepEqual([sink.accepted.length, sink.connectionCount], [100, 3]);
  transporter.close();
});
