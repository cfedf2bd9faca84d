// Readings of a real Postfix by a real agent: each second, counted right, by one agent at a time, with the rights of the
// role postlane_agent alone, and through a database that was away.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { needsPostfix, startPostfix } from "../rig/postfix.ts";
import { testDatabase } from "../rig/postgres.ts";
import { connectRaw, sendMail } from "../rig/raw-smtp.ts";
import { AS_MADE, readingOf, spawnAgent, startAgent, untilReading } from "./agent-rig.ts";
import { endWithTest, lineOf, runCommand, startCommand } from "./cli-command.ts";

/** Nothing is listening there, and nothing is tried: what comes in is deferred at once. */
const STUCK = { relayTo: { host: "127.0.0.1", port: 9 }, mainCf: { ...AS_MADE, defer_transports: "smtp" } };
const MAILS = 25;

test("readings come once a second and count what lies in the queue", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const postfix = await startPostfix(t, STUCK);
  const agent = await startAgent(t, database, postfix);
  const smtp = await connectRaw(postfix.host, postfix.port);
  for (let n = 0; n < MAILS; n++) {
    assert.match(await sendMail(smtp, "a@shop.example", `user${n}@d${n % 3}.example`), /^250/);
    await smtp.say("RSET");
  }
  smtp.cut();
  const { body, agent: state } = await untilReading(database, "all are counted", (row) => row.body.deferred === MAILS);
  assert.equal(postfix.queueCount(), MAILS);
  assert.equal(body.queue, 0);
  assert.equal(body.queue_source, "spool");
  assert.deepEqual([state.uses, state.pid], ["spool", agent.child.pid]);
  assert.deepEqual(body.shape?.map(({ destination }) => destination).toSorted(), [
    "d0.example",
    "d1.example",
    "d2.example",
  ]);
  assert.ok((body.fsync_ms ?? 0) > 0 && (body.fsync_usual_ms ?? 0) > 0, JSON.stringify(body));
  assert.ok((body.cores ?? 0) > 0 && (body.disk_total_bytes ?? 0) > (body.disk_free_bytes ?? 0));
  assert.deepEqual(body.problems, []);

  const first = await untilReading(database, "a reading", () => true);
  const later = await untilReading(database, "three readings more", (row) => row.number >= first.number + 3);
  const apartMs = (later.at.getTime() - first.at.getTime()) / (later.number - first.number);
  assert.ok(apartMs > 800 && apartMs < 3000, `${apartMs} ms apart`);
  assert.equal(await agent.terminate(), 0);
  assert.notEqual((await readingOf(database))?.agent.ended_at, null);
  for (const folder of [database.dataDir, "/var/tmp", tmpdir(), postfix.queueDir]) {
    const left = existsSync(folder) ? readdirSync(folder).filter((name) => name === ".postlane-fsync-news") : [];
    assert.deepEqual(left, [], folder);
  }
});

test("the role postlane_agent suffices, and lets it read nothing else", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const postfix = await startPostfix(t, STUCK);
  await database.pool.query("CREATE ROLE beside_the_relay LOGIN IN ROLE postlane_agent");
  t.after(() => database.pool.query("DROP OWNED BY beside_the_relay; DROP ROLE beside_the_relay").catch(() => {}));
  const databaseUrl = database.databaseUrl.replace(/\/\/[^@]+@/, "//beside_the_relay@");
  await startAgent(t, database, postfix, { place: { dataDir: database.dataDir, databaseUrl } });
  const smtp = await connectRaw(postfix.host, postfix.port);
  await sendMail(smtp, "a@shop.example", "user@d.example");
  smtp.cut();
  await untilReading(database, "it is counted", (row) => row.body.deferred === 1);
  await untilReading(database, "its line is taken", (row) => (row.agent.log?.offset ?? 0) > 0);
  const { rows } = await database.pool.query(
    `SELECT has_table_privilege('beside_the_relay', 'postlane.queue', 'SELECT') AS queue,
       has_table_privilege('beside_the_relay', 'postlane.return', 'SELECT') AS return`,
  );
  assert.deepEqual(rows, [{ queue: false, return: false }]);
});

test("a user without that role is told what to do", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const postfix = await startPostfix(t, STUCK);
  await database.pool.query("CREATE ROLE nobody_special LOGIN");
  t.after(() => database.pool.query("DROP ROLE nobody_special").catch(() => {}));
  const databaseUrl = database.databaseUrl.replace(/\/\/[^@]+@/, "//nobody_special@");
  const child = spawnAgent(database, postfix, { place: { dataDir: database.dataDir, databaseUrl } });
  await lineOf(child, /GRANT postlane_agent/, "stderr");
});

test("a second agent refuses while the first is well, and takes over at once when its process is gone", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const postfix = await startPostfix(t, STUCK);
  const first = await startAgent(t, database, postfix);
  const second = spawnAgent(database, postfix);
  await lineOf(second, /measured by another agent .*Stop that one/, "stderr");
  const exitCode = second.exitCode ?? ((await once(second, "close")) as [number | null])[0];
  assert.equal(exitCode, 1);
  await first.kill();
  const third = await startAgent(t, database, postfix);
  assert.equal((await readingOf(database))?.agent.pid, third.child.pid);
});

test("an agent elsewhere that is silent is replaced, and ends when it comes back", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const postfix = await startPostfix(t, STUCK);
  const first = await startAgent(t, database, postfix);
  first.child.kill("SIGSTOP");
  // As if it were on another machine, and silent for a while.
  await database.pool.query(
    `UPDATE postlane.reading SET at = clock_timestamp() - interval '11 s', agent = agent || '{"host": "elsewhere", "taken_at": "2026-01-01T00:00:00Z"}'`,
  );
  const second = await startAgent(t, database, postfix);
  const replaced = once(first.child, "close");
  first.child.kill("SIGCONT");
  assert.deepEqual(await replaced, [1, null]);
  assert.match(first.said(), /measured by another agent now/);
  assert.equal((await readingOf(database))?.agent.pid, second.child.pid);
});

test("it gets through a database that is away", async (t) => {
  if (!needsPostfix(t)) return;
  const database = await testDatabase(t);
  const postfix = await startPostfix(t, STUCK);
  const agent = await startAgent(t, database, postfix);
  await database.pool.query("ALTER TABLE postlane.reading RENAME TO reading_away");
  await lineOf(agent.child, /agent\.failed/, "stderr");
  await database.pool.query("ALTER TABLE postlane.reading_away RENAME TO reading");
  await database.pool.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = 'postlane agent news' AND datname = current_database()`,
  );
  const { number } = (await readingOf(database))!;
  await untilReading(database, "readings come again", (row) => row.number >= number + 2);
  assert.equal(agent.child.exitCode, null);
});

test("any other relay is measured by its command", async (t) => {
  const database = await testDatabase(t);
  const words = { queue: 12, deferred: 3, oldest_age_s: 60 };
  const outlet = {
    type: "smtp",
    hosts: ["127.0.0.1:9"],
    gauge: { type: "command", command: ["echo", JSON.stringify(words)], spool: database.dataDir },
  };
  const child = startCommand(database, ["agent", "--outlet", "news"], {
    POSTLANE_OUTLETS__NEWS: JSON.stringify(outlet),
  });
  endWithTest(t, child);
  const { body, agent } = await untilReading(database, "it is measured", (row) => row.body.queue === words.queue);
  assert.deepEqual([body.deferred, body.oldest_age_s, agent.uses], [3, 60, "command"]);
  await untilReading(database, "its disk too", (row) => (row.body.fsync_ms ?? 0) > 0);
});

test("`postlane up` starts an agent for each relay on this machine that has a gauge", async (t) => {
  const database = await testDatabase(t);
  const gauge = { type: "command", command: ["echo", '{"queue": 7}'] };
  const outlet = (isRemote: boolean) =>
    JSON.stringify({ type: "smtp", hosts: ["127.0.0.1:9"], gauge: { ...gauge, is_remote: isRemote } });
  const up = startCommand(database, ["up"], {
    POSTLANE_OUTLETS__NEWS: outlet(false),
    POSTLANE_OUTLETS__AWAY: outlet(true),
    POSTLANE_LISTEN__HTTP: "off",
  });
  endWithTest(t, up);
  await lineOf(up, /^agent news: ready/);
  await untilReading(database, "it is measured", (row) => row.body.queue === 7);
  const { rows } = await database.pool.query("SELECT outlet FROM postlane.reading");
  assert.deepEqual(rows, [{ outlet: "news" }]);
  const stopped = lineOf(up, /^stopped: nothing is in flight/);
  up.kill("SIGTERM");
  await stopped;
  assert.notEqual((await readingOf(database))?.agent.ended_at, null);
});

test("an outlet without a gauge has no agent", async (t) => {
  const database = await testDatabase(t);
  const { exitCode, stderr } = await runCommand(database, ["agent", "--outlet", "default"]);
  assert.equal(exitCode, 1);
  assert.match(stderr, /no outlet "default" with a gauge.*none; a gauge is set in postlane\.yaml/);
});
