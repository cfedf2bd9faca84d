// A whole Postlane in a temporary folder, by the same commands that a person would type: configuration, embedded
// database, `postlane up` as a real process that may be killed and started again. The folder, the database and every
// process are gone when the scope ends, however it ends.

import { spawn, type ChildProcess } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findEmbedded, removeEmbedded } from "../src/postgres/embedded.ts";
import type { Scope } from "../test/rig/scope.ts";
import { childrenOf, processesOf, sendSignal, type RunningProcess } from "./running-processes.ts";

export interface Installation {
  readonly folder: string;
  readonly dataDir: string;
  readonly configFile: string;
  /** Writes the configuration; `data_dir` is set already. */
  configure(yaml: string): void;
  /** Starts `postlane up`, with these variables on top; resolves when every dispatcher of its lanes is ready. */
  up(more?: Readonly<Record<string, string>>): Promise<Supervisor>;
  /** What to spawn for a command of the CLI on this installation. */
  command(...args: readonly string[]): { readonly file: string; readonly args: readonly string[] };
  readonly env: NodeJS.ProcessEnv;
  /** The processes that serve a lane right now. */
  dispatchersOf(lane: string): readonly RunningProcess[];
  /** The embedded server's main process; undefined while it takes no sessions. */
  postmasterPid(): Promise<number | undefined>;
  /** Server processes that serve a session. */
  backendPids(): Promise<readonly number[]>;
}

export interface Supervisor {
  readonly pid: number;
  /** Everything that it printed so far. */
  printed(): string;
  kill(): void;
  /** With everything that it started, at once: what is left of them when a machine dies. */
  killAll(): void;
  /** As Ctrl-C or a service manager would: it drains. Resolves with its exit code. */
  stop(): Promise<number | null>;
  /** Rejects if it ends without having been asked or killed; never resolves. */
  readonly unexpectedEnd: Promise<never>;
}

const UP_MS_MAX = 60_000;
/** Longer than a supervisor waits for its own children. */
const STOP_MS_MAX = 60_000;
const MAIN_PATH = path.resolve(import.meta.dirname, "../src/doors/cli/main.js");

/** Words that a start of `postlane up` goes behind: a command that runs a command in surroundings of its own. */
export type Launcher = () => readonly string[];

/** `inFolder`: where the temporary folder is made; the server's user must be able to pass through it. */
export function makeInstallation(
  scope: Scope,
  name: string,
  inFolder: string = os.tmpdir(),
  launcher: Launcher = () => [],
): Installation {
  const folder = mkdtempSync(path.join(inFolder, `postlane-${name}-`));
  const dataDir = path.join(folder, "data");
  const configFile = path.join(folder, "postlane.yaml");
  scope.after(() => removeAll(folder, dataDir));
  // The embedded server may have to run as another user than root, and must get through to its files.
  chmodSync(folder, 0o711);
  const env = environment();
  return {
    folder,
    dataDir,
    configFile,
    env,
    // With what bulk mail needs before it may begin, and so with the headers that it has in earnest.
    configure: (yaml) =>
      writeFileSync(configFile, `data_dir: ${JSON.stringify(dataDir)}\npublic_url: https://mail.example.com\n${yaml}`),
    up: (more) =>
      startSupervisor(scope, [...launcher(), process.execPath, MAIN_PATH, "up", "--config", configFile], {
        ...env,
        ...more,
      }),
    command: (...args) => ({ file: process.execPath, args: [MAIN_PATH, ...args, "--config", configFile] }),
    dispatchersOf: (lane) =>
      processesOf(folder).filter(({ command }) => command.includes(` dispatcher --lane ${lane} `)),
    postmasterPid: async () => (await findEmbedded(dataDir))?.pid,
    async backendPids() {
      const embedded = await findEmbedded(dataDir);
      if (embedded === undefined) return [];
      const sessions = childrenOf(embedded.pid).filter(({ command }) => command.includes(`${embedded.database} `));
      return sessions.map(({ pid }) => pid);
    },
  };
}

/** Nothing of the caller's settings: a DATABASE_URL of somebody's shell must not become the crash run's database. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([key]) => key !== "DATABASE_URL" && !key.startsWith("POSTLANE_"));
  // Several installations run at once, and none may take the port of a real one.
  return {
    ...Object.fromEntries(kept),
    POSTLANE_LISTEN__HTTP: "127.0.0.1:0",
    POSTLANE_LISTEN__SMTP: "127.0.0.1:0",
  };
}

async function startSupervisor(
  scope: Scope,
  [program = "", ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Supervisor> {
  // A process group of its own: Ctrl-C reaches us alone, and we end it in order.
  const child = spawn(program, args, {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let isExpected = false;
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (printed += text));
  }
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  const unexpectedEnd = ended.then(async (code) => {
    if (isExpected) return await new Promise<never>(() => {});
    throw new Error(`postlane up ended by itself with ${code ?? child.signalCode}. It had printed:\n${printed}`);
  });
  unexpectedEnd.catch(() => {});
  const supervisor: Supervisor = {
    pid: child.pid!,
    printed: () => printed,
    unexpectedEnd,
    kill() {
      isExpected = true;
      child.kill("SIGKILL");
    },
    killAll() {
      isExpected = true;
      if (isRunning(child)) sendSignal(-child.pid!, "SIGKILL");
    },
    async stop() {
      isExpected = true;
      if (!isRunning(child)) return child.exitCode;
      child.kill("SIGTERM");
      const insist = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
      const code = await ended;
      clearTimeout(insist);
      return code;
    },
  };
  scope.after(() => supervisor.kill());
  await Promise.race([untilReady(supervisor), unexpectedEnd]);
  return supervisor;
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

async function untilReady(supervisor: Supervisor): Promise<void> {
  const deadline = performance.now() + UP_MS_MAX;
  // Of several dispatchers of a lane, the first.
  const isReady = (lane: string): boolean => new RegExp(`dispatcher ${lane}(?: 1)?: ready`).test(supervisor.printed());
  while (!["transactional", "bulk"].every(isReady)) {
    if (performance.now() > deadline) throw new Error(`postlane up is not ready:\n${supervisor.printed()}`);
    await sleep(5);
  }
}

/** By now the supervisor was stopped or killed; whatever else runs in the folder is ended by its process id. */
async function removeAll(folder: string, dataDir: string): Promise<void> {
  const nodes = () => processesOf(folder).filter(({ command }) => command.includes(MAIN_PATH));
  for (const { pid } of nodes()) sendSignal(pid, "SIGKILL");
  while (nodes().length > 0) await sleep(5);
  await removeEmbedded(dataDir);
  rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
}
