// The sendmail program against a scripted door: what it says there, its exit codes, and its spool.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { flushSpool } from "../../src/doors/sendmail/flush-spool.ts";
import { createSmtpSubmitter } from "../../src/doors/sendmail/submit-by-smtp.ts";
import { flushSpoolHere } from "../../src/processes/sendmail-here.ts";
import type { Clock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { inScope } from "../rig/scope.ts";
import { mayMount, mountSmallDisk } from "../rig/small-disk.ts";
import { DROP, startScriptedSink, type ScriptedSink, type SinkMessage } from "../rig/scripted-sink.ts";
import { startCommand } from "./cli-command.ts";
import { endOf, NOBODY, runSendmail, sendmailRig, startSendmail } from "./sendmail-command.ts";

const MAIL = "To: Ann <ann@example.com>\nBcc: bob@example.com\nSubject: Hello\n\nHello Ann\n";
const doorOf = ({ port }: ScriptedSink): string => `127.0.0.1:${port}`;
const headerOf = ({ content }: SinkMessage, name: string): string | undefined =>
  new RegExp(`^${name}: *(.*)$`, "im").exec(content.toString("latin1"))?.[1]?.trim();

test("a mail goes to those whom it names, without Bcc, with what it lacks", async (t) => {
  const sink = await startScriptedSink(t);
  const rig = sendmailRig(t, doorOf(sink));
  const { exitCode, stderr } = await runSendmail(rig, ["-t", "-i", "-f", "shop@example.com", "-F", "Shöp"], MAIL);
  assert.deepEqual([exitCode, stderr], [0, ""]);
  const [mail] = sink.accepted;
  assert.deepEqual([mail!.sender, mail!.recipients], ["shop@example.com", ["ann@example.com", "bob@example.com"]]);
  assert.equal(headerOf(mail!, "Bcc"), undefined);
  assert.equal(headerOf(mail!, "From"), "=?UTF-8?B?U2jDtnA=?= <shop@example.com>");
  assert.equal(headerOf(mail!, "X-Postlane-Door"), "sendmail");
  assert.match(headerOf(mail!, "X-Postlane-Idempotency-Key")!, /^sendmail-[0-9a-f]{32}$/);
  assert.match(headerOf(mail!, "Message-ID")!, /^<sendmail-[0-9a-f]{32}@example\.com>$/);
  assert.ok(Math.abs(Date.parse(headerOf(mail!, "Date")!) - Date.now()) < 60_000);
  assert.ok(mail!.content.toString().endsWith("Subject: Hello\r\n\r\nHello Ann\r\n"));
  assert.deepEqual([sink.breaches, rig.kept()], [[], []]);
});

test("a lone dot ends the mail, and with -i is a line of it", async (t) => {
  const sink = await startScriptedSink(t);
  const rig = sendmailRig(t, doorOf(sink));
  const dotted = "Subject: dots\n\none\n..\n.\ntwo\n";
  for (const args of [["ann@example.com"], ["-i", "ann@example.com"], ["-oi", "--", "ann@example.com"]]) {
    assert.equal((await runSendmail(rig, args, dotted)).exitCode, 0);
  }
  const bodies = sink.accepted.map(({ content }) => content.toString().split("\r\n\r\n")[1]);
  assert.deepEqual(bodies, ["one\r\n..\r\n", "one\r\n..\r\n.\r\ntwo\r\n", "one\r\n..\r\n.\r\ntwo\r\n"]);
  // Nobody closes its input: the dot alone ends it.
  const child = startSendmail(rig, ["ann@example.com"]);
  child.stdin!.write("Subject: x\n\nbody\n.\n");
  assert.deepEqual(await once(child, "close"), [0, null]);
});

test("cron's mail to root goes where its alias says", async (t) => {
  const sink = await startScriptedSink(t);
  const settings = path.join(sendmailRig(t, NOBODY).env["HOME"]!, "sendmail.json");
  writeFileSync(settings, JSON.stringify({ domain: "web1.example.com", aliases: { root: "ops@example.com" } }));
  const rig = sendmailRig(t, doorOf(sink), { POSTLANE_SENDMAIL_CONFIG: settings });
  const mail = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@web1> backup\n\nit failed\n";
  const { exitCode } = await runSendmail(rig, ["-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root"], mail);
  assert.equal(exitCode, 0);
  assert.equal((await runSendmail(rig, ["-i", "www"], "hello without any header\n")).exitCode, 0);
  const [cron, bare] = sink.accepted;
  assert.deepEqual([cron!.sender, cron!.recipients], ["root@web1.example.com", ["ops@example.com"]]);
  assert.deepEqual(bare!.recipients, ["www@web1.example.com"]);
  assert.ok(bare!.content.toString().endsWith("\r\n\r\nhello without any header\r\n"));
});

test("exit codes are those of sysexits.h, and nothing is kept of what is refused", async (t) => {
  const replies: Readonly<Record<string, string>> = {
    "nobody@example.com": "550 5.1.1 no such user",
    "never@example.com": "550 5.7.1 not from you",
    "plain@example.com": "554 no",
  };
  const sink = await startScriptedSink(t, {
    answer: ({ verb, recipient }) => (verb === "RCPT" ? replies[recipient] : undefined),
  });
  const rig = sendmailRig(t, doorOf(sink));
  const cases: readonly (readonly [number, readonly string[], string])[] = [
    [64, ["-y"], MAIL],
    [64, [], MAIL],
    [64, ["-f", "a b@example.com", "ann@example.com"], MAIL],
    [65, ["-t"], "Subject: to nobody\n\nx\n"],
    [65, ["ann@example.com"], "Subject: a\rb\n\nx\n"],
    [65, ["ann@example.com"], "Subject: a\n\n\0\n"],
    [67, ["ann@example..com"], MAIL],
    [67, ["ann@example.com", "nobody@example.com"], MAIL],
    [69, ["plain@example.com"], MAIL],
    [77, ["never@example.com"], MAIL],
  ];
  for (const [expected, args, mail] of cases) {
    const { exitCode, stderr } = await runSendmail(rig, args, mail);
    assert.equal(exitCode, expected, `${args.join(" ")}: ${stderr}`);
    assert.match(stderr, /^sendmail: .+\n$/);
  }
  const broken = await runSendmail({ env: { ...rig.env, POSTLANE_SMTP: "nowhere" } }, ["ann@example.com"], MAIL);
  assert.deepEqual([broken.exitCode, sink.accepted.length, rig.kept()], [78, 0, []]);
});

test("what the door does not take now waits with its key, and goes with the next mail, once", async (t) => {
  let isClosed = true;
  const sink = await startScriptedSink(t, {
    answer: ({ verb, nth }) => {
      if (!isClosed) return undefined;
      // The dot without an answer: the door may have it.
      if (verb === "DOT") return nth === 1 ? DROP : "452 4.3.1 the queue is full";
      return undefined;
    },
  });
  const rig = sendmailRig(t, doorOf(sink));
  for (const subject of ["one", "two"]) {
    const { exitCode, stderr } = await runSendmail(rig, ["ann@example.com"], `Subject: ${subject}\n\nx\n`);
    assert.deepEqual([exitCode, stderr], [0, ""]);
  }
  assert.deepEqual(rig.kept(), ["mail", "mail"]);
  isClosed = false;
  assert.equal((await runSendmail(rig, ["ann@example.com"], "Subject: three\n\nx\n")).exitCode, 0);
  assert.deepEqual(rig.kept(), []);
  assert.deepEqual(
    sink.accepted.map((mail) => headerOf(mail, "Subject")),
    ["three", "one", "two"],
  );
  const keyOf = (mail: SinkMessage) => headerOf(mail, "X-Postlane-Idempotency-Key");
  assert.deepEqual(sink.messages.slice(0, 2).map(keyOf), sink.accepted.slice(1).map(keyOf), "each with its first key");
});

test("when nothing listens the mail is kept, and --flush hands it over or says what is in the way", async (t) => {
  const rig = sendmailRig(t, NOBODY);
  const { exitCode } = await runSendmail(rig, ["-t"], MAIL);
  assert.deepEqual([exitCode, rig.kept()], [0, ["mail"]]);
  const own = path.join(rig.spool, String(process.getuid!()));
  assert.equal(statSync(own).mode & 0o7777, 0o770);
  assert.equal(statSync(path.join(own, readdirSync(own)[0]!)).mode & 0o7777, 0o640);
  const still = await runSendmail(rig, ["--flush"], "");
  assert.deepEqual([still.exitCode, rig.kept()], [75, ["mail"]]);
  assert.match(still.stderr, /0 taken, 1 still waiting: connect ECONNREFUSED/);

  const sink = await startScriptedSink(t, {
    answer: ({ verb, nth }) => (verb === "MAIL" && nth === 1 ? "550 5.7.1 no" : undefined),
  });
  const env = { ...rig.env, POSTLANE_SMTP: doorOf(sink) };
  const refused = await runSendmail({ env }, ["--flush"], "");
  assert.deepEqual([refused.exitCode, rig.kept()], [69, ["refused"]]);
  assert.match(refused.stderr, /set aside .*550 5\.7\.1 no/);
  await runSendmail(rig, ["-t"], MAIL);
  const gone = await runSendmail({ env }, ["-q"], "");
  assert.deepEqual([gone.exitCode, rig.kept(), sink.accepted.length], [0, ["refused"], 1]);
});

test("two who flush at once hand each mail over once", async (t) => {
  const rig = sendmailRig(t, NOBODY);
  await Promise.all(Array.from({ length: 6 }, () => runSendmail(rig, ["ann@example.com"], "Subject: x\n\nx\n")));
  const sink = await startScriptedSink(t);
  const place = { host: "127.0.0.1", port: sink.port };
  const limits = { messageBytesMax: 1e6, msMax: 60_000 };
  const ends = await Promise.all([1, 2, 3].map(() => flushSpool(rig.spool, createSmtpSubmitter(place), limits)));
  assert.equal(
    ends.reduce((sum, { accepted }) => sum + accepted, 0),
    6,
  );
  assert.deepEqual([sink.accepted.length, rig.kept()], [6, []]);
});

test("killed while it writes, it leaves nothing that could be taken for a mail", async (t) => {
  const rig = sendmailRig(t, NOBODY);
  const large = Buffer.from(`Subject: large\n\n${"0123456789abcdef\n".repeat(400_000)}`);
  const own = path.join(rig.spool, String(process.getuid!()));
  let killed = 0;
  let kept = 0;
  for (let tries = 0; tries < 60 && killed < 5; tries++) {
    const child = startSendmail(rig, ["ann@example.com"]);
    const before = new Set(rig.kept().length > 0 ? readdirSync(own) : []);
    const watch = setInterval(() => {
      try {
        if (readdirSync(own).some((name) => name.startsWith("unfinished") && !before.has(name))) child.kill("SIGKILL");
      } catch {
        // There is no folder yet.
      }
    }, 1);
    const { exitCode } = await endOf(child, large);
    clearInterval(watch);
    if (exitCode === null) killed++;
    else kept++;
  }
  assert.ok(killed > 0, "none was killed in the middle");
  t.diagnostic(`${killed} killed in the middle, ${kept} kept`);
  const sink = await startScriptedSink(t);
  const { exitCode } = await runSendmail({ env: { ...rig.env, POSTLANE_SMTP: doorOf(sink) } }, ["--flush"], "");
  assert.equal(exitCode, 0);
  for (const { content } of sink.accepted) assert.ok(content.length > large.length, "half a mail was sent");
  // One that was killed behind its rename is there too.
  assert.ok(sink.accepted.length >= kept && sink.accepted.length <= kept + killed);
  for (const name of readdirSync(own)) assert.match(name, /^unfinished-/);
});

test("a full spool and a full disk are refused: nothing half-written, and the caller still has it", async (t) => {
  const rig = sendmailRig(t, NOBODY);
  const settings = path.join(rig.env["HOME"]!, "sendmail.json");
  writeFileSync(settings, JSON.stringify({ spool_mails_max: 2, spool_bytes_max: 100_000 }));
  const full = { env: { ...rig.env, POSTLANE_SENDMAIL_CONFIG: settings } };
  const large = await runSendmail(full, ["ann@example.com"], "x\n".repeat(60_000));
  assert.equal(large.exitCode, 75);
  assert.match(large.stderr, /spool_bytes_max/);
  for (const expected of [0, 0, 75]) assert.equal((await runSendmail(full, ["-t"], MAIL)).exitCode, expected);
  assert.deepEqual(rig.kept(), ["mail", "mail"]);

  if (!mayMount(t)) return;
  await inScope(async (scope) => {
    const disk = mountSmallDisk(scope, rig.spool, "256k");
    const onFull = await runSendmail(rig, ["ann@example.com"], "x\n".repeat(200_000));
    assert.equal(onFull.exitCode, 75);
    assert.match(onFull.stderr, /ENOSPC/);
    assert.deepEqual(rig.kept(), []);
    disk.fill();
    assert.equal((await runSendmail(rig, ["-t"], MAIL)).exitCode, 75);
    disk.empty();
    assert.equal((await runSendmail(rig, ["-t"], MAIL)).exitCode, 0);
    assert.deepEqual(rig.kept(), ["mail"]);
  });
});

test("what strangers put into a spool is not sent for others", async (t) => {
  const sink = await startScriptedSink(t);
  const rig = sendmailRig(t, NOBODY);
  await runSendmail(rig, ["-t"], MAIL);
  const own = path.join(rig.spool, String(process.getuid!()));
  const [name = ""] = readdirSync(own);
  const text = readFileSync(path.join(own, name), "utf8");
  const victim = path.join(rig.env["HOME"]!, "victim");
  writeFileSync(victim, text);
  // Root's files under another user's number, a symlink, a second name of a file, an envelope with a line of its own.
  const stranger = path.join(rig.spool, "4711");
  mkdirSync(stranger);
  const at = (digit: string): string => `1795725652401-${digit.repeat(24)}.mail`;
  writeFileSync(path.join(stranger, at("a")), text);
  symlinkSync(victim, path.join(own, at("b")));
  linkSync(victim, path.join(own, at("c")));
  writeFileSync(
    path.join(own, at("d")),
    text.replace("ann@example.com", String.raw`ann@example.com>\r\nRCPT TO:<x@example.org`),
  );
  writeFileSync(path.join(own, at("e")), text.replace("\r\nHello Ann\r\n", "\nHello Ann\n"));
  symlinkSync(own, path.join(rig.spool, "4712"));
  chmodSync(rig.spool, 0o777);
  const end = await flushSpool(rig.spool, createSmtpSubmitter({ host: "127.0.0.1", port: sink.port }), {
    messageBytesMax: 1e6,
    msMax: 60_000,
  });
  assert.deepEqual([end.accepted, end.refused.length], [1, 5]);
  assert.equal(sink.commands.filter((line) => line.includes("RCPT")).length, 2);
});

test("users of one spool see nothing of each other, and its group hands over what each has kept", async (t) => {
  if (process.getuid!() !== 0) return t.skip("only root can be several users");
  const rig = sendmailRig(t, NOBODY);
  chmodSync(rig.env["HOME"]!, 0o755);
  mkdirSync(rig.spool);
  chownSync(rig.spool, 0, POSTLANE.gid);
  chmodSync(rig.spool, 0o3773);
  for (const user of [ANN, BOB]) {
    const { exitCode, stderr } = await runSendmail({ ...rig, user }, ["-t"], MAIL);
    assert.deepEqual([exitCode, stderr], [0, ""]);
  }
  const folder = path.join(rig.spool, String(ANN.uid));
  const file = path.join(folder, readdirSync(folder)[0]!);
  const standing = [folder, file].map((one) => statSync(one)).map(({ uid, gid, mode }) => [uid, gid, mode & 0o7777]);
  assert.deepEqual(standing, [
    [ANN.uid, POSTLANE.gid, 0o2770],
    [ANN.uid, POSTLANE.gid, 0o640],
  ]);
  for (const place of [rig.spool, folder, file]) assert.equal(readAs(BOB, place), "EACCES", place);

  // Another user has taken the number of one who never sent.
  mkdirSync(path.join(rig.spool, String(CARL.uid)));
  chownSync(path.join(rig.spool, String(CARL.uid)), BOB.uid, BOB.gid);
  const squatted = await runSendmail({ ...rig, user: CARL }, ["-t"], MAIL);
  assert.deepEqual([squatted.exitCode, /not a folder of this user's own/.test(squatted.stderr)], [75, true]);

  const sink = await startScriptedSink(t);
  const { pathname } = new URL("../../src/doors/sendmail/", import.meta.url);
  const script = `
    import { flushSpool } from "${pathname}flush-spool.js";
    import { createSmtpSubmitter } from "${pathname}submit-by-smtp.js";
    const submitter = createSmtpSubmitter({ host: "127.0.0.1", port: ${sink.port} });
    const end = await flushSpool(${JSON.stringify(rig.spool)}, submitter, { messageBytesMax: 1e6, msMax: 60000 });
    submitter.close();
    process.stdout.write(String(end.accepted));`;
  const front = spawn(process.execPath, ["--input-type=module", "-e", script], { ...POSTLANE, stdio: "pipe" });
  const { stdout, stderr } = await endOf(front, "");
  assert.deepEqual([stdout, stderr, sink.accepted.length], ["2", "", 2]);
  assert.deepEqual(readdirSync(folder), []);
});

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Of nobody on any machine. */
const [ANN, BOB, CARL, POSTLANE] = [54_321, 54_322, 54_323, 54_324].map((id): User => ({ uid: id, gid: id })) as [
  User,
  User,
  User,
  User,
];

function readAs(user: User, place: string): string {
  const script = `
    const { readFileSync, readdirSync } = require("node:fs");
    const look = [readFileSync, readdirSync].map((read) => {
      try {
        return String(read(process.argv[1]) && "read");
      } catch (error) {
        return error.code;
      }
    });
    process.stdout.write(look.find((one) => one === "read") ?? look.find((one) => one !== "EISDIR" && one !== "ENOTDIR"));`;
  return spawnSync(process.execPath, ["-e", script, place], { ...user, encoding: "utf8" }).stdout;
}

test("the front looks for it, and less often while nothing is taken", async (t) => {
  const rig = sendmailRig(t, NOBODY);
  await runSendmail(rig, ["-t"], MAIL);
  const sink = await startScriptedSink(t);
  await sink.stop();
  const waits = createWaits();
  const loop = flushSpoolHere(
    { spool: rig.spool, smtp: { host: "127.0.0.1", port: sink.port } },
    waits.clock,
    silentLog,
  );
  t.after(() => loop.stop());
  const lookedAfter: number[] = [];
  for (let looks = 0; looks < 8; looks++) lookedAfter.push(await waits.next());
  assert.deepEqual(
    lookedAfter,
    [1, 10, 20, 40, 80, 160, 300, 300].map((s) => s * 1000),
  );
  await sink.start();
  await waits.next();
  assert.equal(await waits.next(), 5000);
  assert.deepEqual([sink.accepted.length, rig.kept()], [1, []]);
});

/** Every wait is over as soon as it is asked for. */
function createWaits(): { readonly clock: Clock; next(): Promise<number> } {
  const asked: { readonly ms: number; readonly fire: () => void }[] = [];
  let wake = (): void => {};
  const after: Clock["after"] = (ms, fire) => {
    asked.push({ ms, fire });
    wake();
    return { cancel: () => {} };
  };
  return {
    clock: { after, monotonicMs: () => 0, wallMs: () => 0, soon: (fire) => setImmediate(fire) },
    async next() {
      while (asked.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      const { ms, fire } = asked.shift()!;
      fire();
      return ms;
    },
  };
}

test("postlane sendmail is the same, and flushes a whole spool by the configuration", async (t) => {
  const sink = await startScriptedSink(t, { extensions: ["PIPELINING", "DSN"] });
  const rig = sendmailRig(t, NOBODY);
  const folder = rig.env["HOME"]!;
  const postlane = async (door: string, args: readonly string[], mail = "") =>
    await endOf(startCommand({ dataDir: folder }, args, { ...rig.env, POSTLANE_SMTP: door }), mail);
  const dsn = ["-N", "failure,delay", "-V", "id+1", "-R", "hdrs"];
  const args = ["sendmail", "-i", ...dsn, "-fshop@example.com", "--", "ann@example.com", "bob@example.com"];
  const sent = await postlane(doorOf(sink), args, MAIL);
  assert.deepEqual([sent.exitCode, sent.stdout, sent.stderr], [0, "", ""]);
  const mail = sink.commands.filter((line) => /MAIL|RCPT/.test(line)).map((line) => line.slice(3));
  assert.deepEqual(mail, [
    "MAIL FROM:<shop@example.com> RET=HDRS ENVID=id+2B1",
    "RCPT TO:<ann@example.com> NOTIFY=FAILURE,DELAY",
    "RCPT TO:<bob@example.com> NOTIFY=FAILURE,DELAY",
  ]);
  const misused = await postlane(doorOf(sink), ["sendmail", "-y"], MAIL);
  assert.deepEqual([misused.exitCode, misused.stderr], [64, "postlane sendmail: there is no option -y\n"]);

  assert.equal((await postlane(NOBODY, ["sendmail", "-t"], MAIL)).exitCode, 0);
  const config = path.join(folder, "postlane.yaml");
  writeFileSync(config, `sendmail: { spool: ${JSON.stringify(rig.spool)} }\n`);
  const flush = ["sendmail", "--flush", "--json", "--config", config];
  const waits = await postlane(NOBODY, flush);
  assert.deepEqual([waits.exitCode, JSON.parse(waits.stdout)], [75, { accepted: 0, waiting: 1, refused: [] }]);
  const gone = await postlane(doorOf(sink), flush);
  assert.deepEqual([gone.exitCode, JSON.parse(gone.stdout)], [0, { accepted: 1, waiting: 0, refused: [] }]);
});

test("-bs lets a program speak SMTP itself", async (t) => {
  const sink = await startScriptedSink(t);
  const rig = sendmailRig(t, doorOf(sink));
  const lines = [
    "EHLO x",
    "MAIL FROM:<a@example.com>",
    "RCPT TO:<ann@example.com>",
    "DATA",
    "Subject: x",
    "",
    "x",
    ".",
    "QUIT",
    "",
  ];
  const { exitCode, stdout } = await runSendmail(rig, ["-bs", "-i"], lines.join("\r\n"));
  assert.deepEqual([exitCode, sink.accepted.length], [0, 1]);
  assert.match(stdout, /^220 [\s\S]*250 2\.0\.0 taken\r\n221 /);
  const alone = await runSendmail(sendmailRig(t, NOBODY), ["-bs"], "");
  assert.equal(alone.exitCode, 75);
  assert.match(alone.stdout, /^421 4\.3\.2 /);
});
