// Real Postfix instances, made as the product makes them: the gauge counts what lies in the spool, notices come home by
// virtual(8), the log tells what became of each message, a queue file is found where it lies, and check sees what is
// wrong.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { checkInstance, isInstanceRunning } from "../../src/mailers/postfix/check-instance.ts";
import { parseLogLine, timeOfLogLine, type PostfixLogLine } from "../../src/mailers/postfix/log-line.ts";
import { readPostqueue } from "../../src/mailers/postfix/postqueue.ts";
import { arrivalOfQueueId } from "../../src/mailers/postfix/queue-id.ts";
import { readQueueFile, senderOfQueueFile } from "../../src/mailers/postfix/queue-file.ts";
import { readInstance } from "../../src/mailers/postfix/read-instance.ts";
import { findInSpool, readSpool } from "../../src/mailers/postfix/spool.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { until } from "../rig/lane-mail.ts";
import { needsPostfix } from "../rig/postfix.ts";
import { startPostfixInstances, type RigInstance } from "../rig/postfix-instances.ts";
import { startScriptedSink, type SinkAnswer } from "../rig/scripted-sink.ts";
import { freePort } from "../rig/smtp-sink.ts";

const run = promisify(execFile);
const ports = { random: systemRandom, wallMs: () => Date.now() };
const checkPorts = { clock: systemClock, uid: 0 };

const RETURN_PATH = "b+abcdefghijklmnopqrstuvwx@returns.test";
const INSTANCE = { bulk: "bulk" } as const;

async function handOver({ host, port }: RigInstance, to: string, count = 1): Promise<void> {
  await run("/usr/sbin/smtp-source", ["-f", RETURN_PATH, "-t", to, "-m", String(count), `${host}:${port}`]);
}

const lines = (instance: RigInstance): readonly PostfixLogLine[] =>
  instance
    .log()
    .split("\n")
    .flatMap((line) => parseLogLine(line) ?? []);

test("what is handed over is delivered, or comes home as a notice that says why", async (t) => {
  if (!needsPostfix(t)) return;
  const sink = await startScriptedSink(t, { answer: refuseBad });
  const here = { host: "127.0.0.1", port: sink.port };
  const dead = { host: "127.0.1.9", port: await freePort() };
  const instances = await startPostfixInstances(t, {
    instances: INSTANCE,
    routes: { "one.test": here, "dead.test": dead },
    // Only here: the product's lifetimes are minutes.
    mainCf: {
      maximal_queue_lifetime: "2s",
      bounce_queue_lifetime: "2s",
      minimal_backoff_time: "3s",
      maximal_backoff_time: "3s",
      queue_run_delay: "1s",
    },
  });
  const bulk = instances.get("bulk");
  await handOver(bulk, "good@one.test");
  await handOver(bulk, "bad@one.test");
  await handOver(bulk, "late@dead.test");
  await until("both notices", () => bulk.notices().length === 2);
  await sink.waitFor(() => sink.accepted.length === 1);

  const [refused, unreachable] = ["bad@one.test", "late@dead.test"].map((recipient) => noticeAbout(bulk, recipient));
  assert.match(refused!, /^Status: 5\.1\.1$/m);
  assert.match(unreachable!, /^Status: 4\.4\.1$/m);
  for (const notice of [refused!, unreachable!]) {
    assert.match(notice, /^Reporting-MTA: dns; relay\.rig\.test$/m);
    assert.match(notice, /^Delivered-To: b\+abcdefghijklmnopqrstuvwx@returns\.test$/m);
    const queueId = /^X-Postfix-Queue-ID: (\S+)$/m.exec(notice)![1]!;
    const story = lines(bulk).filter((line) => "queueId" in line && line.queueId === queueId);
    assert.ok(story.some(({ kind }) => kind === "notice"));
  }
  assertStories(bulk);
});

function refuseBad({ verb, recipient }: { readonly verb: string; readonly recipient: string }): SinkAnswer | undefined {
  return verb === "RCPT" && recipient.startsWith("bad@") ? "550 5.1.1 no such user" : undefined;
}

function noticeAbout(instance: RigInstance, recipient: string): string {
  return instance.notices().find((notice) => notice.includes(`Final-Recipient: rfc822; ${recipient}`))!;
}

function assertStories(bulk: RigInstance): void {
  const statusOf = (recipient: string): readonly string[] =>
    lines(bulk).flatMap((line) => (line.kind === "delivery" && line.recipient === recipient ? [line.status] : []));
  assert.deepEqual(statusOf("good@one.test"), ["sent"]);
  assert.deepEqual(statusOf("bad@one.test"), ["bounced"]);
  assert.ok(statusOf("late@dead.test").length >= 2 && statusOf("late@dead.test").every((one) => one === "deferred"));
  const kinds = new Set(lines(bulk).map(({ kind }) => kind));
  for (const kind of ["started", "connect", "client", "message_id", "active", "disconnect", "expired", "removed"]) {
    assert.ok(kinds.has(kind as PostfixLogLine["kind"]), kind);
  }
  const connect = lines(bulk).find((line) => line.kind === "connect");
  assert.ok(connect?.kind === "connect" && connect.client.port !== undefined && connect.client.port > 1024);
  const timestamp = lines(bulk).at(-1)!.timestamp;
  assert.ok(Math.abs(timeOfLogLine(timestamp, Date.now())! - Date.now()) < 60_000, timestamp);
}

test("the spool is counted as its files lie, and by postqueue as well", async (t) => {
  if (!needsPostfix(t)) return;
  const silent = await startSilentServer(t);
  const dead = { host: "127.0.1.9", port: await freePort() };
  const { get } = await startPostfixInstances(t, {
    instances: INSTANCE,
    routes: { "silent.test": silent, "dead.test": dead, "two.test": { ...dead, host: "127.0.1.10" } },
  });
  const bulk = get("bulk");
  await handOver(bulk, "u@silent.test", 3);
  await handOver(bulk, "u@dead.test", 20);
  await handOver(bulk, "u@two.test", 5);
  const reading = await until("all of it parked", async () => {
    const now = await readSpool(bulk.queueDir, ports);
    assert.ok(now.kind === "read");
    return now.deferred === 25 && now.queue === 3 ? now : undefined;
  });
  assert.equal(filesBelow(path.join(bulk.queueDir, "deferred")), 25);
  assert.deepEqual([reading.hold, reading.maildrop], [0, 0]);
  assert.ok(reading.oldest_age_s! <= 60);
  const byDestination = Object.fromEntries(reading.shape.map((row) => [row.destination, [row.queue, row.deferred]]));
  assert.deepEqual(byDestination, { "silent.test": [3, 0], "dead.test": [0, 20], "two.test": [0, 5] });

  const listed = await readPostqueue(bulk.configDir, ports);
  assert.ok(listed.kind === "read");
  assert.deepEqual([listed.queue, listed.deferred, listed.isWhole], [3, 25, true]);
  assert.equal(listed.shape.find(({ destination }) => destination === "dead.test")?.deferred, 20);

  await run("/usr/sbin/postsuper", ["-c", bulk.configDir, "-h", "ALL", "deferred"]);
  const held = await readSpool(bulk.queueDir, ports);
  assert.ok(held.kind === "read");
  assert.deepEqual([held.hold, held.deferred], [25, 0]);
});

function filesBelow(folder: string): number {
  return readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile()).length;
}

/** Takes connections and never says a word. */
async function startSilentServer(t: TestContext): Promise<{ readonly host: string; readonly port: number }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => void sockets.add(socket.on("error", () => {})));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { host: "127.0.0.1", port: (server.address() as net.AddressInfo).port };
}

test("a queue file is 0600 while it is received and 0700 once it is complete", async (t) => {
  if (!needsPostfix(t)) return;
  const dead = { host: "127.0.1.9", port: await freePort() };
  const { get } = await startPostfixInstances(t, { instances: INSTANCE, routes: { "dead.test": dead } });
  const bulk = get("bulk");
  const half = net.connect(bulk.port, bulk.host);
  t.after(() => half.destroy());
  half.write("EHLO a.test\r\n");
  half.write(`MAIL FROM:<${RETURN_PATH}>\r\nRCPT TO:<half@dead.test>\r\nDATA\r\n`);
  half.write("Subject: half\r\n\r\nhalf");
  const queueId = await until("its queue id", () => lines(bulk).find((line) => line.kind === "client")?.queueId);
  const receiving = await until("its file", async () => {
    const file = await findInSpool(bulk.queueDir, queueId);
    return file.kind === "found" ? file : undefined;
  });
  assert.deepEqual([receiving.queue, receiving.mode], ["incoming", 0o600]);

  half.write("\r\n.\r\nQUIT\r\n");
  const complete = await until("its deferral", async () => {
    const file = await findInSpool(bulk.queueDir, queueId);
    return file.kind === "found" && file.queue === "deferred" ? file : undefined;
  });
  assert.equal(complete.mode, 0o700);
  assert.equal(await senderOfQueueFile(complete.path), RETURN_PATH);
  const envelope = await readQueueFile(complete.path);
  assert.deepEqual(envelope.recipients, ["half@dead.test"]);
  assert.ok(Math.abs(envelope.arrivedAtMs! - arrivalOfQueueId(queueId)!) < 5000);
  assert.deepEqual(await findInSpool(bulk.queueDir, `${queueId}0`), { kind: "absent" });
});

test("who may not read the spool is told so", async (t) => {
  if (!needsPostfix(t)) return;
  const { get } = await startPostfixInstances(t, { instances: INSTANCE });
  const { queueDir } = get("bulk");
  // A thread of its own has rights of its own only in a process of its own.
  const module = (name: string): string => path.resolve(import.meta.dirname, `../../src/mailers/postfix/${name}.js`);
  const script = `
    process.setgroups([]); process.setgid(65534); process.setuid(65534);
    const { readSpool, findInSpool } = await import(${JSON.stringify(module("spool"))});
    const ports = { random: { unit: Math.random }, wallMs: () => 0 };
    const queueDir = ${JSON.stringify(queueDir)};
    console.log(JSON.stringify([await readSpool(queueDir, ports), await findInSpool(queueDir, "4jb2q91d4VzJrh9")]));`;
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script]);
  assert.deepEqual(JSON.parse(stdout), [
    { kind: "denied", path: path.join(queueDir, "incoming") },
    { kind: "denied", path: path.join(queueDir, "active") },
  ]);
});

test("a Maildir belongs to whom Postlane runs as, and so does each notice", async (t) => {
  if (!needsPostfix(t)) return;
  const sink = await startScriptedSink(t, { answer: refuseBad });
  const relayTo = { host: "127.0.0.1", port: sink.port };
  const { get } = await startPostfixInstances(t, { instances: INSTANCE, user: "nobody", relayTo });
  const bulk = get("bulk");
  await handOver(bulk, "bad@one.test");
  await until("the notice", () => bulk.notices().length === 1);
  const [file] = readdirSync(path.join(bulk.maildir, "new"));
  const { uid, mode } = statSync(path.join(bulk.maildir, "new", file!));
  assert.deepEqual([uid, mode & 0o777], [bulk.returnsUser.uid, 0o600]);
});

test("an instance's facts are those of its configuration", async (t) => {
  if (!needsPostfix(t)) return;
  const { get } = await startPostfixInstances(t, { instances: INSTANCE, isStarted: false });
  const bulk = get("bulk");
  const read = await readInstance(bulk.configDir);
  assert.ok(read.kind === "instance");
  const { settings, ...facts } = read.facts;
  assert.equal(settings["in_flow_delay"], "0s");
  assert.deepEqual(facts, {
    configDir: bulk.configDir,
    isOurs: true,
    nameInLog: "postfix-postlane-bulk",
    hostname: "relay.rig.test",
    queueDir: bulk.queueDir,
    logFile: bulk.logFile,
    maildir: bulk.maildir,
    returnsDomain: "returns.test",
    lifetimeMs: 1_800_000,
  });
  const nowhere = await readInstance("/nowhere");
  assert.ok(nowhere.kind === "failed");
  assert.match(nowhere.problem, /\/nowhere\/main\.cf/);
});

test("an instance stops and starts, and keeps its queue", async (t) => {
  if (!needsPostfix(t)) return;
  const dead = { host: "127.0.1.9", port: await freePort() };
  const { get } = await startPostfixInstances(t, { instances: INSTANCE, routes: { "dead.test": dead } });
  const bulk = get("bulk");
  await handOver(bulk, "u@dead.test", 4);
  await bulk.stop();
  assert.equal(await isInstanceRunning(bulk.configDir), false);
  const stopped = await readSpool(bulk.queueDir, ports);
  assert.ok(stopped.kind === "read");
  assert.equal(stopped.queue + stopped.deferred, 4);
  await bulk.start();
  assert.equal(await isInstanceRunning(bulk.configDir), true);
  // That it stopped may be missing: the log's own daemon may be gone before the last word.
  const starts = await until("both starts are in the log", () => {
    const count = lines(bulk).filter(({ kind, program }) => kind === "started" && program === "master").length;
    return count >= 2 && count;
  });
  assert.equal(starts, 2);
});

test("check finds nothing wrong with what init made, and what is wrong afterwards", async (t) => {
  if (!needsPostfix(t)) return;
  const { get } = await startPostfixInstances(t, { instances: INSTANCE });
  const bulk = get("bulk");
  const codes = async (domain?: string): Promise<readonly string[]> => {
    const { findings } = await checkInstance(bulk.configDir, domain, checkPorts);
    for (const { message, remedy } of findings) assert.ok(message.length > 10 && remedy.length > 5);
    return findings.map(({ code }) => code);
  };
  assert.deepEqual(await checkInstance(bulk.configDir, "returns.test", checkPorts), {
    configDir: bulk.configDir,
    isOurs: true,
    isRunning: true,
    findings: [],
  });
  assert.deepEqual(await codes("other.test"), ["returns_domain_differs"]);
  assert.deepEqual(await codes(undefined), ["returns_domain_unset"]);

  await bulk.set({ maximal_queue_lifetime: "5d", in_flow_delay: "1s" });
  assert.deepEqual(await codes("returns.test"), ["setting", "long_lifetime"]);
  await bulk.set({ maximal_queue_lifetime: "30m", in_flow_delay: "0s" });

  chmodSync(bulk.dataDir, 0o777);
  assert.deepEqual(await codes("returns.test"), ["postfix_check"]);
  chmodSync(bulk.dataDir, 0o700);

  chownSync(path.join(bulk.maildir, "new"), 0, 0);
  assert.deepEqual(await codes("returns.test"), ["maildir_owner"]);
  chownSync(path.join(bulk.maildir, "new"), bulk.returnsUser.uid, bulk.returnsUser.gid);
  rmSync(path.join(bulk.maildir, "cur"), { recursive: true });
  assert.deepEqual(await codes("returns.test"), ["maildir_owner"]);
  mkdirSync(path.join(bulk.maildir, "cur"));
  chownSync(path.join(bulk.maildir, "cur"), bulk.returnsUser.uid, bulk.returnsUser.gid);
  await bulk.stop();
  assert.deepEqual(await codes("returns.test"), ["not_running"]);
  rmSync(bulk.configDir, { recursive: true });
  assert.deepEqual(await codes("returns.test"), ["unreadable"]);
});

test("of an instance that is not ours, only what Postlane cannot do there is told", async (t) => {
  if (!needsPostfix(t)) return;
  const { get } = await startPostfixInstances(t, { instances: INSTANCE });
  const bulk = get("bulk");
  await run("sed", ["-i", "1d", path.join(bulk.configDir, "main.cf")]);
  await bulk.set({ maximal_queue_lifetime: "5d", enable_long_queue_ids: "no" });
  const { isOurs, findings } = await checkInstance(bulk.configDir, "returns.test", checkPorts);
  assert.equal(isOurs, false);
  assert.deepEqual(
    findings.map(({ code, level }) => [code, level]),
    [
      ["not_ours", "note"],
      ["no_evidence", "note"],
    ],
  );
  for (const { remedy } of findings) assert.doesNotMatch(remedy, /queue_lifetime/);
});
