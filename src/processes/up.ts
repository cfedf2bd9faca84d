// `postlane up`: everything on one machine. Brings the database up and its schema up to date, starts the front, the
// dispatchers of every lane and the agents of relays on this machine, restarts what dies, drains on SIGTERM. Prints one
// line per thing that matters; the JSON lines of all processes go to `<data_dir>/log/postlane.log`.

import { closeSync, mkdirSync, openSync } from "node:fs";
import path from "node:path";
import { wireDomainOf } from "../compose/mailbox-header.ts";
import { admitSessions } from "../guard/admit-session.ts";
import { openGuardMemory } from "../guard/guard-memory.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import { createLog, type Log } from "../platform/log.ts";
import { processStartOf } from "../platform/process-identity.ts";
import { checkServer } from "../postgres/check-server.ts";
import { openDatabase, type Database } from "../postgres/database.ts";
import { migrate } from "../postgres/migrate.ts";
import { syncLanes } from "../queue/lane-store.ts";
import { isDomainSigned } from "../senders/domains/signed-domain.ts";
import { guardContextOf, guardHere, tellHold, untilAdmitted } from "./guard-here.ts";
import { childEnv, superviseChild, type Child } from "./child.ts";
import { onStop } from "./supervision.ts";

export interface UpOptions {
  readonly config: Config;
  /** The file that children read too; undefined: the one in the working directory, or none. */
  readonly configFile?: string | undefined;
  /** The compiled entry of the command line. */
  readonly mainPath: string;
  readonly print: (line: string) => void;
}

/** Longer than a dispatcher gives what is open. */
const STOP_MS_MAX = 45_000;
/** How often the embedded server is looked for; a dead one is started again. */
const DATABASE_WATCH_MS = 500;

export async function runUp({ config, configFile, mainPath, print }: UpOptions): Promise<number> {
  const logDescriptor = openLogFile(config);
  const log = createLog(config.logLevel, { process: "up" }, logDescriptor);
  let isStopping = false;
  const stopped = new Promise<string>((resolve) =>
    onStop((why) => {
      isStopping = true;
      resolve(why);
    }),
  );
  sayWhereMailGoes(config, print);
  sayWhatComesHome(config, print);
  sayWhoCannotUnsubscribe(config, print);
  const bringUp = (): Promise<Database> => bringUpDatabase(config, { log, print, isStopping: () => isStopping });
  let database = await bringUp();
  if (isStopping) {
    await database.stop();
    return 0;
  }
  if (isSending(config)) await sayWhoSigns(config, database, print);
  const children = childSpecs(config, configFile).map(({ name, args, priority }) => {
    const spec = { name, modulePath: mainPath, args, env: childEnv(), logDescriptor };
    return superviseChild(
      spec,
      {
        onReady: () => print(`${name}: ready${priority === undefined ? "" : ` (${priority})`}`),
        onTold: print,
        onDied: (how, restartInMs) => print(`${name}: died (${how}); starts again in ${restartInMs} ms`),
      },
      log,
    );
  });
  const watch = watchDatabase(
    () => database,
    async () => (database = await bringUp()),
    log,
  );
  const why = await stopped;
  print(`stopping (${why}): finishing what is open`);
  watch.stop();
  await stopAll(children);
  await database.stop();
  closeSync(logDescriptor);
  print("stopped: nothing is in flight");
  return 0;
}

function openLogFile(config: Config): number {
  const folder = path.join(config.dataDir, "log");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return openSync(path.join(folder, "postlane.log"), "a", 0o600);
}

function sayWhereMailGoes(config: Config, print: (line: string) => void): void {
  for (const outlet of Object.values(config.outlets)) {
    const lanes = Object.values(config.lanes)
      .filter((lane) => lane.outlets.includes(outlet.name))
      .map((lane) => lane.name);
    if (outlet.type !== "capture" || lanes.length === 0) continue;
    print(
      `nothing leaves this machine by lane ${lanes.join(", ")}: outlet "${outlet.name}" keeps mail in ${outlet.dir}`,
    );
  }
}

function sayWhatComesHome(config: Config, print: (line: string) => void): void {
  if (!isSending(config) || config.returnsDomain !== undefined) return;
  print("nothing comes home: failure notices go to the sender's address; set returns.domain to have them read");
}

/** Whether mail leaves this machine. */
function isSending(config: Config): boolean {
  const used = new Set(Object.values(config.lanes).flatMap((lane) => lane.outlets));
  return Object.values(config.outlets).some(({ name, type }) => type === "smtp" && used.has(name));
}

/** Of the domain in `from`, the one that is known before any mail is. */
async function sayWhoSigns(config: Config, { pool }: Database, print: (line: string) => void): Promise<void> {
  const domain = wireDomainOf(config.from);
  if (await isDomainSigned(pool, domain, config.dkim.keys)) return;
  print(
    `mail from ${domain} is not signed here: \`postlane domain add ${domain}\` makes keys; nothing is to do if your relay signs`,
  );
}

/** Only of bulk mail that leaves this machine. */
function sayWhoCannotUnsubscribe(config: Config, print: (line: string) => void): void {
  const lanes = Object.values(config.lanes)
    .filter(({ priority, outlets }) => {
      return priority === "bulk" && outlets.some((name) => config.outlets[name]?.type === "smtp");
    })
    .map(({ name }) => name);
  if (lanes.length === 0 || config.publicUrl !== undefined) return;
  print(
    `mail of lane ${lanes.join(", ")} goes without one-click unsubscribe, which the big providers demand: set public_url`,
  );
}

async function bringUpDatabase(
  config: Config,
  { log, print, isStopping }: { readonly log: Log; readonly print: (line: string) => void; isStopping: () => boolean },
): Promise<Database> {
  const askedAtMs = systemClock.monotonicMs();
  const { databaseUrl, dataDir } = config;
  const memory = openGuardMemory(dataDir);
  const onConnect = admitSessions(memory);
  const database = await openDatabase({ databaseUrl, dataDir, log, role: "up", connectionsMax: 2, onConnect });
  if (!(await untilAdmitted(database.pool, { isStopping, log, tell: print }))) return database;
  const client = await database.pool.connect();
  try {
    const { warnings } = await checkServer(client);
    for (const warning of warnings) print(`warning: ${warning}`);
    const { from, to } = await migrate(client);
    if (from !== to) print(`database: schema brought from version ${from} to ${to}`);
    await syncLanes(client, config.lanes);
  } finally {
    client.release();
  }
  const { isHeldNow } = await guardHere(guardContextOf(config, database.pool, memory, log), config, print);
  if (!isHeldNow) await sayWhatIsHeld(database, print);
  const where = database.isEmbedded ? `embedded PostgreSQL in ${dataDir}` : "PostgreSQL of DATABASE_URL";
  print(`database: ${where}, ready in ${Math.round(systemClock.monotonicMs() - askedAtMs)} ms`);
  return database;
}

async function sayWhatIsHeld({ pool }: Database, print: (line: string) => void): Promise<void> {
  const sentence = await tellHold(pool);
  if (sentence !== undefined) print(`guard: ${sentence}`);
}

interface PlannedChild {
  readonly name: string;
  readonly args: readonly string[];
  readonly priority?: string;
}

function childSpecs(config: Config, configFile: string | undefined): readonly PlannedChild[] {
  const named = configFile === undefined ? [] : ["--config", configFile];
  const dispatchers = Object.values(config.lanes).flatMap((lane) =>
    Array.from({ length: lane.dispatchers }, (_, index) => ({
      name: lane.dispatchers === 1 ? `dispatcher ${lane.name}` : `dispatcher ${lane.name} ${index + 1}`,
      args: ["dispatcher", "--lane", lane.name, ...named],
      priority: `${lane.outlets.join(", ")}`,
    })),
  );
  const agents = Object.values(config.outlets).flatMap((outlet) =>
    outlet.type === "smtp" && outlet.gauge !== undefined && !outlet.gauge.isRemote
      ? [{ name: `agent ${outlet.name}`, args: ["agent", "--outlet", outlet.name, ...named] }]
      : [],
  );
  return [{ name: "front", args: ["front", ...named] }, ...dispatchers, ...agents];
}

/** An embedded server that was killed is started again; what its clients had open, they do again. */
function watchDatabase(current: () => Database, restart: () => Promise<unknown>, log: Log): { stop(): void } {
  let isStopped = false;
  let isRestarting = false;
  const timer = setInterval(() => {
    const { embedded } = current();
    if (embedded === undefined || isStopped || isRestarting || isAlive(embedded.pid)) return;
    isRestarting = true;
    log.error("database.died", { pid: embedded.pid });
    void (async () => {
      await current().close();
      await restart();
    })()
      .catch((error: unknown) => log.error("database.restart_failed", { error: String(error) }))
      .finally(() => (isRestarting = false));
  }, DATABASE_WATCH_MS);
  return {
    stop() {
      isStopped = true;
      clearInterval(timer);
    },
  };
}

/** A server that was found and killed may stay a zombie, which `kill(pid, 0)` takes for alive. */
function isAlive(pid: number): boolean {
  return processStartOf(pid) !== undefined;
}

// Dispatchers first: while they drain, readings and upkeep go on.
async function stopAll(children: readonly Child[]): Promise<void> {
  const isDispatcher = ({ name }: Child): boolean => name.startsWith("dispatcher ");
  const stop = async (some: readonly Child[]): Promise<void> => {
    await Promise.all(some.map((child) => child.stop(STOP_MS_MAX)));
  };
  await stop(children.filter(isDispatcher));
  await stop(children.filter((child) => !isDispatcher(child)));
}
