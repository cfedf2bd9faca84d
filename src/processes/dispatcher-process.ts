// The process of one dispatcher: connect, rescue what a dead one left in this data directory, take a lease, open the
// journal and the outlets, and work until told to stop or the lease is lost. Here the dispatcher's parts are made.

import { strict as assert } from "node:assert";
import { mkdirSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Pool } from "pg";
import { readAttachments } from "../templates/attachment-store.ts";
import type { SigningKeys } from "../compose/signing-key.ts";
import { createComposer } from "../dispatcher/compose-message.ts";
import { createDatabaseQueue } from "../dispatcher/database-queue.ts";
import { createDispatcher, type Dispatcher, type DispatcherEnd } from "../dispatcher/dispatcher.ts";
import { createListLines, readListOfCampaign, type ListLines } from "../dispatcher/list-lines.ts";
import { openJournal, type Journal } from "../dispatcher/journal.ts";
import { settleLate } from "../dispatcher/rescue.ts";
import { admitSessions } from "../guard/admit-session.ts";
import { memoryOf, openGuardMemory, type GuardMemory } from "../guard/guard-memory.ts";
import type { Sight } from "../guard/judge-guard.ts";
import { isHeartbeatSound, type GuardContext } from "../guard/look-at-database.ts";
import type { LaneId, LeaseId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import { returnPathOf, type AttemptName } from "../mail/return-token.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import { createLog, type Log } from "../platform/log.ts";
import { createMac } from "../platform/mac.ts";
import { processStartOf, readBootId } from "../platform/process-identity.ts";
import { systemRandom } from "../platform/random.ts";
import { SESSIONS_MAX } from "../platform/session-limits.ts";
import { connectDatabase, inOrder, type Database } from "../postgres/database.ts";
import { readReturnTokenKey, readUnsubscribeKey } from "../postgres/secret-store.ts";
import { acquireLease, endLease, renewLeaseIfHeld } from "../queue/lease-store.ts";
import { endIfSilentInTransaction, planForTheQueue } from "../queue/session-store.ts";
import type { SigningKeysAtWork } from "../senders/domains/signing-keys.ts";
import { readContent } from "../templates/template-store.ts";
import { giveWayInDatabase, giveWayOnCpu } from "./give-way.ts";
import { guardContextOf, guardHere, untilAdmitted } from "./guard-here.ts";
import { journalDirOf, rescueHere } from "./journals-here.ts";
import { laneIdOf } from "./lanes.ts";
import { limitsOf, maxRefusalsOf, outletOpener } from "./outlets.ts";
import { openSigningKeysHere } from "./signing-keys-here.ts";
import { beAlive, onStop, tellSupervisor } from "./supervision.ts";

/** After being told to stop: what is open gets this long to be answered; then its connections are cut. */
const DRAIN_MS_MAX = 30_000;

/**
 * Answers the exit code: 0 drained, or `EXIT_LEASE_LOST`. A lease that is lost otherwise (the database was away for too
 * long, say) is followed by a new one in this process.
 */
export async function runDispatcher(config: Config, laneName: string): Promise<number> {
  const lane = config.lanes[laneName];
  if (lane === undefined) {
    throw new Error(`there is no lane "${laneName}"; lanes: ${Object.keys(config.lanes).join(", ")}`);
  }
  const log = createLog(config.logLevel, { process: "dispatcher", lane: laneName });
  const stopAlive = beAlive();
  const memory = openGuardMemory(config.dataDir);
  const database = await connectDatabase({
    databaseUrl: config.databaseUrl,
    dataDir: config.dataDir,
    log,
    role: `dispatcher ${laneName}`,
    connectionsMax: SESSIONS_MAX.dispatcher,
    onConnect: inOrder(admitSessions(memory), planForTheQueue, (client) =>
      endIfSilentInTransaction(client, config.leaseMs),
    ),
  });
  if (lane.priority === "bulk") giveWayInDatabase(database, log);
  const orders = followOrders(log);
  let signingKeys: SigningKeysAtWork | undefined;
  try {
    if (!(await untilAdmitted(database.pool, waitingOf(orders, log)))) return 0;
    signingKeys = await openSigningKeysHere(config, database.pool, log);
    // Read once, and before the first lease: of later ones nothing but the lease itself needs a database that answers.
    const lists = lane.priority === "bulk" ? await listLinesOf(config, database.pool) : undefined;
    const returnPath = await returnPathMaker(config, database.pool);
    const guard = guardContextOf(config, database.pool, memory, log);
    const surroundings = { database, orders, log, signingKeys, lists, returnPath, guard };
    let lease: Lease | undefined = await takeLease(config, lane, surroundings);
    while (lease !== undefined) {
      const end = await serveLane(config, lane, lease, surroundings);
      log.info("dispatcher.ended", { end: end.kind });
      if (end.kind === "drained") return 0;
      lease = await takeLeaseAgain(config, lane, surroundings);
    }
    return EXIT_LEASE_LOST;
  } finally {
    stopAlive();
    await signingKeys?.close();
    await database.close();
  }
}

/** EX_TEMPFAIL: told to stop after the lease was lost, so that rescue is left to the next one. */
const EXIT_LEASE_LOST = 75;

interface StopOrders {
  readonly isStopping: boolean;
  /** The dispatcher that has to hear of it. */
  heardBy(dispatcher: Dispatcher): void;
}

function followOrders(log: Log): StopOrders {
  let isStopping = false;
  let current: Dispatcher | undefined;
  const drain = (dispatcher: Dispatcher): void => {
    dispatcher.drain();
    systemClock.after(DRAIN_MS_MAX, () => dispatcher.cut());
  };
  onStop((why) => {
    log.info("dispatcher.draining", { why });
    isStopping = true;
    if (current !== undefined) drain(current);
  });
  return {
    get isStopping() {
      return isStopping;
    },
    heardBy(dispatcher) {
      current = dispatcher;
      if (isStopping) drain(dispatcher);
    },
  };
}

function waitingOf(orders: StopOrders, log: Log): Parameters<typeof untilAdmitted>[1] {
  return { isStopping: () => orders.isStopping, log, tell: tellPeople };
}

function tellPeople(line: string): void {
  tellSupervisor({ kind: "told", line });
}

interface Surroundings {
  readonly database: Database;
  readonly orders: StopOrders;
  readonly log: Log;
  readonly signingKeys: SigningKeys;
  readonly lists: ListLines | undefined;
  readonly returnPath: (name: AttemptName) => string;
  readonly guard: GuardContext;
}

interface Lease {
  readonly id: LeaseId;
  readonly acquiredUs: number;
  /** Which it is of, as journals name it. */
  readonly databaseIdentity: string;
  readonly laneId: LaneId;
  /** Monotonic, from before it was asked for. */
  readonly askedAtMs: number;
}

// The guard first: what a database is that was set back, nobody can tell any more once its leases are rescued.
async function takeLease(config: Config, lane: LaneSettings, { database, log, guard }: Surroundings): Promise<Lease> {
  const { pool } = database;
  const { database: databaseIdentity } = await guardHere(guard, config, tellPeople);
  const laneId = await laneIdOf(pool, config, lane.name);
  await rescueHere(config, pool, log);
  const askedAtMs = systemClock.monotonicMs();
  const { id, acquired_us: acquiredUs } = await acquireLease(pool, {
    laneId,
    holder: `${lane.name} ${os.hostname()} ${process.pid}`,
    bootId: readBootId(),
    leaseMs: config.leaseMs,
  });
  return { id, acquiredUs, databaseIdentity, laneId, askedAtMs };
}

/** What cost the last lease, a database that went away, may still go on. Undefined: told to stop meanwhile. */
async function takeLeaseAgain(
  config: Config,
  lane: LaneSettings,
  surroundings: Surroundings,
): Promise<Lease | undefined> {
  const { database, orders, log } = surroundings;
  while (!orders.isStopping) {
    try {
      if (!(await untilAdmitted(database.pool, waitingOf(orders, log)))) return undefined;
      return await takeLease(config, lane, surroundings);
    } catch (error) {
      log.warn("lease.acquire_failed", { error: error instanceof Error ? error.message : String(error) });
      await new Promise<void>((resolve) => systemClock.after(LEASE_RETRY_MS, resolve));
    }
  }
  return undefined;
}

const LEASE_RETRY_MS = 250;

async function serveLane(
  config: Config,
  lane: LaneSettings,
  held: Lease,
  { database, orders, log, signingKeys, lists, returnPath, guard }: Surroundings,
): Promise<DispatcherEnd> {
  const { pool } = database;
  const { id: leaseId, laneId } = held;
  const journal = openJournalOf(config, lane, held);
  const composer = createComposer({
    from: config.from,
    lane: lane.name,
    readContent: (id) => readContent(pool, id),
    readAttachments: (id) => readAttachments(pool, id),
    signingKeys,
    lists,
  });
  const dispatcher = createDispatcher(
    {
      lane,
      leaseId,
      leaseMs: config.leaseMs,
      leaseAskedAtMs: held.askedAtMs,
      outlets: limitsOf(config, lane),
      maxRefusals: maxRefusalsOf(config, lane),
    },
    {
      queue: createDatabaseQueue({
        pool,
        laneId,
        leaseId,
        leaseMs: config.leaseMs,
        clock: systemClock,
        prepare: composer.prepare,
        release: composer.release,
        heard: (beat) => hearHeartbeat(beat, guard.memory),
      }),
      journal,
      openOutlet: outletOpener(config, log),
      compose: composer.compose,
      isSigned: composer.isSigned,
      returnPath,
      onAlarm: (line) => tellSupervisor({ kind: "told", line: `ALARM: ${line}` }),
      clock: systemClock,
      random: systemRandom,
      log,
    },
  );
  orders.heardBy(dispatcher);
  // Not sooner: loading and rescue are short, and a lane that was interrupted should not be slow to come back.
  if (lane.priority === "bulk") giveWayOnCpu(log);
  tellSupervisor({ kind: "ready" });
  log.info("dispatcher.started", { lease_id: leaseId, lane: lane.name });
  const end = await dispatcher.run();
  closeJournal(journal, end);
  if (end.kind === "drained")
    await endInOrder(pool, { leaseId, leaseMs: config.leaseMs, journal, memory: guard.memory });
  else await settleWhatCameLate(pool, end, log);
  return end;
}

async function listLinesOf({ publicUrl, returnsDomain }: Config, pool: Pool): Promise<ListLines> {
  const mac = createMac(await readUnsubscribeKey(pool));
  return createListLines({ publicUrl, returnsDomain, mac, readCampaign: (id) => readListOfCampaign(pool, id) });
}

async function returnPathMaker(config: Config, pool: Pool): Promise<(name: AttemptName) => string> {
  const domain = config.returnsDomain;
  if (domain === undefined) return () => assert.fail("without returns.domain no outlet makes return paths");
  const mac = createMac(await readReturnTokenKey(pool));
  return (name) => returnPathOf(name, domain, mac);
}

/**
 * False: the database is not what it was a second ago. Whatever it is now is judged before the next lease; and where a
 * replica took over that lacks the last moment, the journal knows what became of rows that are claimed there still.
 */
function hearHeartbeat(beat: Sight, memory: GuardMemory): boolean {
  if (!isHeartbeatSound(beat, memory.own)) return false;
  memory.keep(memoryOf(beat));
  return true;
}

// A journal of another database may lie there with the same lease id: the name has the lease's time as well.
function openJournalOf(config: Config, lane: LaneSettings, lease: Lease): Journal {
  const { id: leaseId, laneId, acquiredUs: leaseAcquiredUs, databaseIdentity: identity } = lease;
  mkdirSync(journalDirOf(config), { recursive: true, mode: 0o700 });
  return openJournal(path.join(journalDirOf(config), `${lane.name}-${leaseId}-${leaseAcquiredUs}.journal`), {
    bootId: readBootId(),
    leaseId,
    laneId,
    pid: process.pid,
    processStart: processStartOf(process.pid) ?? "unknown",
    database: { identity, leaseAcquiredUs },
  });
}

/** Where everything is settled, what the journal has not written yet is of no use: it may be why we drained. */
function closeJournal(journal: Journal, { kind }: DispatcherEnd): void {
  if (kind !== "drained") journal.flush();
  journal.close();
}

/** With a last heartbeat: whatever is brought back from before this moment will lack it. */
async function endInOrder(
  pool: Pool,
  given: {
    readonly leaseId: LeaseId;
    readonly leaseMs: number;
    readonly journal: Journal;
    readonly memory: GuardMemory;
  },
): Promise<void> {
  const { leaseId, leaseMs, journal, memory } = given;
  const beat = await renewLeaseIfHeld(pool, leaseId, leaseMs, {});
  if (beat !== undefined) hearHeartbeat(beat, memory);
  await endLease(pool, leaseId);
  journal.remove();
}

/** The journal stays for the rescuer; what came late is settled now if the rescuer was here already. */
async function settleWhatCameLate(pool: Pool, end: DispatcherEnd, log: Log): Promise<void> {
  const late = end.late.flatMap(({ row, attempt, event }) => {
    if (event === undefined || (event.kind !== "sent" && event.kind !== "bounced")) return [];
    const { kind, outlet = "", host = "", reply = "" } = event;
    const answer = { kind, outlet, host, reply, isOwnFault: true } as const;
    return [{ messageId: row.message_id, attempt, answer, version: row.version }];
  });
  await settleLate({ pool }, late).catch((error: unknown) => log.warn("late.settle_failed", { error: String(error) }));
}
