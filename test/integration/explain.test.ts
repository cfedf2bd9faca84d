// `postlane explain` on a real database, by its own look and by a real front, and the snapshot that it is made of.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import pg from "pg";
import { systemClock } from "../../src/platform/clock.ts";
import { EVERY_LANE, pauseTarget } from "../../src/queue/pause-store.ts";
import { readSnapshot } from "../../src/reports/engine-snapshot.ts";
import type { ExplainReport } from "../../src/reports/explain.ts";
import { insertCampaign } from "../rig/campaign-list.ts";
import { whileFrozen } from "../rig/freeze.ts";
import { until } from "../rig/lane-mail.ts";
import { promtool } from "../rig/promtool.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { endWithTest, enqueue, jsonOf, runCommand, startCommand } from "./cli-command.ts";

/** As a dispatcher writes it. */
const PULSE = {
  priority: "bulk",
  in_flight: 3,
  rate_per_s: 50,
  settled_total: 700,
  settled_ms_ago: 10,
  commit_ms: 4,
  commit_usual_ms: 3,
  outlets: [
    {
      name: "relay",
      window: 60,
      open: 60,
      pace_per_s: 100,
      taken_per_s: 99,
      wants_more: true,
      handed_total: 700,
      reasons: [{ code: "max_rate", limits: "pace", limit: 100, evidence: { max_per_s: 100 } }],
    },
  ],
  throttled: {
    count: 1,
    some: [
      {
        destination: "example.com",
        reason: { code: "probing", limits: "window", limit: 1, evidence: { failures: 2, error: "refused" } },
      },
    ],
  },
};

test("the snapshot of a real database has everything that limits", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  for (let number = 0; number < 3; number++) await enqueue(database, { lane: "bulk" });
  await startedCampaign(database, "march", "paused");
  await writeLease(database, "bulk", PULSE);
  await pool.query(
    "INSERT INTO postlane.lease (lane_id, holder, boot_id, deadline) SELECT id, 'x', 'b', now() - interval '4 s' FROM postlane.lane WHERE name = 'transactional'",
  );
  const reading = { queue: 7, queue_source: "spool", shape: [{ destination: "a.example", queue: 7 }], fsync_ms: "no" };
  await pool.query("INSERT INTO postlane.reading VALUES ('relay', 1, now() - interval '2 s', $1, '{}')", [reading]);
  await pauseTarget(pool, { kind: "destination", name: "b.example", laneId: EVERY_LANE });
  await pool.query(
    "INSERT INTO postlane.destination (name, failures, probe_at, error) VALUES ('dead.example', 3, now() + interval '9 s', 'timed out'), ('well.example', 0, NULL, NULL)",
  );
  await pool.query("INSERT INTO postlane.unaccounted VALUES (1, 1, 'relay', now())");
  await pool.query("INSERT INTO postlane.return (source) VALUES ('door')");
  const writer = await openTransaction(t, database);
  const snapshot = await readSnapshot(pool);
  const [transactional, bulk] = snapshot.lanes;
  assert.deepEqual(
    [bulk!.states.queued, bulk!.toSend, bulk!.dispatchers[0]!.pulse.outlets[0]!.handed_total],
    [3, 3, 700],
  );
  assert.deepEqual([transactional!.dispatchers[0]!.isAlive, bulk!.dispatchers[0]!.isAlive], [false, true]);
  assert.deepEqual(snapshot.pausedCampaigns, [{ name: "march", lane: "bulk", waiting: 0, because: null }]);
  assert.deepEqual(snapshot.readings[0]!.reading, {
    queue: 7,
    queue_source: "spool",
    shape: [{ destination: "a.example", queue: 7, deferred: 0, oldest_age_s: 0 }],
    problems: [],
  });
  assert.ok(snapshot.readings[0]!.ageMs >= 2000);
  assert.deepEqual(
    snapshot.pauses.map(({ kind, name, lane, isByRule }) => [kind, name, lane, isByRule]),
    [["destination", "b.example", null, false]],
  );
  assert.deepEqual([snapshot.destinations.failing, snapshot.destinations.worst[0]!.name], [1, "dead.example"]);
  assert.deepEqual(snapshot.waitingFor, {
    "b.example": { waiting: 0, isMore: false },
    "dead.example": { waiting: 0, isMore: false },
    "example.com": { waiting: 3, isMore: false },
  });
  assert.deepEqual([snapshot.unaccounted, snapshot.returns.unjudged], [[{ outlet: "relay", messages: 1 }], 1]);
  assert.equal(snapshot.transaction!.pid, writer);
});

test("without a front, explain looks itself: what a person stopped comes with its remedy", async (t) => {
  const database = await testDatabase(t);
  const id = await enqueue(database, { lane: "bulk" });
  await writeLease(database, "transactional", PULSE);
  await writeLease(database, "bulk", PULSE);
  const running = await jsonOf<ExplainReport>(database, ["explain", "lane", "bulk"]);
  assert.deepEqual([running.limits[0]!.code, running.waiting, running.per_s], ["destination_failing", 1, 50]);
  await runCommand(database, ["lane", "pause", "bulk"]);
  await writeLease(database, "bulk", PULSE);
  const paused = await jsonOf<ExplainReport>(database, ["explain"]);
  assert.deepEqual([paused.limits[0]!.code, paused.nothing_leaves], ["lane_paused", ["default"]]);
  const { stdout } = await runCommand(database, ["explain", "message", id]);
  assert.match(stdout, /^nothing leaves this machine: outlet default keeps the mail\n/);
  assert.match(
    stdout,
    /1\. bulk: lane bulk is paused since .*\[lane_paused\]\n {3}1 message waits\n {3}→ `postlane lane resume bulk`/,
  );
  assert.match(stdout, /\[behind_others\]/);
});

test("explain refuses what there is not, and says what to do", async (t) => {
  const database = await testDatabase(t);
  const ends = [];
  for (const args of [["lane", "nope"], ["message", "msg_999"], ["message", "x"], ["weather", "x"], ["lane"]]) {
    const { exitCode, stderr } = await runCommand(database, ["explain", ...args]);
    ends.push([exitCode, stderr.trim()]);
  }
  assert.deepEqual(ends, [
    [1, 'postlane: There is no lane "nope". There are: transactional, bulk.'],
    [1, "postlane: There is no msg_999 in this database. Check the id."],
    [2, 'postlane: "x" is no message id: expected msg_ and a number.'],
    [2, 'postlane: "weather" cannot be explained: expected lane, outlet, destination or message.'],
    [2, "postlane: Say which lane, such as `postlane explain lane bulk`."],
  ]);
});

test("where nothing answers, explain says so within five seconds, and fails", async (t) => {
  const { dataDir } = await testDatabase(t);
  const askedAtMs = systemClock.monotonicMs();
  const { exitCode, stdout } = await runCommand({ dataDir }, ["explain", "--json"]);
  assert.ok(systemClock.monotonicMs() - askedAtMs < 5000);
  const report = JSON.parse(stdout) as ExplainReport;
  assert.deepEqual([exitCode, report.limits[0]!.code, report.waiting], [1, "database_silent", null]);
  assert.match(report.limits[0]!.sentence, /not running.*no front answers either/);
});

test("while the database stands still a front answers from memory, first of all that; and takes it back", async (t) => {
  const database = await testDatabase(t);
  await enqueue(database, { lane: "bulk" });
  await writeLease(database, "bulk", PULSE);
  const front = await startFront(t, database);
  const before = await jsonOf<ExplainReport>(database, ["explain"]);
  assert.equal(before.answers.database, null);
  await whileFrozen(database.pool, async () => {
    const frozenAtMs = systemClock.monotonicMs();
    await untilAnswer(database, ({ limits }) => limits[0]!.code === "database_silent", 5000);
    const askedAtMs = systemClock.monotonicMs();
    const silent = await jsonOf<ExplainReport>(database, ["explain", "lane", "bulk"]);
    const tookMs = systemClock.monotonicMs() - askedAtMs;
    assert.ok(tookMs < 5000, `it took ${tookMs} ms`);
    assert.deepEqual([silent.limits[0]!.code, silent.waiting], ["database_silent", 1]);
    assert.ok(Date.parse(silent.answers.database!.since) <= systemClock.wallMs());
    assert.ok(silent.answers.snapshot_age_s! >= Math.floor((systemClock.monotonicMs() - frozenAtMs) / 1000) - 1);
    const { stdout } = await runCommand(database, ["explain", "message", "msg_1"]);
    assert.match(stdout, /^the database does not answer since \S+Z.*; what follows is /);
    front.kill("SIGSTOP");
    const askedAgainAtMs = systemClock.monotonicMs();
    const alone = await runCommand(database, ["explain", "--json"]);
    assert.ok(systemClock.monotonicMs() - askedAgainAtMs < 5000);
    const { limits } = JSON.parse(alone.stdout) as ExplainReport;
    assert.deepEqual([alone.exitCode, limits[0]!.code], [1, "database_silent"]);
    front.kill("SIGCONT");
  });
  await untilAnswer(database, ({ answers }) => answers.database === null, 10_000);
});

test("a front remembers a dispatcher that is gone with its lease, and tells upkeep's alarm", async (t) => {
  const database = await testDatabase(t);
  await enqueue(database, { lane: "bulk" });
  await writeLease(database, "bulk", PULSE);
  await startFront(t, database, { POSTLANE_NO_PROGRESS_ALARM: "1 s" });
  const seen = await jsonOf<ExplainReport>(database, ["explain", "lane", "bulk"]);
  assert.deepEqual(seen.answers.dispatchers, []);
  await database.pool.query("DELETE FROM postlane.lease");
  const isGone = ({ limits }: ExplainReport): boolean => limits[0]!.code === "no_dispatcher";
  const gone = await untilAnswer(database, isGone, 5000);
  assert.ok(gone.answers.dispatchers.some(({ lane, since }) => lane === "bulk" && since !== null));
  await untilAnswer(database, ({ limits }) => limits.some(({ code }) => code === "no_progress"), 10_000);
  const metrics = await (await fetch(`http://${frontAddress(database)}/metrics`)).text();
  assert.match(metrics, /^postlane_upkeep_no_progress\{lane="bulk"\} 1$/m);
  await writeLease(database, "bulk", PULSE);
  await untilAnswer(database, (report) => !isGone(report), 10_000);
});

test("a front's metrics pass promtool, and its file goes with it", async (t) => {
  const database = await testDatabase(t);
  await enqueue(database, { lane: "bulk" });
  await writeLease(database, "bulk", PULSE);
  const front = await startFront(t, database);
  const metrics = await (await fetch(`http://${frontAddress(database)}/metrics`)).text();
  assert.match(metrics, /^postlane_queue_messages\{lane="bulk",state="queued"\} 1$/m);
  assert.match(metrics, /^postlane_queue_oldest_seconds\{lane="bulk"\} \d/m);
  assert.match(metrics, /^postlane_database_wal_fsyncs_total \d+$/m);
  const tool = promtool(t);
  if (tool !== undefined) {
    const { status, stdout, stderr } = spawnSync(tool, ["check", "metrics"], { input: metrics, encoding: "utf8" });
    assert.deepEqual([status, stdout, stderr], [0, "", ""]);
  }
  front.kill("SIGTERM");
  await until("the file is gone", async () => frontAddress(database) === undefined);
});

async function startFront(t: TestContext, database: TestDatabase, env: NodeJS.ProcessEnv = {}) {
  const front = startCommand(database, ["front"], env);
  endWithTest(t, front);
  await until("the front listens and has looked", async () => {
    const http = frontAddress(database);
    if (http === undefined) return false;
    return ((await (await fetch(`http://${http}/explain`)).json()) as ExplainReport).answers.snapshot_age_s !== null;
  });
  return front;
}

function frontAddress({ dataDir }: TestDatabase): string | undefined {
  try {
    return (JSON.parse(readFileSync(path.join(dataDir, "run", "front.json"), "utf8")) as { http: string }).http;
  } catch {
    return undefined;
  }
}

async function untilAnswer(
  database: TestDatabase,
  isSo: (report: ExplainReport) => boolean,
  msMax: number,
): Promise<ExplainReport> {
  const startedAtMs = systemClock.monotonicMs();
  for (;;) {
    const report = await jsonOf<ExplainReport>(database, ["explain"]);
    const tookMs = systemClock.monotonicMs() - startedAtMs;
    assert.ok(tookMs < msMax, `after ${tookMs} ms: ${JSON.stringify(report)}`);
    if (isSo(report)) return report;
  }
}

/** Just renewed, as a dispatcher does it; the deadline is the default lease's. */
async function writeLease({ pool }: TestDatabase, lane: string, pulse: object): Promise<void> {
  await pool.query("DELETE FROM postlane.lease WHERE lane_id = (SELECT id FROM postlane.lane WHERE name = $1)", [lane]);
  await pool.query(
    `INSERT INTO postlane.lease (lane_id, holder, boot_id, deadline, pulse)
     SELECT id, 'test', 'boot', clock_timestamp() + interval '60 s', $2 FROM postlane.lane WHERE name = $1`,
    [lane, pulse],
  );
}

async function startedCampaign({ pool }: TestDatabase, name: string, status: "running" | "paused"): Promise<void> {
  await insertCampaign(pool, { name, lane: "bulk", status, template: { subject: "News", text: "News" } });
}

/** One that holds vacuum back; answers its process. */
async function openTransaction(t: TestContext, { clientConfig }: TestDatabase): Promise<number> {
  const client = new pg.Client(clientConfig);
  client.on("error", () => {}); // The rig ends it with its database.
  await client.connect();
  t.after(() => client.end());
  await client.query("BEGIN");
  const { rows } = await client.query<{ readonly pid: number }>(
    "SELECT pg_backend_pid() AS pid, pg_current_xact_id()::text AS xid",
  );
  return rows[0]!.pid;
}
