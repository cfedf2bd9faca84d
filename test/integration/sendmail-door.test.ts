// The sendmail command and the transport for Nodemailer with the real SMTP door and its database: what was sent is there
// once, as it was sent, whatever happens to the connection.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import nodemailer from "nodemailer";
import PostalMime from "postal-mime";
import { postlaneTransport } from "../../src/client/nodemailer.ts";
import { startCuttingProxy, type Cut } from "../rig/cutting-proxy.ts";
import { until } from "../rig/lane-mail.ts";
import { needs } from "../rig/needs.ts";
import { testDatabase } from "../rig/postgres.ts";
import { endWithTest, startCommand } from "./cli-command.ts";
import { NOBODY, runSendmail, SENDMAIL, sendmailRig } from "./sendmail-command.ts";
import { keptMail, openDoor, withoutReceived } from "./smtp-rig.ts";

const MAIL = "To: Ann <ann@example.com>\nBcc: bob@example.com\nSubject: Hello\n\nHello Ann\n";

test("PHP's mail() becomes a submission of the door sendmail, and what Postlane needs to know does not leave", async (t) => {
  if (!needs(t, "php")) return;
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const rig = sendmailRig(t, `127.0.0.1:${port}`);
  const script = `exit(mail("Ann <ann@example.com>", "Hello", "Hello Ann\\n.\\n", [
    "From" => "shop@example.com", "Bcc" => "bob@example.com", "X-Postlane-Lane" => "bulk"]) ? 0 : 1);`;
  const sendmail = `${process.execPath} ${SENDMAIL} -t -i -f bounces@example.com`;
  await promisify(execFile)("php", ["-n", "-d", `sendmail_path=${sendmail}`, "-r", script], { env: rig.env });
  const [kept, ...more] = await keptMail(pool);
  assert.deepEqual(more, []);
  assert.deepEqual([kept!.door, kept!.credential, kept!.lanes], ["sendmail", "loopback", ["bulk", "bulk"]]);
  assert.deepEqual(
    [kept!.recipients, kept!.mail.sender],
    [["ann@example.com", "bob@example.com"], "bounces@example.com"],
  );
  assert.doesNotMatch(kept!.raw, /X-Postlane|\bBcc\b|bob@/i);
  const read = await PostalMime.parse(Buffer.from(kept!.raw, "latin1"));
  assert.deepEqual([read.subject, read.text?.trimEnd()], ["Hello", "Hello Ann\n."]);
});

test("a mail whose reply was lost waits, goes again with its key, and is there once", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const cutting = await startCuttingProxy(t, {
    to: { host: "127.0.0.1", port },
    cutOf: () => "after the reply",
  });
  const rig = sendmailRig(t, `127.0.0.1:${cutting.port}`);
  assert.equal((await runSendmail(rig, ["-t"], MAIL)).exitCode, 0);
  assert.deepEqual(rig.kept(), ["mail"]);
  assert.equal((await keptMail(pool)).length, 1, "the door had it all the same");
  const env = { ...rig.env, POSTLANE_SMTP: `127.0.0.1:${port}` };
  const flushed = await runSendmail({ env }, ["--flush"], "");
  assert.match(flushed.stderr, /1 taken, 0 still waiting/);
  const [kept, ...more] = await keptMail(pool);
  assert.deepEqual([more, rig.kept()], [[], []]);
  assert.match(withoutReceived(kept!.raw), /^From: .*\r\nDate: .*\r\nMessage-ID: .*\r\nTo: Ann <ann@example.com>\r\n/);
});

test("what was kept while nothing ran is handed over by the front", async (t) => {
  const database = await testDatabase(t);
  const rig = sendmailRig(t, NOBODY);
  await runSendmail(rig, ["-t"], MAIL);
  await runSendmail(rig, ["-i", "carl@example.com"], "Subject: two\n\n.\n");
  const config = path.join(rig.env["HOME"]!, "postlane.yaml");
  writeFileSync(config, `listen: { smtp: "127.0.0.1:0" }\nsendmail: { spool: ${JSON.stringify(rig.spool)} }\n`);
  const front = startCommand(database, ["front", "--config", config]);
  front.stderr!.resume();
  endWithTest(t, front);
  await until("the spool is empty", () => rig.kept().length === 0);
  const subjects = (await keptMail(database.pool)).map(({ raw, door }) => [/^Subject: (.*)\r$/m.exec(raw)?.[1], door]);
  assert.deepEqual(subjects, [
    ["Hello", "sendmail"],
    ["two", "sendmail"],
  ]);
});

test("fifty mails of Nodemailer at once are there once each, however often their replies are cut", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const cuts: readonly Cut[] = ["before the dot", "at the dot", "after the reply"];
  const tries = new Map<string, number>();
  const proxy = await startCuttingProxy(t, {
    to: { host: "127.0.0.1", port },
    cutOf(recipient) {
      const at = tries.get(recipient) ?? 0;
      tries.set(recipient, at + 1);
      // Each mail's first try is cut in one of the ways, and the second of every other one.
      const number = Number(/\d+/.exec(recipient)?.[0]);
      return at === 0 || (at === 1 && number % 2 === 0) ? cuts[(number + at) % cuts.length] : undefined;
    },
  });
  const transporter = nodemailer.createTransport(postlaneTransport({ port: proxy.port, connectionsMax: 10 }));
  t.after(() => transporter.close());
  const sent = await Promise.all(
    Array.from({ length: 50 }, (_, at) =>
      transporter.sendMail({ from: "shop@example.com", to: `ann${at}@example.com`, subject: `Order ${at}`, text: "x" }),
    ),
  );
  const kept = await keptMail(pool);
  assert.deepEqual(
    kept.map(({ recipients }) => recipients.join(" ")).toSorted(),
    Array.from({ length: 50 }, (_, at) => `ann${at}@example.com`).toSorted(),
  );
  assert.equal(
    [...tries.values()].reduce((sum, count) => sum + count, 0),
    125,
  );
  const ids = new Set(kept.map(({ id }) => `sub_${id}`));
  for (const { response } of sent) assert.ok(ids.has(/sub_\d+/.exec(response)?.[0] ?? ""), response);
});
