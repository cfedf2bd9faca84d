// The log of a real Postfix, followed by a real agent that is killed again and again while the log is rotated: each
// delivery is told once. And failure notices out of a Maildir: committed first, then deleted.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { until } from "../rig/lane-mail.ts";
import { needsPostfix, startPostfix, type Postfix } from "../rig/postfix.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { connectRaw, sendMail } from "../rig/raw-smtp.ts";
import { startSmtpSink } from "../rig/smtp-sink.ts";
import { AS_MADE, readingOf, RETURNS_DOMAIN, returnsOf, startAgent, untilReading } from "./agent-rig.ts";
import { lineOf } from "./cli-command.ts";

const WAIT_MS_MAX = 30_000;
const POSTFIX = "/usr/sbin/postfix";
const CHATTR = "/usr/bin/chattr";

test("a delivery comes home with its queue id, return path and reply", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const postfix = await startRelay(t);
  await startAgent(t, database, postfix);
  const [queueId] = await send(postfix, 1);
  await untilDelivered(database, 1);
  const [{ body }] = (await returnsOf(database, "log")) as [Awaited<ReturnType<typeof returnsOf>>[number]];
  const { at, relay, reply, ...rest } = body;
  assert.deepEqual(rest, {
    queue_id: queueId,
    return_path: "a@shop.example",
    recipient: "user0@shop.example",
    status: "sent",
    dsn: "2.0.0",
    means: "relayed",
  });
  assert.match(String(relay), /^127\.0\.0\.1\[127\.0\.0\.1\]:\d+$/);
  assert.match(String(reply), /^250 2\.0\.0 Ok/);
  assert.ok(Math.abs(Date.parse(String(at)) - Date.now()) < 60_000, String(at));
});

test("killed again and again, and the log rotated by Postfix meanwhile: no delivery is lost or told twice", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const postfix = await startRelay(t);
  const sent: string[] = [];
  for (let round = 0; round < 5; round++) {
    const agent = await startAgent(t, database, postfix);
    const sending = send(postfix, 60);
    await until("some came home", async () => (await countReturns(database)) > round * 60, WAIT_MS_MAX);
    if (round === 1) execFileSync(POSTFIX, ["-c", postfix.configDir, "logrotate"], { stdio: "ignore" });
    if (round === 2) renameSync(postfix.logFile, `${postfix.logFile}.1`);
    await agent.kill();
    if (round === 2) execFileSync(POSTFIX, ["-c", postfix.configDir, "reload"], { stdio: "ignore" });
    sent.push(...(await sending));
  }
  await startAgent(t, database, postfix);
  await untilDelivered(database, sent.length);
  const told = (await returnsOf(database, "log")).map(({ body }) => String(body["queue_id"]));
  assert.deepEqual(told.toSorted(), sent.toSorted());
  // The new file was met by agents that knew the old one: nothing was missed.
  const { agent, body } = (await readingOf(database))!;
  assert.ok(Date.parse(agent.log!.continuous_since) < Date.now() - 2000);
  assert.deepEqual(body.problems, []);
});

test("copied and emptied: what comes afterwards is told, and the reading says that lines may be missing", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const postfix = await startRelay(t);
  await startAgent(t, database, postfix);
  await send(postfix, 5);
  await untilDelivered(database, 5);
  const before = (await untilReading(database, "the place is kept", (row) => row.agent.log !== undefined)).agent.log!;
  copyFileSync(postfix.logFile, `${postfix.logFile}.1`);
  truncateSync(postfix.logFile, 0);
  await send(postfix, 5);
  await untilDelivered(database, 10);
  const { agent } = await untilReading(database, "it says so", ({ body }) =>
    (body.problems ?? []).some((problem) => /may have been missed: the log was emptied/.test(problem)),
  );
  assert.ok(agent.log!.continuous_since > before.continuous_since);
});

test("a database that cannot keep returns loses none", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const postfix = await startRelay(t);
  const agent = await startAgent(t, database, postfix);
  await database.pool.query("ALTER TABLE postlane.return RENAME TO return_away");
  const failed = lineOf(agent.child, /"work":"log".*agent\.failed/, "stderr");
  await send(postfix, 10);
  await failed;
  await database.pool.query("ALTER TABLE postlane.return_away RENAME TO return");
  await untilDelivered(database, 10);
});

test("a foreign line in the log does no harm", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const postfix = await startRelay(t);
  await startAgent(t, database, postfix, { returnsDomain: RETURNS_DOMAIN });
  const forged =
    'Nov 26 12:00:00 h postfix/smtp[1]: AAAAAAA1: to=<"\u0000\u0007>, relay=none">, relay=x, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (\u0000\u001b[31m)\n';
  appendFileSync(postfix.logFile, forged + "\u0000\u0001\u00ff\n" + "y".repeat(100_000) + "\n");
  // Another sender than ours, where ours are known by their return path.
  await send(postfix, 1);
  await until("all of it is read", async () => {
    const size = postfix.log().length;
    return ((await readingOf(database))?.agent.log?.offset ?? 0) >= size;
  });
  const told = (await returnsOf(database, "log")).map(({ body }) => body["queue_id"]);
  assert.deepEqual(
    told.filter((id) => id !== "AAAAAAA1"),
    [],
  );
});

test("failure notices are kept first and deleted then, also when the agent is killed in between", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const maildir = makeMaildir(t);
  const postfix = await startRelay(t, {
    virtual_mailbox_domains: RETURNS_DOMAIN,
    virtual_mailbox_base: path.dirname(maildir),
    virtual_mailbox_maps: "static:returns/",
    virtual_uid_maps: "static:65534",
    virtual_gid_maps: "static:65534",
    virtual_minimum_uid: "1",
  });
  // Nothing can be kept, so nothing may be deleted.
  await database.pool.query("ALTER TABLE postlane.return RENAME TO return_away");
  const agent = await startAgent(t, database, postfix, { returnsDomain: RETURNS_DOMAIN });
  const failed = lineOf(agent.child, /"work":"maildir".*agent\.failed/, "stderr");
  await send(postfix, 1, `b+token@${RETURNS_DOMAIN}`);
  await failed;
  assert.equal(readdirSync(path.join(maildir, "new")).length, 1);
  await agent.kill();
  await database.pool.query("ALTER TABLE postlane.return_away RENAME TO return");
  writeFileSync(path.join(maildir, "new", "2.large.host"), `Subject: large\n\n${"x".repeat(300_000)}`);
  mkdirSync(path.join(maildir, "cur"), { recursive: true });
  writeFileSync(path.join(maildir, "cur", "3.seen.host:2,S"), "Subject: seen\r\n\r\nHello\r\n");

  await startAgent(t, database, postfix, { returnsDomain: RETURNS_DOMAIN });
  await until(
    "the Maildir is empty",
    () => [...readdirSync(path.join(maildir, "new")), ...readdirSync(path.join(maildir, "cur"))].length === 0,
  );
  const kept = await returnsOf(database, "maildir");
  assert.equal(kept.length, 3);
  const notice = kept.find(({ body }) => body["recipient"] !== undefined);
  assert.deepEqual(notice?.body, { reporting_mta: "relay.rig.test", recipient: `b+token@${RETURNS_DOMAIN}` });
  assert.match(notice.raw!.toString("latin1"), /Hello Ann/);
  assert.deepEqual(
    kept
      .map(({ source_key }) => String(source_key))
      .filter((key) => !/^\d{6,}/.test(key))
      .toSorted(),
    ["2.large.host", "3.seen.host"],
  );
  assert.equal(kept.find(({ source_key }) => source_key === "2.large.host")?.raw?.length, 256 * 1024);
  // What went to the return domain is a notice, and no delivery of ours.
  assert.deepEqual(await returnsOf(database, "log"), []);
});

test("a notice that cannot be deleted is taken once, and people are told", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const maildir = makeMaildir(t);
  const postfix = await startRelay(t, {
    virtual_mailbox_domains: RETURNS_DOMAIN,
    virtual_mailbox_base: path.dirname(maildir),
    virtual_mailbox_maps: "static:returns/",
  });
  const folder = path.join(maildir, "new");
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "1.kept.host"), "Subject: kept\n\nHello\n");
  if (!mayNotBeDeleted(path.join(folder, "1.kept.host"))) return t.skip("needs a file system with chattr");
  const first = await startAgent(t, database, postfix, { returnsDomain: RETURNS_DOMAIN });
  await untilReading(database, "it says so", ({ body }) =>
    (body.problems ?? []).some((problem) => /cannot be deleted/.test(problem)),
  );
  await first.kill();
  await startAgent(t, database, postfix, { returnsDomain: RETURNS_DOMAIN });
  await untilReading(database, "it says so again", ({ body }) =>
    (body.problems ?? []).some((problem) => /cannot be deleted/.test(problem)),
  );
  assert.equal((await returnsOf(database, "maildir")).length, 1);
});

async function startRelay(t: TestContext, mainCf: Readonly<Record<string, string>> = {}): Promise<Postfix> {
  const sink = await startSmtpSink(t);
  return await startPostfix(t, { relayTo: sink, mainCf: { ...AS_MADE, ...mainCf } });
}

/** Answers their queue ids, from the replies to the final dots. */
async function send(postfix: Postfix, count: number, to?: string): Promise<readonly string[]> {
  const smtp = await connectRaw(postfix.host, postfix.port);
  const ids: string[] = [];
  for (let n = 0; n < count; n++) {
    const reply = await sendMail(smtp, "a@shop.example", to ?? `user${n}@shop.example`);
    ids.push(/queued as (\S+)/.exec(reply)![1]!);
  }
  await smtp.say("QUIT");
  return ids;
}

async function countReturns(database: TestDatabase): Promise<number> {
  return (await returnsOf(database, "log")).length;
}

async function untilDelivered(database: TestDatabase, count: number): Promise<void> {
  await until(`${count} deliveries came home`, async () => (await countReturns(database)) >= count, WAIT_MS_MAX);
  assert.equal(await countReturns(database), count);
}

/** Below a folder that virtual(8) may write to. */
function makeMaildir(t: TestContext): string {
  const base = mkdtempSync(path.join(tmpdir(), "postlane-returns-"));
  t.after(() => {
    spawnSync(CHATTR, ["-R", "-i", base], { stdio: "ignore" });
    rmSync(base, { recursive: true, force: true });
  });
  chmodSync(base, 0o777);
  return path.join(base, "returns");
}

/** Not even by root; false where the file system has no such mark. */
function mayNotBeDeleted(file: string): boolean {
  return spawnSync(CHATTR, ["+i", file], { stdio: "ignore" }).status === 0;
}
