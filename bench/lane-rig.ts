// Postlane at work for a benchmark: a database in a folder of its own, a configuration, and dispatchers as the real
// processes that `postlane up` would run. Everything ends with the scope.

import { fork, type ChildProcess } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createFeeder } from "../src/campaigns/feed-campaigns.ts";
import { systemClock } from "../src/platform/clock.ts";
import { createLog } from "../src/platform/log.ts";
import { openDatabase, type Database } from "../src/postgres/database.ts";
import { removeEmbedded } from "../src/postgres/embedded.ts";
import { migrate } from "../src/postgres/migrate.ts";
import { CHILD_FLAGS } from "../src/processes/child.ts";
import type { Scope } from "../test/rig/scope.ts";

export interface LaneRig {
  readonly database: Database;
  readonly dataDir: string;
  readonly configFile: string;
  startDispatcher(lane: string): Promise<ProcessUnderTest>;
  startAgent(outlet: string): Promise<ProcessUnderTest>;
}

export interface ProcessUnderTest {
  /** The most memory that it ever had, in MB of 10^6 bytes. */
  rssMbMax(): number;
  stop(): Promise<void>;
}

export interface RigOptions {
  readonly relay: { readonly host: string; readonly port: number };
  /** Lines below `outlets.default`, such as `max_open: 80`. */
  readonly outlet?: readonly string[];
  /** Lines of the configuration's `lanes`. */
  readonly lanes?: readonly string[];
  readonly databaseEnv?: Readonly<Record<string, string>>;
  /** By default messages of campaigns are made, as the front does it. */
  readonly isFed?: boolean;
  /** A private key in PEM, which signs what is from this domain. */
  readonly dkimKey?: { readonly domain: string; readonly pem: string };
}

const MAIN = path.resolve(import.meta.dirname, "../src/doors/cli/main.js");

export async function startLaneRig(scope: Scope, options: RigOptions): Promise<LaneRig> {
  const dataDir = mkdtempSync(path.join(os.tmpdir(), "postlane-bench-"));
  scope.after(async () => {
    await removeEmbedded(dataDir);
    rmSync(dataDir, { recursive: true, force: true });
  });
  const configFile = path.join(dataDir, "postlane.yaml");
  writeFileSync(configFile, configText(dataDir, options));
  if (options.dkimKey !== undefined)
    writeFileSync(path.join(dataDir, "dkim.pem"), options.dkimKey.pem, { mode: 0o600 });
  const log = createLog("warn", { process: "bench" });
  const env = options.databaseEnv === undefined ? {} : { env: options.databaseEnv };
  const database = await openDatabase({ dataDir, log, role: "bench", ...env });
  scope.after(() => database.stop());
  const client = await database.pool.connect();
  await migrate(client);
  client.release();
  if (options.isFed !== false) feedUntilEnd(scope, database);
  return {
    database,
    dataDir,
    configFile,
    startDispatcher: (lane) => startProcess(scope, ["dispatcher", "--lane", lane], configFile, dataDir),
    startAgent: (outlet) => startProcess(scope, ["agent", "--outlet", outlet], configFile, dataDir),
  };
}

/** What the front does for campaigns, and as often. */
function feedUntilEnd(scope: Scope, { pool }: Database): void {
  const feeder = createFeeder({ pool, clock: systemClock });
  let isOver = false;
  const ended = (async () => {
    while (!isOver) {
      await feeder.feed();
      await sleep(FEED_MS);
    }
  })();
  scope.after(async () => {
    isOver = true;
    await ended;
  });
}

const FEED_MS = 100;

function configText(dataDir: string, { relay, outlet = [], lanes = [], dkimKey }: RigOptions): string {
  return [
    `data_dir: ${dataDir}`,
    'from: "Bench <bench@example.com>"',
    // So that bulk mail has the headers that it has in earnest.
    "public_url: https://mail.example.com",
    ...(dkimKey === undefined ? [] : [dkimLine(dkimKey.domain)]),
    "outlets:",
    "  default:",
    "    type: smtp",
    `    hosts: ["${relay.host}:${relay.port}"]`,
    "    tls: off",
    ...outlet.map((line) => `    ${line}`),
    ...(lanes.length === 0 ? [] : ["lanes:", ...lanes.map((line) => `  ${line}`)]),
    "",
  ].join("\n");
}

/** Beside the configuration. */
function dkimLine(domain: string): string {
  return `dkim: { keys: [{ domain: ${domain}, selector: bench, private_key_file: dkim.pem }] }`;
}

async function startProcess(
  scope: Scope,
  command: readonly [verb: string, option: string, name: string],
  configFile: string,
  dataDir: string,
): Promise<ProcessUnderTest> {
  const logFile = path.join(dataDir, `${command[0]}-${command[2]}.log`);
  const logDescriptor = openSync(logFile, "a");
  const child = fork(MAIN, [...command, "--config", configFile], {
    execArgv: [...CHILD_FLAGS],
    stdio: ["ignore", logDescriptor, logDescriptor, "ipc"],
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await readyOrDead(child, logFile);
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) child.kill("SIGTERM");
    await exited;
  };
  scope.after(stop);
  return { rssMbMax: () => readRssMbMax(child.pid!), stop };
}

function readyOrDead(child: ChildProcess, logFile: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on("message", (message: { kind: string }) => {
      if (message.kind === "ready") resolve();
    });
    child.once("exit", (code) => reject(new Error(`a process ended with ${code}: ${readFileSync(logFile, "utf8")}`)));
  });
}

export function readRssMbMax(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Math.round((Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / 1e6);
}

/** Until no row waits in the queue; polled, since nothing else says so without costing the road anything. */
export async function untilQueueIsEmpty(database: Database, msMax: number): Promise<void> {
  const endsAt = performance.now() + msMax;
  while (performance.now() < endsAt) {
    const { rows } = await database.pool.query("SELECT EXISTS (SELECT FROM postlane.queue) AS is_waiting");
    if (rows[0].is_waiting === false) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`messages still wait after ${msMax / 1000} s`);
}
