// Vacuum cannot clean up behind the queue: a transaction is open for long elsewhere, autovacuum is off, and a replica died
// that had told its slot what it reads. A road that is always full piles up dead rows, and what a claim costs is compared
// with what it cost before, by the server's own figures of the dispatchers' own statements.

import { setTimeout as sleep } from "node:timers/promises";
import { sendSignal } from "../../bench/running-processes.ts";
import type { Scope } from "../../test/rig/scope.ts";
import type { Fault } from "../fault.ts";
import { makeReplicatedServers, type PostgresServer, type ReplicatedServers } from "../rig/replicated-servers.ts";
import { wallMs } from "../rig/submissions.ts";
import { createTally, type Tally } from "../rig/tally.ts";
import { bringUpWorld, type World } from "../rig/world.ts";

/** More than two cores carry: what waits is bounded by the site, which pauses when 5,000 are under way. */
const RATES = { transactionalPerS: 20, bulkPerS: 6000 };
const SLOT = "stale_replica";
/** As many as make a hundred claims or more; counted in messages, so that a machine that is busy measures as well. */
const MEASURED_MESSAGES = { small: 2000, full: 40_000 };
const MEASURE_MS_MAX = 300_000;
/** What a full run takes is the default; a small one has not so many rows, nor half a minute. */
const SMALL_ALARM = 'vacuum_alarm: { dead_rows: 10000, held_for: "3 s" }';
const ALARM_ROWS = { small: 10_000, full: 200_000 };
const ALARM_HELD_MS = { small: 3000, full: 30_000 };
const ALARM_MS_MAX = 60_000;
const CLAIM_FACTOR_MAX = 5;
const RATE_SHARE_MIN = 0.5;
const PILE_UP_MS_MAX = 1_200_000;
const LOOK_MS = 100;

export const fault: Fault = {
  promises: ["apart"],
  what:
    "A transaction left open elsewhere, autovacuum off, and the replication slot of a dead replica, until so many dead rows " +
    "lie in the hot tables of a road that is always full",
  unit: "dead rows",
  small: 20_000,
  full: 1_000_000,
  recoveryMsMax: 10_000,
  needs: ["postgresql-15"],
  async run({ runs: deadRowsWanted, isFull, scope, say, ledgersIn }) {
    const tally = createTally();
    const size = isFull ? "full" : "small";
    const { world, servers } = await bringUp(scope, { say, isFull, ledgersIn });
    // Processes that have just begun are slower than they will be: what they carry first counts for nothing.
    await measure(world, servers.primary, MEASURED_MESSAGES[size]);
    const before = await measure(world, servers.primary, MEASURED_MESSAGES[size]);
    say(`before: ${printFigures(before)}`);
    const held = await holdBackVacuum(servers);
    say("vacuum is held back");
    const pile = await pileUp(world, servers.primary, { deadRowsWanted, heldAtMs: held.atMs, size });
    say(`${pile.deadRows} dead rows, ${pile.deadInQueue} of them in the queue`);
    const after = await measure(world, servers.primary, MEASURED_MESSAGES[size]);
    say(`after: ${printFigures(after)}`);
    compare(tally, before, after, pile);
    tellAlarm(tally, pile);
    tally.recovered(await restartBulk(world));
    const { slowestMs } = await readClaims(servers.primary);
    tally.note(`with so many dead rows, the slowest claim of a dispatcher that began anew took ${round(slowestMs)} ms`);
    await held.end();
    await tellAlarmOver(tally, world);
    tally.judged(await world.judge());
    await world.stop();
    return { ...tally.outcome(), runs: pile.deadRows };
  },
};

interface Scene {
  readonly world: World;
  readonly servers: ReplicatedServers;
}

async function bringUp(
  scope: Scope,
  {
    isFull,
    ...options
  }: { readonly say: (line: string) => void; readonly isFull: boolean; readonly ledgersIn?: string | undefined },
): Promise<Scene> {
  const servers = await makeReplicatedServers(scope, ["shared_preload_libraries = 'pg_stat_statements'"]);
  await servers.primary.tell("CREATE EXTENSION pg_stat_statements");
  const { databaseUrl, siteUrl } = servers;
  const config = isFull ? "" : SMALL_ALARM;
  const world = await bringUpWorld(scope, { name: "vacuum", rates: RATES, databaseUrl, siteUrl, config, ...options });
  await world.untilRecovered(wallMs());
  return { world, servers };
}

// ---- what a claim costs ----------------------------------------------------------------------------------------------

interface Figures {
  readonly perS: number;
  readonly claimMs: number;
  readonly claimMsPerRow: number;
}

async function measure(world: World, server: PostgresServer, messages: number): Promise<Figures> {
  await server.tell("SELECT pg_stat_statements_reset()");
  world.look();
  const [receivedBefore, beganAtMs] = [world.receptions.length, performance.now()];
  await until(`${messages} messages more`, MEASURE_MS_MAX, async () => {
    world.look();
    return world.receptions.length - receivedBefore >= messages;
  });
  const perS = ((world.receptions.length - receivedBefore) * 1000) / (performance.now() - beganAtMs);
  const { calls, claimed, totalMs } = await readClaims(server);
  return { perS, claimMs: totalMs / Math.max(1, calls), claimMsPerRow: totalMs / Math.max(1, claimed) };
}

interface Claims {
  readonly calls: number;
  readonly claimed: number;
  readonly totalMs: number;
  readonly slowestMs: number;
}

async function readClaims(server: PostgresServer): Promise<Claims> {
  return await server.ask<Claims & Record<string, number>>(
    `SELECT coalesce(sum(calls), 0)::float8 AS calls, coalesce(sum(rows), 0)::float8 AS claimed,
       coalesce(sum(total_exec_time), 0) AS "totalMs", coalesce(max(max_exec_time), 0) AS "slowestMs"
     FROM pg_stat_statements WHERE query LIKE 'WITH held AS%INSERT INTO postlane.claim_batch%'`,
  );
}

function compare(tally: Tally, before: Figures, after: Figures, { deadRows, deadInQueue }: Pile): void {
  // A claim of fewer messages costs more for each of them and less in all: dearer is what is dearer by both.
  const factor = Math.min(after.claimMsPerRow / before.claimMsPerRow, after.claimMs / before.claimMs);
  const share = after.perS / before.perS;
  tally.note(
    `a claim took ${round(before.claimMs)} ms before and ${round(after.claimMs)} ms with ${deadRows} dead rows ` +
      `(${deadInQueue} of them in the queue); for each message ${round(before.claimMsPerRow * 1000)} and ` +
      `${round(after.claimMsPerRow * 1000)} µs`,
  );
  tally.note(
    `the road carried ${Math.round(before.perS)} messages a second before, and ${Math.round(after.perS)} then`,
  );
  tally.expect(before.claimMsPerRow > 0 && after.claimMsPerRow > 0, "no claim was seen: nothing was measured");
  tally.expect(
    factor <= CLAIM_FACTOR_MAX,
    `a claim, and each message of it, took ${round(factor)} times as long as before, and ${CLAIM_FACTOR_MAX} are promised`,
  );
  tally.expect(
    share >= RATE_SHARE_MIN,
    `the road carried ${Math.round(share * 100)} % of what it did before, and ${RATE_SHARE_MIN * 100} % are promised`,
  );
}

function printFigures({ perS, claimMs, claimMsPerRow }: Figures): string {
  return `${Math.round(perS)} messages a second, ${round(claimMs)} ms a claim, ${round(claimMsPerRow * 1000)} µs a message`;
}

function round(value: number): number {
  return Number(value.toPrecision(3));
}

// ---- what holds vacuum back ------------------------------------------------------------------------------------------

interface Hold {
  readonly atMs: number;
  end(): Promise<void>;
}

async function holdBackVacuum(servers: ReplicatedServers): Promise<Hold> {
  const { primary } = servers;
  const replica = await servers.attachReplica({ isSynchronous: false, slot: SLOT });
  await replica.openTransaction();
  await until("the slot has heard what its replica reads", 30_000, async () => {
    const { isTold } = await primary.ask<{ isTold: boolean }>(
      `SELECT xmin IS NOT NULL AS "isTold" FROM pg_replication_slots WHERE slot_name = '${SLOT}'`,
    );
    return isTold;
  });
  replica.throwAway();
  const atMs = performance.now();
  const open = await primary.openTransaction();
  await setAutovacuum(primary, "off");
  return {
    atMs,
    async end() {
      await primary.tell(`SELECT pg_drop_replication_slot('${SLOT}')`);
      await open.end();
      await setAutovacuum(primary, "on");
    },
  };
}

async function setAutovacuum(server: PostgresServer, value: "on" | "off"): Promise<void> {
  await server.tell(`ALTER SYSTEM SET autovacuum = ${value}`);
  await server.tell("SELECT pg_reload_conf()");
}

interface Pile {
  readonly deadRows: number;
  readonly deadInQueue: number;
  /** What the supervisor printed; undefined: nothing. */
  readonly alarm: string | undefined;
  /** From the moment on when both limits of the alarm were passed. */
  readonly alarmMs: number;
}

/** Until there are so many dead rows, and the alarm is there, or is overdue. */
async function pileUp(
  world: World,
  server: PostgresServer,
  given: { readonly deadRowsWanted: number; readonly heldAtMs: number; readonly size: "small" | "full" },
): Promise<Pile> {
  const alarmRows = Math.min(ALARM_ROWS[given.size], given.deadRowsWanted);
  let dead = { deadRows: 0, deadInQueue: 0 };
  let manyAtMs = Infinity;
  let [alarm, alarmAtMs]: readonly [string | undefined, number] = [undefined, Infinity];
  const harmfulAtMs = (): number => Math.max(manyAtMs, given.heldAtMs + ALARM_HELD_MS[given.size]);
  await until("so many dead rows, and the alarm", PILE_UP_MS_MAX, async () => {
    dead = await readDead(server);
    const nowMs = performance.now();
    if (dead.deadRows >= alarmRows) manyAtMs = Math.min(manyAtMs, nowMs);
    if (alarm === undefined) [alarm, alarmAtMs] = [alarmIn(world), nowMs];
    const isAlarmDecided = alarm !== undefined || nowMs > harmfulAtMs() + ALARM_MS_MAX;
    return dead.deadRows >= given.deadRowsWanted && isAlarmDecided;
  });
  return { ...dead, alarm, alarmMs: Math.max(0, alarmAtMs - harmfulAtMs()) };
}

async function readDead(server: PostgresServer): Promise<{ readonly deadRows: number; readonly deadInQueue: number }> {
  return await server.ask<{ deadRows: number; deadInQueue: number }>(
    `SELECT coalesce(sum(n_dead_tup), 0)::float8 AS "deadRows",
       coalesce(sum(n_dead_tup) FILTER (WHERE relname = 'queue'), 0)::float8 AS "deadInQueue"
     FROM pg_stat_user_tables WHERE schemaname = 'postlane'`,
  );
}

// ---- the alarm -------------------------------------------------------------------------------------------------------

function alarmIn(world: World): string | undefined {
  return /^.*ALARM: \d+ dead rows.*$/m.exec(world.supervisor.printed())?.[0];
}

function tellAlarm(tally: Tally, { alarm, alarmMs }: Pile): void {
  if (alarm === undefined) return tally.complain(`no alarm within ${ALARM_MS_MAX / 1000} s that vacuum is held back`);
  tally.note(`the alarm came ${(alarmMs / 1000).toFixed(1)} s after its limits were passed`);
  tally.expect(alarmMs <= ALARM_MS_MAX, `the alarm came after ${Math.round(alarmMs / 1000)} s, a minute is promised`);
  // The slot is the oldest of those that hold on.
  tally.expect(alarm.includes(SLOT), `the alarm does not name the slot: ${alarm}`);
}

async function tellAlarmOver(tally: Tally, world: World): Promise<void> {
  const isOver = async (): Promise<boolean> => world.supervisor.printed().includes("vacuum can clean up again");
  const end = await until("the end of the alarm", ALARM_MS_MAX, isOver).catch(() => "missing" as const);
  tally.expect(
    end !== "missing",
    "nobody holds vacuum back any more, and the alarm was not taken back within a minute",
  );
}

/** One that begins anew knows no due time below which all is taken: it wades through everything that is dead. */
async function restartBulk(world: World): Promise<number> {
  const killedAtMs = wallMs();
  for (const { pid } of world.installation.dispatchersOf("bulk")) sendSignal(pid, "SIGKILL");
  return (await world.untilRecovered(killedAtMs, ["bulk"])) - killedAtMs;
}

async function until(what: string, msMax: number, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + msMax; !(await isSo());) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${msMax / 1000} s`);
    await sleep(LOOK_MS);
  }
}
