// How much of everything the SMTP door takes: sizes, recipients, sessions, errors, time; that memory stays bounded, others
// are unharmed, and a silent database is answered for in time.

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { systemClock, type Clock } from "../../src/platform/clock.ts";
import { testDatabase } from "../rig/postgres.ts";
import { keptMail, keyFor, openDoor, Talk } from "./smtp-rig.ts";

const MAIL = "Message-ID: <1@example.com>\r\nSubject: x\r\n\r\nx\r\n";
const MIB = 2 ** 20;

test("a mail that is too large is refused by its SIZE, or read to its end and forgotten", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool, { limits: { messageBytesMax: MIB } });
  const talk = await Talk.with(port);
  const tooLarge = `552 5.3.4 the mail is too large: at most ${MIB} octets are taken`;
  assert.equal(await talk.say(`MAIL FROM:<> SIZE=${MIB + 1}`), tooLarge);
  await talk.sayAll("MAIL FROM:<>", "RCPT TO:<ann@example.com>", "DATA");
  const line = Buffer.from(`${"x".repeat(1022)}\r\n`);
  const block = Buffer.concat(Array.from({ length: 1024 }, () => line));
  const before = process.memoryUsage().rss;
  await talk.writeInPieces(Array.from({ length: 256 }, () => block));
  assert.equal(await talk.say("."), tooLarge);
  const grownMiB = (process.memoryUsage().rss - before) / MIB;
  // The client is in this process, too.
  assert.ok(grownMiB < 128, `256 MiB were sent, and the process grew by ${grownMiB} MiB`);
  assert.match(await talk.mail(MAIL), /^250/);
  assert.equal((await keptMail(pool)).length, 1);
  talk.end();
});

test("a mail of ten million small pieces of dots is read in time and memory", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const talk = await Talk.with(port);
  const content = "..\r\n".repeat(2_000_000);
  await talk.sayAll("MAIL FROM:<>", "RCPT TO:<ann@example.com>", "DATA");
  talk.write(`Subject: dots\r\n\r\n${content}`);
  assert.match(await talk.say("."), /^250/);
  const [kept] = await keptMail(pool);
  assert.ok(kept?.raw.endsWith(`\r\n\r\n${".\r\n".repeat(2_000_000)}`));
  talk.end();
});

test("all mails that are being read have so much memory together", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool, { limits: { readingBytesMax: MIB } });
  const [one, other] = [await Talk.with(port), await Talk.with(port)];
  const begin = ["MAIL FROM:<>", "RCPT TO:<ann@example.com>", "DATA"];
  const large = Buffer.from(`Subject: x\r\n\r\n${"x".repeat(600_000)}`);
  await one.sayAll(...begin);
  await one.writeInPieces([large]);
  // Until the door has read what the first one sent, there is room.
  let answer = "250";
  while (answer.startsWith("250")) {
    await other.sayAll(...begin);
    await other.writeInPieces([large]);
    answer = await other.say("\r\n.");
  }
  assert.match(answer, /^452 4\.3\.1/);
  assert.match(await one.say("\r\n."), /^250/);
  for (let count = 0; count < 3; count++) {
    const cut = await Talk.with(port);
    await cut.sayAll(...begin);
    await cut.writeInPieces([large]);
    cut.end();
  }
  const size = "x".repeat(900_000);
  let reply = await one.mail(`Subject: x\r\n\r\n${size}\r\n`);
  // The door hears of the last cut connection when the network tells it.
  while (reply.startsWith("452")) reply = await one.mail(`Subject: x\r\n\r\n${size}\r\n`);
  assert.match(reply, /^250/, "what was cut off has given its memory back");
  for (const talk of [one, other]) talk.end();
});

test("recipients beyond the limit are for another transaction", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool, { limits: { recipientsMax: 2 } });
  const talk = await Talk.with(port);
  const replies = await talk.sayAll(
    "MAIL FROM:<>",
    ...["a", "b", "b", "c"].map((local) => `RCPT TO:<${local}@example.com>`),
    "DATA",
  );
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 9)),
    ["250 2.1.0", "250 2.1.5", "250 2.1.5", "250 2.1.5", "452 4.5.3", "354 End d"],
  );
  talk.write(MAIL);
  assert.match(await talk.say("."), /^250/);
  assert.deepEqual((await keptMail(pool))[0]?.recipients, ["a@example.com", "b@example.com"]);
  talk.end();
});

test("errors, commands without a mail, and a command without an end have their limits", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool, { limits: { errorsMax: 5 } });
  const talk = await Talk.with(port);
  const replies = await talk.sayAll(...Array.from({ length: 5 }, () => "RCPT TO:<ann@example.com>"));
  assert.ok(replies.every((reply) => reply.startsWith("503 5.5.1")));
  assert.match(await talk.reply(), /^421 4\.7\.0 5 errors in one session/);
  assert.equal(await talk.reply(), "closed");
  const idler = await Talk.with(port);
  let answer = "";
  for (let count = 0; count < 101 && !answer.startsWith("421"); count++) answer = await idler.say("NOOP");
  assert.match(answer, /^421 4\.7\.0 more than 100 commands/);
  const endless = await Talk.with(port);
  endless.write("x".repeat(10_000));
  assert.equal(await endless.reply(), "421 4.7.0 a command line is too long");
  const browser = await Talk.at(port);
  assert.equal(await browser.say("POST / HTTP/1.1"), "421 4.7.0 this is SMTP and not HTTP");
  const ended = [await idler.reply(), await endless.reply(), await browser.reply()];
  assert.deepEqual(ended, ["closed", "closed", "closed"]);
});

test("2,000 idle connections of one client: it is refused, others are unharmed", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const working = await Talk.with(port, "127.0.0.2");
  const before = process.memoryUsage().rss;
  const sockets = Array.from({ length: 2000 }, () => net.connect({ port, host: "127.0.0.1" }));
  const greetings = await Promise.all(
    sockets.map(async (socket) => {
      const [greeting] = (await once(socket, "data")) as [Buffer];
      return greeting.toString("latin1");
    }),
  );
  const refused = greetings.filter((greeting) => greeting.startsWith("421 4.7.0 too many sessions"));
  assert.equal(greetings.filter((greeting) => greeting.startsWith("220 ")).length, 200);
  assert.equal(refused.length, 1800);
  assert.match(await working.mail(MAIL), /^250/);
  const newcomer = await Talk.with(port, "127.0.0.3");
  assert.match(await newcomer.mail(MAIL, ["bob@example.com"]), /^250/);
  const grownMiB = (process.memoryUsage().rss - before) / MIB;
  assert.ok(grownMiB < 200, `the process grew by ${grownMiB} MiB, clients and door together`);
  for (const socket of sockets) socket.destroy();
  for (const talk of [working, newcomer]) talk.end();
});

test("sessions that are kept and not used make room, the longest idle first, and never one amid a mail", async (t) => {
  const { pool } = await testDatabase(t);
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
  const { port } = await openDoor(t, pool, { clock, limits: { sessionsPerClientMax: 3 } });
  const busy = await Talk.with(port);
  await busy.sayAll("MAIL FROM:<>", "RCPT TO:<ann@example.com>", "DATA");
  const oldest = await Talk.with(port);
  const younger = await Talk.with(port);
  const refused = new Talk(net.connect({ port, host: "127.0.0.1" }));
  assert.equal(await refused.reply(), "421 4.7.0 too many sessions are open, close some or try again later");
  aheadMs = 5000;
  await younger.say("NOOP");
  aheadMs = 12_000;
  const newcomer = await Talk.with(port);
  assert.equal(await oldest.reply(), "421 4.3.2 it was idle while others wait to come in");
  assert.match(await newcomer.mail(MAIL, ["bob@example.com"]), /^250/);
  assert.match(await younger.say("NOOP"), /^250/);
  busy.write(MAIL);
  assert.match(await busy.say("."), /^250/);
  for (const talk of [busy, younger, newcomer]) talk.end();
});

test("who says nothing is closed, and so is who dribbles", async (t) => {
  const { pool } = await testDatabase(t);
  const deadlines: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    after: (ms, fire) => {
      if (ms !== 600_000) return systemClock.after(ms, fire);
      deadlines.push(fire);
      return { cancel() {} };
    },
  };
  const { port } = await openDoor(t, pool, { clock, limits: { idleMs: 1000 } });
  const silent = await Talk.with(port);
  assert.equal(await silent.reply(), "421 4.4.2 nothing came for too long");
  const dribbling = await Talk.with(port);
  await dribbling.sayAll("MAIL FROM:<>", "RCPT TO:<ann@example.com>", "DATA");
  dribbling.write("S");
  assert.equal(deadlines.length, 1);
  deadlines[0]!();
  assert.equal(await dribbling.reply(), "421 4.4.2 the content comes too slowly");
  assert.deepEqual(await keptMail(pool), []);
});

test("a database that is silent is answered for within seconds, and what it kept nevertheless is found again", async (t) => {
  const { pool } = await testDatabase(t);
  const { port } = await openDoor(t, pool);
  const [talk, later] = [await Talk.with(port), await Talk.with(port)];
  const client = await pool.connect();
  await client.query("BEGIN");
  await client.query("LOCK TABLE postlane.content IN ACCESS EXCLUSIVE MODE");
  const startedAtMs = performance.now();
  assert.equal(await talk.mail(MAIL), "451 4.3.0 it cannot be kept at the moment, try again later");
  assert.ok(performance.now() - startedAtMs < 3000);
  await client.query("ROLLBACK");
  client.release();
  assert.match(await later.mail(MAIL), /^250/);
  assert.equal((await keptMail(pool)).length, 1);
  for (const each of [talk, later]) each.end();
});

test("MAIL is answered for within seconds, too, though the key and then its rate wait for a silent database", async (t) => {
  const { pool } = await testDatabase(t);
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + aheadMs };
  const { port } = await openDoor(t, pool, { clock });
  const talk = await Talk.with(port);
  assert.match(await talk.say(`AUTH PLAIN ${(await keyFor(pool, { max_rate: 100 })).plain}`), /^235/);
  // What is in mind of the key is too old to be taken without a question.
  aheadMs = 5000;
  const client = await pool.connect();
  await client.query("BEGIN");
  await client.query("LOCK TABLE postlane.key, postlane.key_rate IN ACCESS EXCLUSIVE MODE");
  const startedAtMs = performance.now();
  assert.equal(await talk.say("MAIL FROM:<>"), "451 4.3.0 the database does not answer, try again later");
  assert.ok(performance.now() - startedAtMs < 3000);
  assert.match(await talk.say("RCPT TO:<ann@example.com>"), /^503/);
  await client.query("ROLLBACK");
  client.release();
  assert.match(await talk.say("MAIL FROM:<>"), /^250/);
  talk.end();
});

test("a door that is stopped answers what it has taken in, and ends the others", async (t) => {
  const { pool } = await testDatabase(t);
  const { port, door } = await openDoor(t, pool);
  const [talk, idle] = [await Talk.with(port), await Talk.with(port)];
  const client = await pool.connect();
  await client.query("BEGIN");
  await client.query("LOCK TABLE postlane.content IN ACCESS EXCLUSIVE MODE");
  await talk.sayAll("MAIL FROM:<>", "RCPT TO:<ann@example.com>", "DATA");
  const answered = talk.say(`${MAIL}.`);
  while ((await waitingForLock()) === 0);
  const stopped = door.stop();
  assert.match(await idle.reply(), /^421 4\.3\.2 the server is being stopped/);
  await client.query("ROLLBACK");
  client.release();
  assert.match(await answered, /^250 2\.0\.0 sub_/);
  assert.match(await talk.reply(), /^421 4\.3\.2/);
  for (const each of [talk, idle]) each.end();
  await stopped;

  async function waitingForLock(): Promise<number> {
    const { rows } = await pool.query<{ n: number }>("SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted");
    return rows[0]!.n;
  }
});

test("a port that is taken is told, and listened at once it is free", async (t) => {
  const { pool } = await testDatabase(t);
  const taken = net.createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const told: string[] = [];
  let retry = (): void => {};
  const waits = new Promise<void>((resolve) => {
    const clock: Clock = {
      ...systemClock,
      after: (ms, fire) => {
        if (ms !== 5000) return systemClock.after(ms, fire);
        retry = fire;
        resolve();
        return { cancel() {} };
      },
    };
    const { port } = taken.address() as net.AddressInfo;
    void openDoor(t, pool, { clock, tell: (line) => void told.push(line), listenAt: port }).then(({ port: open }) => {
      told.push(`open at ${open - port}`);
    });
  });
  await waits;
  assert.match(told[0]!, /^smtp: smtp CANNOT listen at 127\.0\.0\.1:\d+ \(.*EADDRINUSE.*it tries again every 5 s/);
  taken.close();
  await once(taken, "close");
  retry();
  while (told.length < 3) await new Promise((resolve) => setImmediate(resolve));
  assert.match(told[1]!, /^smtp: smtp listens at 127\.0\.0\.1:\d+ now$/);
  assert.equal(told[2], "open at 0");
});
