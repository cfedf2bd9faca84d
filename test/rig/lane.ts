// A dispatcher at work inside the test's own process, on a real database and a real relay: what the dispatcher's process
// wires, with three things added. It can be killed: from that moment on its clock stands still, its sockets, sessions
// and journal are cut, and nothing that it had begun goes on, as after SIGKILL. It can be rescued by its journal. And its
// ports can be watched or made to fail. Every lane has a pool of its own, whose sessions die with it.

import { existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Pool } from "pg";
import type { SigningKeys } from "../../src/compose/signing-key.ts";
import { readAttachments } from "../../src/templates/attachment-store.ts";
import { createComposer } from "../../src/dispatcher/compose-message.ts";
import { createDatabaseQueue } from "../../src/dispatcher/database-queue.ts";
import {
  createDispatcher,
  type Dispatcher,
  type DispatcherEnd,
  type DispatcherPorts,
} from "../../src/dispatcher/dispatcher.ts";
import { openJournal, type Journal } from "../../src/dispatcher/journal.ts";
import type { ListLines } from "../../src/dispatcher/list-lines.ts";
import type { LaneQueue } from "../../src/dispatcher/lane-queue.ts";
import type { OutletLimits } from "../../src/dispatcher/outlets-at-work.ts";
import {
  rescueByJournals,
  rescueOverdue,
  settleLate,
  type RescueContext,
  type RescueReport,
} from "../../src/dispatcher/rescue.ts";
import type { Outlet, OutletDriver } from "../../src/handover/outlet.ts";
import { createSmtpOutlet } from "../../src/handover/smtp-outlet.ts";
import type { SmtpOutletSettings } from "../../src/handover/smtp-settings.ts";
import type { LaneId, LeaseId } from "../../src/mail/ids.ts";
import type { LaneSettings } from "../../src/mail/lane.ts";
import { systemClock, type Clock, type Timer } from "../../src/platform/clock.ts";
import { loadConfig } from "../../src/platform/config.ts";
import { silentLog, type Log } from "../../src/platform/log.ts";
import { systemRandom } from "../../src/platform/random.ts";
import { createPool } from "../../src/postgres/database.ts";
import { listLanes } from "../../src/queue/lane-store.ts";
import { acquireLease, endLease } from "../../src/queue/lease-store.ts";
import { planForTheQueue } from "../../src/queue/session-store.ts";
import { loopbackSockets } from "./handover-rig.ts";
import type { TestDatabase } from "./postgres.ts";
import type { Scope } from "./scope.ts";

export interface LaneOptions {
  readonly database: TestDatabase;
  readonly relay: { readonly host?: string; readonly port: number };
  /** Changes to the lane of that name; without a name it is `transactional`. */
  readonly lane?: Partial<LaneSettings>;
  readonly openMax?: number;
  readonly openPerDestinationMax?: number;
  readonly limits?: Partial<Pick<OutletLimits, "isVerp" | "isToldOf" | "maxRatePerS" | "relay">>;
  /** An outlet `retries`, for retries and what has not lately answered. */
  readonly retryRelay?: { readonly port: number };
  readonly maxRefusals?: number;
  readonly attachmentCacheBytesMax?: number;
  /** Gets what the dispatcher would say to a person. */
  readonly alarms?: string[];
  readonly outlet?: Partial<SmtpOutletSettings>;
  readonly journalDir?: string;
  readonly bootId?: string;
  readonly leaseMs?: number;
  readonly log?: Log;
  readonly signingKeys?: SigningKeys;
  /** Absent: its mail has no list headers. */
  readonly lists?: ListLines;
  /** Around the real ones. */
  readonly journal?: (journal: Journal) => Journal;
  readonly compose?: (compose: DispatcherPorts["compose"]) => DispatcherPorts["compose"];
}

export interface LaneAtWork {
  readonly dispatcher: Dispatcher;
  readonly leaseId: LeaseId;
  readonly journalFile: string;
  /** Connections that it tried to open so far. */
  readonly connectCount: number;
  readonly ended: Promise<DispatcherEnd>;
  /** As on SIGTERM; resolves when all is settled, the lease ended and the journal gone. */
  drain(): Promise<DispatcherEnd>;
  /** As by SIGKILL; resolves when its sessions at the server are gone, too. */
  kill(): Promise<void>;
  /** What the next process on this data directory does first. */
  rescue(bootId?: string): Promise<readonly RescueReport[]>;
  /** What upkeep does for a lease that is long over, without its journal. */
  rescueWithoutJournal(): Promise<readonly RescueReport[]>;
}

export const BOOT_ID = "boot-1";
const LEASE_MS = 15_000;
const OPEN_MAX = 20;
const CONNECTIONS_MAX = 6;
/** A pool of a process that is gone is not waited for. */
const CLOSE_MS_MAX = 50;

let lanesStarted = 0;
/** All lanes are this process; what tells them apart stands where a process says when it was started. */
const alive = new Set<string>();

export async function startLane(t: Scope, options: LaneOptions): Promise<LaneAtWork> {
  const name = `lane${++lanesStarted}`;
  const lane = laneSettings(options.lane);
  const life = createLife();
  const sessions = openSessions(options.database, name);
  const laneId = await laneIdOf(sessions.pool, lane.name);
  const leaseMs = options.leaseMs ?? LEASE_MS;
  const leaseAskedAtMs = systemClock.monotonicMs();
  const bootId = options.bootId ?? BOOT_ID;
  const { id: leaseId } = await acquireLease(sessions.pool, { laneId, holder: name, bootId, leaseMs });
  const journalDir = options.journalDir ?? path.join(options.database.dataDir, "journal");
  mkdirSync(journalDir, { recursive: true });
  const journalFile = path.join(journalDir, `${lane.name}-${leaseId}.journal`);
  const file = openJournal(journalFile, { bootId, leaseId, laneId, pid: process.pid, processStart: name });
  alive.add(name);
  const journal = life.journal(options.journal?.(file) ?? file);
  const composer = createComposer({
    from: "Shop <shop@shop.example>",
    lane: lane.name,
    readAttachments: (id) => readAttachments(sessions.pool, id),
    ...(options.attachmentCacheBytesMax === undefined
      ? {}
      : { attachmentCacheBytesMax: options.attachmentCacheBytesMax }),
    readContent: async (id) => {
      const { rows } = await sessions.pool.query("SELECT body FROM postlane.content WHERE id = $1", [id]);
      return rows[0].body;
    },
    ...(options.signingKeys === undefined ? {} : { signingKeys: options.signingKeys }),
    lists: options.lists,
  });
  const outlets: Outlet[] = [];
  let connectCount = 0;
  const connect: typeof loopbackSockets.connect = (host, port) => {
    connectCount++;
    return loopbackSockets.connect(host, port);
  };
  const openOutlet = (outletName: string, driver: OutletDriver): Outlet => {
    const ports = {
      ...loopbackSockets,
      connect,
      clock: life.clock,
      random: systemRandom,
      log: options.log ?? silentLog,
    };
    const outlet = createSmtpOutlet(outletSettings(outletName, options), ports, life.driver(driver));
    outlets.push(outlet);
    return outlet;
  };
  const { prepare, release } = composer;
  const queue = createDatabaseQueue({
    pool: sessions.pool,
    laneId,
    leaseId,
    leaseMs,
    clock: life.clock,
    prepare,
    release,
  });
  const openMax = options.openMax ?? OPEN_MAX;
  const limits = {
    route: "main",
    openMax,
    openPerDestinationMax: options.openPerDestinationMax ?? openMax,
    share: 1,
    isVerp: false,
    isToldOf: false,
    ...options.limits,
  } as const;
  const outletLimits = lane.outlets.map((outlet) => ({ ...limits, name: outlet }));
  const dispatcher = createDispatcher(
    {
      lane,
      leaseId,
      leaseMs,
      leaseAskedAtMs,
      outlets: options.retryRelay === undefined ? outletLimits : [...outletLimits, { ...limits, ...RETRIES }],
      maxRefusals: options.maxRefusals ?? 0.05,
    },
    {
      queue: life.queue(queue),
      journal,
      openOutlet,
      compose: options.compose?.(composer.compose) ?? composer.compose,
      isSigned: composer.isSigned,
      returnPath: ({ messageId, attempt }) => `b+${messageId}.${attempt}@returns.shop.example`,
      onAlarm: (line) => void options.alarms?.push(line),
      clock: life.clock,
      random: systemRandom,
      log: options.log ?? silentLog,
    },
  );
  // As the process does when its dispatcher has ended by itself.
  const ended = dispatcher.run().then(async (end) => {
    journal.flush();
    file.close();
    if (end.kind === "drained") {
      await endLease(sessions.pool, leaseId);
      journal.remove();
    } else await settleLate({ pool: sessions.pool }, answersOf(end));
    alive.delete(name);
    life.end();
    await sessions.close();
    return end;
  });
  const die = async (): Promise<void> => {
    if (life.isOver) return;
    life.end();
    file.close();
    alive.delete(name);
    // Whoever kills from inside an outlet's call must not pull the outlet away from under it.
    await new Promise((resolve) => void setImmediate(resolve));
    await Promise.all(outlets.map((outlet) => outlet.close()));
  };
  t.after(async () => {
    await die();
    await sessions.close();
  });
  const context = (rescuerBootId: string) => rescueContext(options.database.pool, rescuerBootId, lane);
  return {
    dispatcher,
    leaseId,
    journalFile,
    get connectCount() {
      return connectCount;
    },
    ended,
    async drain() {
      dispatcher.drain();
      return await ended;
    },
    async kill() {
      await die();
      await sessions.kill();
    },
    rescue: async (rescuerBootId = bootId) =>
      rescueByJournals(await context(rescuerBootId), journalDir, (head) => alive.has(head.processStart)),
    rescueWithoutJournal: async () =>
      rescueOverdue(await context(bootId), (leases) => leases.filter(({ late_ms }) => late_ms >= 0)),
  };
}

const RETRIES: Pick<OutletLimits, "name" | "route"> = { name: "retries", route: "retry" };

/** Empty while there is no file. */
export function journalLines(file: string): readonly string[] {
  return existsSync(file) ? readFileSync(file, "latin1").split("\n").slice(1, -1) : [];
}

function laneSettings(changes: Partial<LaneSettings> = {}): LaneSettings {
  const { lanes } = loadConfig({ cwd: "/nonexistent", env: {}, hostname: "test.example" });
  return { ...lanes[changes.name ?? "transactional"]!, outlets: ["relay"], ...changes };
}

function outletSettings(
  name: string,
  { relay, retryRelay, openMax = OPEN_MAX, outlet }: LaneOptions,
): SmtpOutletSettings {
  const { host = "127.0.0.1", port } = name === RETRIES.name ? { port: retryRelay!.port } : relay;
  const hosts = [{ host, port, weight: 1 }];
  return { name, hosts, heloName: "client.example", tls: "off", connectionsMax: openMax, ...outlet };
}

async function laneIdOf(pool: Pool, name: string): Promise<LaneId> {
  const lane = (await listLanes(pool)).find((row) => row.name === name);
  if (lane === undefined) throw new Error(`there is no lane ${name}`);
  return lane.id;
}

async function rescueContext(pool: Pool, bootId: string, lane: LaneSettings): Promise<RescueContext> {
  const names = new Map((await listLanes(pool)).map((row) => [row.id, row.name]));
  return {
    pool,
    bootId,
    laneSettingsOf: (id) => (names.get(id) === lane.name ? lane : laneSettings({ name: names.get(id)! })),
    nowMs: () => systemClock.wallMs(),
    random: () => systemRandom.unit(),
    log: silentLog,
  };
}

function answersOf({ late }: DispatcherEnd): Parameters<typeof settleLate>[1] {
  return late.flatMap(({ row, attempt, event }) => {
    if (event === undefined || (event.kind !== "sent" && event.kind !== "bounced")) return [];
    const { kind, outlet = "", host = "", reply = "" } = event;
    return [{ messageId: row.message_id, attempt, answer: { kind, outlet, host, reply, isOwnFault: true } as const }];
  });
}

// ---- sessions at the server ------------------------------------------------------------------------------------------

interface Sessions {
  readonly pool: Pool;
  close(): Promise<void>;
  kill(): Promise<void>;
}

function openSessions(database: TestDatabase, name: string): Sessions {
  const limits = { connectionsMax: CONNECTIONS_MAX, closeMsMax: CLOSE_MS_MAX, onConnect: planForTheQueue };
  const { pool, close } = createPool({ ...database.clientConfig, application_name: name }, silentLog, limits);
  const killed =
    "SELECT count(pg_terminate_backend(pid))::integer AS n FROM pg_stat_activity WHERE application_name = $1";
  return {
    pool,
    close,
    async kill() {
      await close();
      while ((await database.pool.query(killed, [name])).rows[0].n > 0);
    },
  };
}

// ---- life and death --------------------------------------------------------------------------------------------------

interface Life {
  readonly isOver: boolean;
  readonly clock: Clock;
  journal(journal: Journal): Journal;
  driver(driver: OutletDriver): OutletDriver;
  queue(queue: LaneQueue): LaneQueue;
  end(): void;
}

/** What stands around a dispatcher so that nothing of it moves when its life is over. */
function createLife(): Life {
  let isOver = false;
  const timers = new Set<Timer>();
  // A call whose answer comes after the end is never answered.
  const mortal =
    <Arguments extends readonly unknown[], Answer>(work: (...given: Arguments) => Promise<Answer>) =>
    (...given: Arguments): Promise<Answer> =>
      new Promise<Answer>((resolve, reject) => {
        if (isOver) return;
        work(...given).then(
          (answer) => !isOver && resolve(answer),
          (error: unknown) => !isOver && reject(error),
        );
      });
  return {
    get isOver() {
      return isOver;
    },
    clock: {
      monotonicMs: () => systemClock.monotonicMs(),
      wallMs: () => systemClock.wallMs(),
      after(ms, fire) {
        if (isOver) return { cancel() {} };
        const timer = systemClock.after(ms, () => {
          timers.delete(timer);
          fire();
        });
        timers.add(timer);
        return {
          cancel() {
            timers.delete(timer);
            timer.cancel();
          },
        };
      },
      soon: (fire) => systemClock.soon(() => !isOver && fire()),
    },
    journal: (journal) => ({
      composing: (attempt) => void (isOver || journal.composing(attempt)),
      dots: (attempts) => void (isOver || journal.dots(attempts)),
      answer: (attempt, answer) => void (isOver || journal.answer(attempt, answer)),
      flush: () => void (isOver || journal.flush()),
      settled: (messageId) => void (isOver || journal.settled(messageId)),
      close: () => void (isOver || journal.close()),
      remove: () => void (isOver || journal.remove()),
    }),
    driver: (driver) => ({
      take() {
        const handOver = isOver ? undefined : driver.take();
        return isOver ? undefined : handOver;
      },
      permitDots: (tokens) => !isOver && driver.permitDots(tokens),
      finished: (token, result) => void (isOver || driver.finished(token, result)),
    }),
    queue: (queue) => ({
      look: mortal(queue.look),
      discover: mortal(queue.discover),
      nextDue: mortal(queue.nextDue),
      claim: mortal(queue.claim),
      settle: mortal(queue.settle),
      orders: mortal(queue.orders),
      bringForward: mortal(queue.bringForward),
      renew: mortal(queue.renew),
      surroundings: mortal(queue.surroundings),
      keepVerdict: mortal(queue.keepVerdict),
      health: mortal(queue.health),
      healthChanges: mortal(queue.healthChanges),
      pause: mortal(queue.pause),
      prepare: mortal(queue.prepare),
      suppressed: mortal(queue.suppressed),
    }),
    end() {
      isOver = true;
      for (const timer of timers) timer.cancel();
      timers.clear();
    },
  };
}
