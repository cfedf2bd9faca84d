// A whole mail, as the SMTP door takes it, on its way through the queue: octet for octet, with what its submitter asked
// for; and submissions in groups, each answered for itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/platform/clock.ts";
import { createAcceptance } from "../../src/submission/accept-submission.ts";
import type { MailEnvelope, Submission } from "../../src/submission/submission.ts";
import { startLane } from "../rig/lane.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startScriptedSink } from "../rig/scripted-sink.ts";

// Every octet but CR, LF and NUL, a line that is too long, lines that begin with a dot.
const EVERY_OCTET = Buffer.from(Array.from({ length: 255 }, (_, at) => at + 1).filter((n) => n !== 10 && n !== 13));
const RAW = Buffer.concat([
  Buffer.from("From: a@shop.example\r\nSubject: caf\xe9\r\n\r\n.dot\r\n..dots\r\n", "latin1"),
  EVERY_OCTET,
  Buffer.from(`\r\n${"x".repeat(2000)}\r\n`),
]);

const mail = (envelope: Partial<MailEnvelope> = {}, raw = RAW): Submission => ({
  kind: "mail",
  door: "smtp",
  credential: "loopback",
  envelope: { to: ["ann@example.com"], mail: { sender: "bounces@shop.example" }, ...envelope },
  raw,
});

const email = (changes: object = {}): Submission => ({
  kind: "email",
  door: "http",
  credential: "key:1",
  email: { to: "ann@example.com", text: "Hello", ...changes },
});

test("a mail goes out octet for octet, to each of its recipients, with the wishes for notices", async (t) => {
  const database = await testDatabase(t);
  const extensions = ["PIPELINING", "8BITMIME", "DSN", "SIZE"];
  const sink = await startScriptedSink(t, { extensions });
  await startLane(t, { database, relay: sink });
  const acceptance = createAcceptance(database.pool, systemClock, new Set(["bulk"]));
  const answer = await acceptance.accept(
    mail({
      to: ["ann@example.com", "Bob@example.org"],
      mail: {
        sender: "bounces@shop.example",
        ret: "HDRS",
        envid: "order-4711",
        notify: { "ann@example.com": "SUCCESS,FAILURE", "Bob@example.org": "SUCCESS" },
        orcpt: { "ann@example.com": "rfc822;ann+2Bx@example.com" },
      },
    }),
  );
  assert.equal(answer.kind, "accepted");
  await until("both are there", () => sink.accepted.length === 2);
  for (const message of sink.accepted) {
    assert.ok(message.content.equals(RAW));
    assert.equal(message.sender, "bounces@shop.example");
    assert.equal(message.mailParameters, `SIZE=${RAW.length} BODY=8BITMIME RET=HDRS ENVID=order-4711`);
  }
  const recipients = sink.accepted.map((message) => message.recipients.join());
  assert.deepEqual(recipients.toSorted(), ["Bob@example.org", "ann@example.com"]);
  const rcpts = sink.commands
    .filter((line) => line.includes("RCPT"))
    .map((line) => line.replace(/^.*RCPT TO:<.*?> ?/, ""));
  assert.deepEqual(rcpts.toSorted(), ["NOTIFY=FAILURE ORCPT=rfc822;ann+2Bx@example.com", "NOTIFY=NEVER"]);
  assert.deepEqual(sink.breaches, []);
});

test("a null sender stays null, and a server without 8BITMIME gets no octet that it cannot take", async (t) => {
  const database = await testDatabase(t);
  const sink = await startScriptedSink(t, { extensions: [] });
  await startLane(t, { database, relay: sink });
  const acceptance = createAcceptance(database.pool, systemClock, new Set());
  const ascii = Buffer.from("Subject: x\r\n\r\nHello\r\n");
  for (const one of [mail({ mail: { sender: "" } }, ascii), mail({ to: ["eight@example.com"] })]) {
    await acceptance.accept(one);
  }
  await until("one is out", () => sink.accepted.length === 1);
  assert.equal(sink.accepted[0]?.sender, "");
  const kinds = await until("the other is told", async () => {
    const { rows } = await database.pool.query(
      "SELECT kind, reply FROM postlane.event JOIN postlane.message ON id = message_id WHERE recipient LIKE 'eight%'",
    );
    return rows.length > 0 && rows;
  });
  assert.match(String(kinds[0].reply), /5\.6\.3/);
});

test("each of a group is answered for itself, and a refusal takes nobody with it", async (t) => {
  const { pool } = await testDatabase(t);
  const acceptance = createAcceptance(pool, systemClock, new Set(["bulk"]));
  await pool.query("UPDATE postlane.lane SET full_because = 'test' WHERE name = 'bulk'");
  const submissions = [
    email(),
    email({ to: "nobody" }),
    mail(),
    mail({ to: ["nobody"] }),
    email({ subject: "a\nb" }),
    email({ lane: "bulk" }),
    email({ lane: "slow" }),
    email({ idempotency_key: "one" }),
    email({ idempotency_key: "one" }),
    email({ idempotency_key: "one", text: "other" }),
  ];
  const answers = await Promise.all(submissions.map((submission) => acceptance.accept(submission)));
  assert.deepEqual(
    answers.map((answer) => (answer.kind === "accepted" ? "accepted" : `${answer.code} ${answer.field}`)),
    [
      "accepted",
      "PL002 to",
      "accepted",
      "PL002 to",
      "PL001 subject",
      "PL009 lane",
      "PL003 lane",
      "accepted",
      "accepted",
    ].concat("PL005 idempotency_key"),
  );
  const again = await acceptance.accept(email({ idempotency_key: "one" }));
  assert.ok(again.kind === "accepted" && again.isRepeated);
  const { rows } = await pool.query("SELECT count(*)::integer AS n FROM postlane.submission");
  assert.equal(rows[0].n, 3);
});

test("a key that a door has made up names one submission for its time, and another one afterwards", async (t) => {
  const { pool } = await testDatabase(t);
  const acceptance = createAcceptance(pool, systemClock, new Set());
  const fingerprint = "ab".repeat(32);
  const keyed = mail({ idempotency_key: "made-up", fingerprint, key_kept_s: 86_400 });
  const ids = [];
  for (const isOver of [false, false, true]) {
    if (isOver) await pool.query("UPDATE postlane.idempotency_key SET expires_at = now() - interval '1 s'");
    const answer = await acceptance.accept(keyed);
    assert.ok(answer.kind === "accepted");
    ids.push(answer.submissionId);
  }
  assert.equal(ids[0], ids[1]);
  assert.notEqual(ids[1], ids[2]);
});

test("ten at the same time with one key make one submission", async (t) => {
  const { pool } = await testDatabase(t);
  // Each with groups of its own, as ten fronts would have.
  const fronts = Array.from({ length: 10 }, () => createAcceptance(pool, systemClock, new Set()));
  const answers = await Promise.all(fronts.map((front) => front.accept(email({ idempotency_key: "only" }))));
  const accepted = answers.filter((answer) => answer.kind === "accepted");
  assert.ok(accepted.length >= 1);
  assert.equal(new Set(accepted.map(({ submissionId }) => submissionId)).size, 1);
  assert.ok(answers.every((answer) => answer.kind === "accepted" || answer.code === "PL008"));
  const { rows } = await pool.query("SELECT count(*)::integer AS n FROM postlane.message");
  assert.equal(rows[0].n, 1);
});

test("one that fails for a reason of the database's fails alone with its group, and nothing is half there", async (t) => {
  const { pool } = await testDatabase(t);
  const acceptance = createAcceptance(pool, systemClock, new Set(["bulk"]));
  await pool.query("ALTER TABLE postlane.balance_delta ADD CONSTRAINT broken CHECK (lane_id <> 2)");
  const [urgent, bulk] = await Promise.allSettled([
    acceptance.accept(email()),
    acceptance.accept(email({ lane: "bulk" })),
  ]);
  assert.equal(urgent.status, "fulfilled");
  assert.equal(bulk.status, "rejected");
  const { rows } = await pool.query("SELECT count(*)::integer AS n FROM postlane.content");
  assert.equal(rows[0].n, 1);
});
