// From a client's SMTP to its notice by SMTP: a front and a dispatcher as they run, and a relay that refuses one of two
// recipients.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import nodemailer from "nodemailer";
import { parseNotice } from "../../src/returns/parse-notice.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";
import { endWithTest, lineOf, startSupervised } from "./cli-command.ts";

test("a refused recipient and one that was asked about are told of at MAIL FROM, from the null sender", async (t) => {
  const database = await testDatabase(t);
  const sink = await startScriptedSink(t, {
    answer: ({ verb, recipient }) =>
      verb === "RCPT" && recipient === "ann@example.com" ? "550 5.1.1 no such user" : undefined,
  });
  writeFileSync(
    path.join(database.dataDir, "postlane.yaml"),
    `from: "Site <hello@site.example>"
listen: { http: off, smtp: "127.0.0.1:0", returns: off }
returns: { domain: returns.example }
resolvers: ["127.0.0.1:9"]
outlets: { default: { type: smtp, hosts: ["127.0.0.1:${sink.port}"] } }
`,
  );
  const front = startSupervised(database, ["front"]);
  endWithTest(t, front);
  const opened = await lineOf(front, /smtp\.opened/, "stderr");
  endWithTest(t, startSupervised(database, ["dispatcher", "--lane", "transactional"]));

  const { port } = JSON.parse(opened) as { port: number };
  const client = nodemailer.createTransport({ host: "127.0.0.1", port, secure: false, ignoreTLS: true });
  t.after(() => client.close());
  await client.sendMail({
    from: "App <app@site.example>",
    to: ["ann@example.com", "bob@example.com"],
    subject: "Order",
    text: "Your order is on its way.",
    messageId: "<order-4711@site.example>",
    dsn: { id: "order=4711", return: "headers", notify: ["success", "failure"], recipient: "shop@site.example" },
  });
  await sink.waitFor(() => sink.accepted.length === 3);
  const toApp = sink.accepted.filter(({ recipients }) => recipients.includes("app@site.example"));
  const told = toApp.map(({ sender, content }) => ({ sender, notice: parseNotice(content, sender) }));
  assert.deepEqual(
    told.map(({ sender }) => sender),
    ["", ""],
    "return paths name the attempt, but not of a notice",
  );
  const said = told.map(({ notice }) => {
    assert.equal(notice.kind, "notice");
    assert.equal(notice.originalEnvelopeId, "order=4711");
    assert.equal(notice.messageId, "<order-4711@site.example>");
    const { finalRecipient, action, status } = notice.recipients[0]!;
    return [finalRecipient, action, status];
  });
  assert.deepEqual(
    said.toSorted(([one = ""], [other = ""]) => one.localeCompare(other)),
    [
      ["ann@example.com", "failed", "5.1.1"],
      ["bob@example.com", "relayed", "2.0.0"],
    ],
  );
  assert.deepEqual(sink.breaches, []);
});
