import assert from "node:assert/strict";
import { test } from "node:test";
import { letter, letters, listDriver, loopbackSockets, manualClock, startOutlet } from "../../test/rig/handover-rig.ts";
import { DROP, replyAndDrop, SILENCE, startScriptedSink } from "../../test/rig/scripted-sink.ts";
import { createSmtpOutlet } from "./smtp-outlet.ts";
import { silentLog } from "../platform/log.ts";
import { seededRandom } from "../platform/random.ts";

const nextTurn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test("many messages over many connections all arrive once, each under its own envelope", async (t) => {
  const sink = await startScriptedSink(t);
  const { driver } = startOutlet(t, [sink.port], letters(2000), {
    limit: 40,
    connectionsMax: 10,
    messagesPerConnectionMax: 50,
  });
  await driver.whenFinished(2000);
  assert.equal(sink.accepted.length, 2000);
  for (const { sender, recipients, content } of sink.accepted) {
    const number = /^bounce-(\d+)@/.exec(sender)?.[1];
    assert.deepEqual(recipients, [`person-${number}@example.net`]);
    assert.equal(content.toString(), `Subject: letter ${number}\r\n\r\nHello ${number}\r\n`);
  }
  assert.equal(new Set(sink.accepted.map(({ sender }) => sender)).size, 2000);
  assert.deepEqual(sink.breaches, []);
});

test("the limit is never passed, riding messages included, and a connection comes before a ride", async (t) => {
  for (const [limit, connectionsMax, connectionsExpected] of [
    [1, 5, 1],
    [3, 5, 3],
    [5, 5, 5],
    [8, 5, 5],
    [10, 5, 5],
  ] as const) {
    const sink = await startScriptedSink(t);
    const { driver } = startOutlet(t, [sink.port], letters(300), { limit, connectionsMax });
    await driver.whenFinished(300);
    assert.equal(driver.openCountMax, limit);
    assert.equal(sink.openConnectionCountMax, connectionsExpected, `limit ${limit}`);
  }
});

test("with no final dot answered, each connection has one message past it and at most one riding", async (t) => {
  const sink = await startScriptedSink(t, { answer: ({ verb }) => (verb === "DOT" ? SILENCE : undefined) });
  const { driver, outlet } = startOutlet(t, [sink.port], letters(100), { limit: 100, connectionsMax: 4 });
  await sink.waitFor(() => sink.messages.length === 4);
  await nextTurn();
  assert.equal(driver.openCount, 8);
  assert.equal(outlet.stats().openCount, 8);
  assert.equal(sink.messages.length, 4);
});

test("a lower limit lets the open ones finish and takes nothing more", async (t) => {
  let release: (() => void) | undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const sink = await startScriptedSink(t, {
    answer: async ({ verb }) => {
      if (verb === "DOT") await held;
      return undefined;
    },
  });
  const { driver, outlet } = startOutlet(t, [sink.port], letters(50), { limit: 6, connectionsMax: 3 });
  await sink.waitFor(() => sink.messages.length === 3);
  outlet.setLimit(0);
  const open = driver.openCount;
  release?.();
  await driver.whenFinished(open);
  assert.equal(driver.takenCount, open);
  outlet.setLimit(6);
  await driver.whenFinished(50);
  assert.equal(sink.accepted.length, 50);
});

test("permission is asked for many at once", async (t) => {
  const sink = await startScriptedSink(t);
  const { driver } = startOutlet(t, [sink.port], letters(1000), { limit: 40, connectionsMax: 20 });
  await driver.whenFinished(1000);
  const calls = driver.permitCalls.map((tokens) => tokens.length);
  assert.equal(
    calls.reduce((sum, count) => sum + count, 0),
    1000,
  );
  assert.ok(calls.length < 700, `${calls.length} calls for 1000 messages`);
});

test("drain takes nothing more and waits for what is open", async (t) => {
  const sink = await startScriptedSink(t);
  const { driver, outlet } = startOutlet(t, [sink.port], letters(500), { limit: 10, connectionsMax: 5 });
  await driver.whenFinished(20);
  await outlet.drain();
  assert.equal(driver.openCount, 0);
  const taken = driver.takenCount;
  outlet.wake();
  await sink.waitFor(() => sink.openConnectionCount === 0);
  assert.deepEqual([driver.takenCount, driver.results.size, sink.accepted.length], [taken, taken, taken]);
  assert.ok(taken < 500);
});

test("close ends at once: past the dot is told as that, the rest was not started", async (t) => {
  const sink = await startScriptedSink(t, { answer: ({ verb }) => (verb === "DOT" ? SILENCE : undefined) });
  const { driver, outlet, clock } = startOutlet(t, [sink.port], letters(50), { limit: 6, connectionsMax: 3 });
  await sink.waitFor(() => sink.messages.length === 3);
  await outlet.close();
  await outlet.close();
  const kinds = [...driver.results.values()].map((result) =>
    result.kind === "failed" ? result.isPastDot : result.kind,
  );
  assert.equal(driver.openCount, 0);
  assert.equal(kinds.filter((kind) => kind === true).length, 3);
  assert.ok(
    kinds.every((kind) => kind === true || kind === "not_started"),
    kinds.join(),
  );
  assert.deepEqual(clock.pending(), []);
  await sink.waitFor(() => sink.openConnectionCount === 0);
});

test("before the first limit, and without a message, nothing is taken and nothing is sent", async (t) => {
  const sink = await startScriptedSink(t);
  const driver = listDriver(letters(1));
  const outlet = createSmtpOutlet(
    { name: "x", heloName: "me", hosts: [{ host: "127.0.0.1", port: sink.port, weight: 1 }], tls: "off" },
    { ...loopbackSockets, clock: manualClock(), random: seededRandom(1), log: silentLog },
    driver,
  );
  t.after(() => outlet.close());
  outlet.wake();
  await nextTurn();
  assert.deepEqual([driver.takenCount, outlet.stats().connectionCount], [0, 0]);
});

test("a message that cannot go by this server is refused here, and the next one takes its place", async (t) => {
  const sink = await startScriptedSink(t, { extensions: ["PIPELINING", "SIZE 100"] });
  const queue = [
    letter(1),
    letter(2, { text: `${"x".repeat(200)}\r\n` }),
    letter(3, { recipient: "a b@example.net" }),
    letter(4, { recipient: "zoë@example.net" }),
    letter(5, { text: "Subject: x\r\n\r\nzoë\r\n" }),
    letter(6, { text: "Subject: x\r\n\r\nbare\nnewline\r\n" }),
    letter(7),
  ];
  const { driver } = startOutlet(t, [sink.port], queue, { limit: 4, connectionsMax: 1 });
  const results = await driver.whenFinished(7);
  const seen = [...results].map(([token, result]) => {
    const reply = result.kind === "replied" || result.kind === "refused_here" ? result.reply.enhanced : result.kind;
    return `${token} ${reply}`;
  });
  assert.deepEqual(seen.toSorted(), [
    "token-1 2.0.0",
    "token-2 5.3.4",
    "token-3 5.1.3",
    "token-4 5.6.7",
    "token-5 5.6.3",
    "token-6 5.6.0",
    "token-7 2.0.0",
  ]);
  assert.equal(sink.accepted.length, 2);
  assert.deepEqual(sink.breaches, []);
});

test("a host that breaks before it takes a message is set aside, and the other one gets the mail", async (t) => {
  const broken = await startScriptedSink(t, { answer: ({ verb }) => (verb === "MAIL" ? DROP : undefined) });
  const healthy = await startScriptedSink(t);
  const { driver, outlet } = startOutlet(t, [broken.port, healthy.port], letters(100), { limit: 4, connectionsMax: 4 });
  await driver.whenFinished(100);
  assert.ok(healthy.accepted.length >= 96, `${healthy.accepted.length} by the healthy one`);
  const stats = outlet.stats().hosts.find(({ host }) => host.endsWith(`:${broken.port}`));
  assert.ok((stats?.failureCount ?? 0) <= 1);
});

test("a host that greets and hangs up is left alone for a while, and a message is told", async (t) => {
  for (const last of [replyAndDrop("250 sink.example"), "250 sink.example\r\n421 4.3.2 too busy"]) {
    const sink = await startScriptedSink(t, { answer: ({ verb }) => (verb === "EHLO" ? last : undefined) });
    const { driver, outlet } = startOutlet(t, [sink.port], letters(2), { limit: 1 });
    const result = (await driver.whenFinished(1)).get("token-1");
    assert.ok(result?.kind === "failed" || (result?.kind === "replied" && result.reply.code === 421), result?.kind);
    for (let turn = 0; turn < 50; turn++) await nextTurn();
    assert.equal(sink.connectionCount, 1);
    assert.equal(outlet.stats().hosts[0]?.failureCount, 1);
    assert.equal(driver.results.size, 1);
  }
});

test("what cannot be SMTP is refused when the outlet is made", () => {
  const ports = { ...loopbackSockets, clock: manualClock(), random: seededRandom(1), log: silentLog };
  const make = (changes: object) =>
    createSmtpOutlet(
      { name: "x", heloName: "me", hosts: [{ host: "h", port: 25, weight: 1 }], ...changes },
      ports,
      listDriver([]),
    );
  assert.throws(() => make({ heloName: "me\r\nMAIL" }), /cannot stand in EHLO/);
  assert.throws(() => make({ hosts: [] }), /no host/);
  assert.throws(() => make({ hosts: [{ host: "h", port: 25, weight: 0 }] }), /weight/);
});

test("an idle connection is given back to the relay", async (t) => {
  const sink = await startScriptedSink(t);
  const { driver, clock, outlet } = startOutlet(t, [sink.port], letters(1), { limit: 1 });
  await driver.whenFinished(1);
  await nextTurn();
  clock.advance(5000);
  await sink.waitFor(() => sink.openConnectionCount === 0);
  assert.equal(sink.commands.at(-1), "1> QUIT");
  driver.add(letter(2));
  outlet.wake();
  await driver.whenFinished(2);
  assert.equal(sink.connectionCount, 2);
});
