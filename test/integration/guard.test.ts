// The guard on a real database, with the processes that send: what a database lacks or is not is held until somebody
// confirms it; a restart, a crash and what else is usual is not.

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test, type TestContext } from "node:test";
import pg from "pg";
import { openJournal, type JournalHead } from "../../src/dispatcher/journal.ts";
import { listForeignJournals, rescueByJournals } from "../../src/dispatcher/rescue.ts";
import { openGuardMemory } from "../../src/guard/guard-memory.ts";
import { wasBulkInFlight } from "../../src/guard/guard-store.ts";
import { printIdentity, type Sight } from "../../src/guard/judge-guard.ts";
import { lookAtDatabase, type GuardLook } from "../../src/guard/look-at-database.ts";
import { NO_CAMPAIGN } from "../../src/mail/ids.ts";
import { loadConfig } from "../../src/platform/config.ts";
import { silentLog } from "../../src/platform/log.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { listLanes } from "../../src/queue/lane-store.ts";
import { acquireLease, holdLease, renewLeaseIfHeld } from "../../src/queue/lease-store.ts";
import { claim } from "../../src/queue/queue-store.ts";
import { until } from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { endWithTest, enqueue, jsonOf, runCommand, startSupervised } from "./cli-command.ts";

const HOUR_MS = 3_600_000;

test("a dispatcher's heartbeat is in the row and in guard.json, and a kill leaves no question", async (t) => {
  const database = await testDatabase(t);
  const first = await startDispatcher(t, database, "bulk");
  await untilBeats(database, 3);
  const { mode } = statSync(fileOf(database));
  assert.equal(mode & 0o777, 0o600);
  const { system_id: systemId, n } = readFile(database);
  const { rows } = await database.pool.query("SELECT system_identifier::text AS id FROM pg_control_system()");
  assert.equal(systemId, rows[0].id);
  assert.ok(Number(n) >= 1 && Number(n) <= (await guardOf(database)).n, "the file is never ahead");
  await kill(first);
  await startDispatcher(t, database, "bulk");
  await untilBeats(database, (await guardOf(database)).n + 1);
  assert.equal((await guardOf(database)).held, null);
});

test("neither a torn file, nor a missing one, nor one of another database alarms", async (t) => {
  const database = await testDatabase(t);
  const kept = { version: 1, system_id: "1", database_id: 5, timeline: 9, n: 1e8, beat_at_ms: Date.now() };
  for (const text of [undefined, "", '{"version":1,"n":', "null", JSON.stringify(kept)]) {
    if (text === undefined) rmSync(fileOf(database), { force: true });
    else writeFileSync(fileOf(database), text);
    assert.equal((await look(database)).kind, "sound", text);
    assert.equal(readFile(database)["n"], (await guardOf(database)).n);
  }
});

test("a database that lacks heartbeats holds bulk, on every machine, until it is confirmed; transactional goes on", async (t) => {
  const database = await testDatabase(t);
  await lookTimes(database, 20);
  await database.pool.query("UPDATE postlane.guard SET n = n - 15, beat_at = beat_at - interval '40 s'");
  const bulk = await startDispatcher(t, database, "bulk");
  const { held, reason } = await guardOf(database);
  assert.equal(held, "bulk");
  assert.equal(reason?.code, "database_rewound");
  assert.deepEqual([reason.evidence["heartbeats"], reason.evidence["behind_s"]], [15, 40]);
  const first = await nextMessageId(database.pool);
  assert.ok(first > 1e9, `message ${first} may have the id of one that was lost`);
  await startDispatcher(t, database, "transactional");
  const [bulkId, urgentId] = [await enqueue(database, { lane: "bulk" }), await enqueue(database)];
  await untilSent(database, urgentId);
  assert.deepEqual(await sentOf(database, bulkId), 0);
  // A second machine, whose memory is a little older or newer than that of the one that has held.
  const other = { ...database, dataDir: path.join(database.dataDir, "other") };
  openGuardMemory(other.dataDir).keep({ ...(readFile(database) as unknown as Memory), n: 22 });
  assert.equal((await look(other)).kind, "sound");
  assert.equal((await guardOf(database)).held, "bulk");
  assert.equal(bulk.exitCode, null);
});

type Memory = Parameters<ReturnType<typeof openGuardMemory>["keep"]>[0];

test("a lease of another timeline claims, settles and renews nothing", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  await enqueue(database, { to: "ann@example.com" });
  const laneId = (await listLanes(pool)).find(({ name }) => name === "transactional")!.id;
  const { id } = await acquireLease(pool, { laneId, holder: "test", bootId: "boot", leaseMs: 60_000 });
  const isHeld = () => inTransaction(pool, (client) => holdLease(client, id));
  const wants = [{ campaignId: NO_CAMPAIGN, destination: "example.com", rowsMax: 10, cursorUs: 0 }];
  const claimed = () => claim(pool, { leaseId: id, laneId, wants, batchId: 1, finishedBatchIds: [], editions: [] });
  await pool.query("UPDATE postlane.lease SET timeline = timeline - 1");
  assert.deepEqual(await claimed(), []);
  assert.equal(await isHeld(), false);
  assert.equal(await renewLeaseIfHeld(pool, id, 60_000, {}), undefined);
  await pool.query("UPDATE postlane.lease SET timeline = timeline + 1");
  assert.equal((await claimed()).length, 1);
  assert.equal(await isHeld(), true);
  assert.notEqual(await renewLeaseIfHeld(pool, id, 60_000, {}), undefined);
});

test("a dispatcher whose lease is of another timeline goes on with a new one", async (t) => {
  const database = await testDatabase(t);
  await startDispatcher(t, database, "bulk");
  const [first] = await leaseIds(database);
  await database.pool.query("UPDATE postlane.lease SET timeline = timeline - 1");
  await until("another lease", async () => (await leaseIds(database)).some((id) => id !== first));
  assert.equal((await guardOf(database)).held, null);
});

test("processes that look at the same moment, on one data directory, do not take each other for a database set back", async (t) => {
  const database = await testDatabase(t);
  await Promise.all(Array.from({ length: 6 }, () => lookTimes(database, 40)));
  assert.equal((await guardOf(database)).held, null);
  assert.ok((await guardOf(database)).n >= 240);
});

async function nextMessageId(pool: pg.Pool): Promise<number> {
  const { rows } = await pool.query("SELECT nextval('postlane.message_id_seq') AS id");
  return rows[0].id;
}

test("a database that is set back under a dispatcher ends its lease at once, and bulk is held", async (t) => {
  const database = await testDatabase(t);
  await startDispatcher(t, database, "bulk");
  await untilBeats(database, 3);
  const [before] = await leaseIds(database);
  await database.pool.query("UPDATE postlane.guard SET n = n - 2");
  await until("another lease", async () => (await leaseIds(database)).some((id) => id !== before));
  assert.equal((await guardOf(database)).held, "bulk");
});

test("a clone within the server holds everything; its journals and leases harm nobody", async (t) => {
  const database = await testDatabase(t);
  await lookTimes(database, 2);
  const clone = await cloneOf(t, database);
  const found = await look(clone);
  assert.equal(found.kind, "held_now");
  const { held, reason } = await guardOf(clone);
  assert.deepEqual([held, reason?.code], ["all", "database_copied"]);
  assert.equal((await look(clone)).kind, "sound", "once is enough");
  mkdirSync(clone.dataDir, { recursive: true });
  await startDispatcher(t, clone, "transactional");
  const id = await enqueue(clone);
  await untilBeats(clone, (await guardOf(clone)).n + 2);
  assert.equal(await sentOf(clone, id), 0);
});

test("a gap holds bulk only if bulk mail was being sent", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  await look(database);
  const setBack = () => pool.query("UPDATE postlane.guard SET beat_at = beat_at - interval '2 hours'");
  await enqueue(database, { lane: "bulk" });
  await pool.query("UPDATE postlane.queue SET due_at = due_at - interval '3 hours'");
  await setBack();
  assert.equal((await look(database)).kind, "sound", "leases were ended: a weekend off");
  const laneId = await bulkIdOf(pool);
  await acquireLease(pool, { laneId, holder: "test", bootId: "boot", leaseMs: 10 });
  await pool.query("UPDATE postlane.lane SET paused_at = now()");
  await setBack();
  assert.equal((await look(database)).kind, "sound", "the lane was paused");
  await pool.query("UPDATE postlane.lane SET paused_at = NULL");
  await setBack();
  const memory = openGuardMemory(database.dataDir);
  memory.keep({ ...(readFile(database) as unknown as Memory), beat_at_ms: await beatAtMs(database) });
  assert.equal((await look(database, memory)).kind, "sound", "this process has waited for the database");
  const setDue = async (behindBeat: string): Promise<void> => {
    await setBack();
    await pool.query("UPDATE postlane.lease SET deadline = (SELECT beat_at FROM postlane.guard) + interval '15 s'");
    await pool.query("UPDATE postlane.queue SET due_at = (SELECT beat_at FROM postlane.guard) + $1::interval", [
      behindBeat,
    ]);
  };
  await setDue("16 s");
  assert.equal((await look(database)).kind, "sound", "it came due when the lease was over");
  await setDue("1 s");
  assert.equal(await wasBulkInFlight(pool), true, "the lease lasted, and it may have gone out");
  await setDue("-3 hours");
  assert.equal((await look(database)).kind, "held_now");
  const { held, reason } = await guardOf(database);
  assert.deepEqual([held, reason?.code], ["bulk", "heartbeat_gap"]);
});

test("nobody's renewal waits for the guard's row, and costs no commit of its own", async (t) => {
  const { pool, dataDir, databaseUrl, clientConfig } = await testDatabase(t);
  await look({ pool, dataDir, databaseUrl, clientConfig });
  const laneId = await bulkIdOf(pool);
  const { id } = await acquireLease(pool, { laneId, holder: "test", bootId: "boot", leaseMs: 60_000 });
  const frozen = await pool.connect();
  await frozen.query("BEGIN");
  await frozen.query("SELECT FROM postlane.guard FOR UPDATE");
  const during = await renewLeaseIfHeld(pool, id, 60_000, {});
  await frozen.query("ROLLBACK");
  frozen.release();
  const afterwards = await renewLeaseIfHeld(pool, id, 60_000, {});
  assert.equal(afterwards!.n, during!.n + 1);
});

test("a role without any right of its own may ask which server it is at", async (t) => {
  const { pool } = await testDatabase(t);
  await pool.query("CREATE ROLE guard_plain NOLOGIN; GRANT USAGE ON SCHEMA postlane TO guard_plain");
  await pool.query("GRANT EXECUTE ON FUNCTION postlane.timeline(), postlane.database_identity() TO guard_plain");
  const client = await pool.connect();
  await client.query("SET ROLE guard_plain");
  const { rows } = await client.query("SELECT * FROM postlane.database_identity()");
  await client.query("RESET ROLE; DROP OWNED BY guard_plain; DROP ROLE guard_plain");
  client.release();
  assert.match(rows[0].system_id, /^\d+$/);
  assert.equal(rows[0].timeline, 1);
});

test("resuming a lane does not lift the guard's hold, and says what does", async (t) => {
  const database = await testDatabase(t);
  await lookTimes(database, 3);
  await database.pool.query("UPDATE postlane.guard SET n = 0");
  await look(database);
  const { exitCode, stdout } = await runCommand(database, ["lane", "resume", "bulk"]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /the guard holds its mail all the same: see `postlane guard status`/);
  const { stdout: status } = await runCommand(database, ["status"]);
  assert.match(status, /bulk +held by the guard/);
});

interface StatusAnswer {
  readonly held: string | null;
  readonly next_look: string;
  readonly sentence: string | null;
  readonly would_send_again: readonly { readonly lane: string; readonly messages: number; readonly is_held: boolean }[];
}

test("guard status says what would be sent again, and confirm lets it go, here and on other machines", async (t) => {
  const database = await testDatabase(t);
  await lookTimes(database, 30);
  for (const to of ["ann@example.com", "Ann@example.com", "ben@example.com"])
    await enqueue(database, { to, lane: "bulk" });
  assert.equal((await statusOf(database)).next_look, "sound");
  await database.pool.query("UPDATE postlane.guard SET n = 5");
  assert.deepEqual(
    [(await statusOf(database)).next_look, (await statusOf(database)).held],
    ["hold", null],
    "before anything has started",
  );
  await look(database);
  const late = await enqueue(database, { to: "late@example.com", lane: "bulk" });
  const status = await statusOf(database);
  assert.match(status.sentence!, /lacks its last 25 heartbeats/);
  assert.deepEqual(
    status.would_send_again.map(({ lane, messages, is_held: isHeld }) => [lane, messages, isHeld]),
    [["bulk", 3, true]],
  );
  const { stdout } = await runCommand(database, ["guard", "status"]);
  assert.match(stdout, /3 messages may have been sent already/);
  assert.match(stdout, /^bulk +– +held +3 +2 /m);
  const refused = await runCommand(database, ["guard", "confirm"]);
  assert.deepEqual([refused.exitCode, (await guardOf(database)).held], [1, "bulk"]);
  const { exitCode } = await runCommand(database, ["guard", "confirm", "--yes"]);
  assert.deepEqual([exitCode, (await guardOf(database)).held], [0, null]);
  assert.equal((await statusOf(database)).next_look, "sound");
  const other = { ...database, dataDir: path.join(database.dataDir, "other") };
  openGuardMemory(other.dataDir).keep({ ...(readFile(database) as unknown as Memory), n: 31, timeline: 2 });
  assert.equal((await look(other)).kind, "sound", "another machine believes the confirmation");
  await startDispatcher(t, database, "bulk");
  await untilSent(database, late);
  const { stdout: none } = await runCommand(database, ["guard", "confirm", "--yes"]);
  assert.match(none, /nothing to confirm/);
});

test("an old primary is used for nothing: no command, no dispatcher, until it is confirmed", async (t) => {
  const database = await testDatabase(t);
  await lookTimes(database, 3);
  const memory = openGuardMemory(database.dataDir);
  memory.keep({ ...(readFile(database) as unknown as Memory), timeline: 2 });
  const { exitCode, stderr } = await runCommand(database, [
    "send",
    "--to",
    "a@example.com",
    "--subject",
    "x",
    "--text",
    "x",
  ]);
  assert.equal(exitCode, 1);
  assert.match(stderr, /is an old primary that came back: it is on timeline 1, and this machine has seen timeline 2/);
  const child = startSupervised(database, ["dispatcher", "--lane", "bulk"]);
  endWithTest(t, child);
  const told = new Promise<string>((resolve) => {
    child.on("message", (message: { readonly kind: string; readonly line?: string }) => {
      if (message.kind === "told") resolve(message.line ?? "");
    });
  });
  assert.match(await told, /^ALARM: The database server is an old primary/);
  assert.deepEqual(await leaseIds(database), []);
  const ready = new Promise<void>((resolve) => {
    child.on("message", ({ kind }: { readonly kind: string }) => kind === "ready" && resolve());
  });
  assert.equal((await runCommand(database, ["guard", "confirm", "--yes"])).exitCode, 0);
  await ready;
  assert.equal((await guardOf(database)).held, null);
});

test("a journal is applied to its own lease in its own database, and to no other that has the same id", async (t) => {
  const database = await testDatabase(t);
  const { pool, dataDir } = database;
  const { sight } = await look(database);
  const identity = printIdentity(sight.seen);
  const laneId = await bulkIdOf(pool);
  const lane = loadConfig({ cwd: "/", env: {} }).lanes["bulk"]!;
  const context = {
    pool,
    bootId: "boot",
    database: identity,
    laneSettingsOf: () => lane,
    nowMs: () => 0,
    random: () => 0,
  };
  const { id: leaseId, acquired_us: leaseAcquiredUs } = await acquireLease(pool, {
    laneId,
    holder: "test",
    bootId: "boot",
    leaseMs: 60_000,
  });
  const left = async (about: NonNullable<JournalHead["database"]>): Promise<readonly [number, boolean]> => {
    const file = path.join(dataDir, "bulk.journal");
    const head = { bootId: "boot", leaseId, laneId, pid: 1, processStart: "1", database: about };
    rmSync(file, { force: true });
    openJournal(file, head).close();
    await rescueByJournals({ ...context, log: silentLog }, dataDir, () => false);
    return [(await leaseIds(database)).length, existsSync(file)];
  };
  assert.deepEqual(await left({ identity: "1/5", leaseAcquiredUs }), [1, true], "another database's: left alone");
  assert.equal(listForeignJournals(dataDir, identity).length, 1);
  assert.deepEqual(
    await left({ identity, leaseAcquiredUs: leaseAcquiredUs - 1 }),
    [1, false],
    "of a time that is lost",
  );
  assert.deepEqual(await left({ identity, leaseAcquiredUs }), [0, false], "its own");
});

async function statusOf(database: TestDatabase): Promise<StatusAnswer> {
  return await jsonOf<StatusAnswer>(database, ["guard", "status"]);
}

// ---- rig -------------------------------------------------------------------------------------------------------------

async function look({ pool, dataDir }: TestDatabase, memory = openGuardMemory(dataDir)): Promise<GuardLook> {
  return await lookAtDatabase({ pool, memory, gapMs: HOUR_MS, log: silentLog });
}

async function bulkIdOf(pool: pg.Pool) {
  return (await listLanes(pool)).find(({ name }) => name === "bulk")!.id;
}

async function lookTimes(database: TestDatabase, times: number): Promise<void> {
  for (let time = 0; time < times; time++) await look(database);
}

interface GuardNow {
  readonly n: number;
  readonly held: Sight["held"];
  readonly reason: { readonly code: string; readonly evidence: Readonly<Record<string, unknown>> } | null;
}

async function guardOf({ pool }: TestDatabase): Promise<GuardNow> {
  const { rows } = await pool.query("SELECT n, held, reason FROM postlane.guard");
  return rows[0] as GuardNow;
}

async function beatAtMs({ pool }: TestDatabase): Promise<number> {
  const { rows } = await pool.query("SELECT (extract(epoch FROM beat_at) * 1000)::float8 AS ms FROM postlane.guard");
  return rows[0].ms as number;
}

async function untilBeats(database: TestDatabase, n: number): Promise<void> {
  await until(`${n} heartbeats`, async () => (await guardOf(database)).n >= n);
}

const fileOf = ({ dataDir }: TestDatabase): string => path.join(dataDir, "guard.json");

function readFile(database: TestDatabase): Readonly<Record<string, unknown>> {
  return JSON.parse(readFileSync(fileOf(database), "utf8")) as Readonly<Record<string, unknown>>;
}

async function startDispatcher(t: TestContext, database: TestDatabase, lane: string): Promise<ChildProcess> {
  const child = startSupervised(database, ["dispatcher", "--lane", lane]);
  endWithTest(t, child);
  await new Promise<void>((resolve, reject) => {
    child.on("message", ({ kind }: { readonly kind: string }) => kind === "ready" && resolve());
    child.once("exit", (code) => reject(new Error(`it ended with ${code}`)));
  });
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "close");
}

async function leaseIds({ pool }: TestDatabase): Promise<readonly number[]> {
  const { rows } = await pool.query("SELECT id FROM postlane.lease ORDER BY id");
  return rows.map(({ id }) => id as number);
}

async function sentOf({ pool }: TestDatabase, id: string): Promise<number> {
  const { rows } = await pool.query("SELECT FROM postlane.event WHERE kind = 'sent' AND 'msg_' || message_id = $1", [
    id,
  ]);
  return rows.length;
}

async function untilSent(database: TestDatabase, id: string): Promise<void> {
  await until(`${id} is sent`, async () => (await sentOf(database, id)) === 1);
}

/** The same server, another database, every row the same. */
async function cloneOf(
  t: TestContext,
  { pool, clientConfig, databaseUrl, dataDir }: TestDatabase,
): Promise<TestDatabase> {
  const name = String(clientConfig.database);
  const admin = new pg.Client({ ...clientConfig, database: "template1" });
  await admin.connect();
  await pool.query("SELECT 1");
  await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", [name]);
  await admin.query(`CREATE DATABASE ${name}_clone TEMPLATE ${name}`);
  await admin.end();
  const config = { ...clientConfig, database: `${name}_clone` };
  const clone = new pg.Pool(config);
  clone.on("error", () => {});
  t.after(() => clone.end());
  return {
    pool: clone,
    clientConfig: config,
    databaseUrl: databaseUrl.replace(`/${name}?`, `/${name}_clone?`),
    dataDir: path.join(dataDir, "clone"),
  };
}
