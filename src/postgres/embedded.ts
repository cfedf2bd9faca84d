// The embedded PostgreSQL: a real server of our own, in the data directory, on a private unix socket. It is detached
// from whoever started it: a killed supervisor leaves it running, and the next start finds it and uses it again.
// Two starts at once need no lock of ours: each may prepare, a rename decides whose cluster it is, and PostgreSQL's own
// postmaster.pid decides who serves it; the other one finds it. Authentication is `trust`, which is safe because the
// only way in is a socket in a 0700 folder: who passes owns the data files or is root. Never runs with fsync off.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  rmdirSync,
  statSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { systemClock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { type Binaries, type BinariesSource, layOut, majorOf, packagedBinaries } from "./embedded-binaries.ts";
import { type EmbeddedPlace, SOCKET_PORT, findPlace, preparePlace, prepareSocketFolder } from "./embedded-place.ts";
import {
  EMBEDDED_DATABASE,
  EMBEDDED_USER,
  dropPidFileOfAnother,
  dropSocketLockOfAnother,
  isPostmaster,
  readPidFile,
  sightServer,
} from "./embedded-process.ts";
import { type ServerSettings, settingArguments, settingsFor } from "./embedded-settings.ts";
import { PostgresRefused } from "./refused.ts";

export interface EmbeddedServer {
  readonly socketDir: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly pid: number;
  /** It ran already: an earlier start left it, or another process started it. */
  readonly wasFound: boolean;
  /** Fast shutdown: sessions end, what is committed stays. Also stops a server that was found. Idempotent. */
  stop(): Promise<void>;
}

interface EmbeddedOptions {
  readonly dataDir: string;
  readonly log: Log;
  /** Added to the server's otherwise empty environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** On top of ours; no effect on a server that is found. */
  readonly settings?: ServerSettings;
  /** By default the npm package's. */
  readonly binaries?: BinariesSource;
}

/** Crash recovery replays up to max_wal_size; a slow disk needs minutes for it. */
const START_MS_MAX = 300_000;
/** A start that takes longer than this is worth a line in the log. */
const START_MS_USUAL = 5_000;
/** A fast shutdown writes a checkpoint: up to shared_buffers, to a disk that may be slow. */
const STOP_FAST_MS_MAX = 60_000;
/** An immediate shutdown writes nothing, and costs a recovery at the next start. */
const STOP_IMMEDIATE_MS_MAX = 10_000;
/** Between two looks at a file, which cost some 20 µs each. */
const POLL_MS = 5;
/** Between two tries to start beside the last backends of a server that was killed. */
const RETRY_MS = 50;
/** What a server says before its log file is open; it is for error messages. */
const SAID_CHARS_MAX = 8_000;
const LOG_FILES_MAX = 8;
/** What a killed start left half made is deleted after this long. */
const HALF_MADE_MS_MAX = 3_600_000;

export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const { dataDir, log } = options;
  const source = options.binaries ?? packagedBinaries();
  const deadline = systemClock.monotonicMs() + START_MS_MAX;
  const place = preparePlace(dataDir, log);
  refuseOtherMajor(place, majorOf(source));
  const found = await waitForRunning(place, deadline, log);
  if (found !== undefined) return found;
  sweep(place);
  const binaries = layOut(source, place.home);
  await createClusterOnce(place, binaries, log);
  if (dropPidFileOfAnother(place.data)) log.info("postgres.stale_pid_dropped");
  return launch(place, binaries, deadline, options);
}

/** The running server of this data directory, or undefined; starts nothing. */
export async function findEmbedded(dataDir: string): Promise<EmbeddedServer | undefined> {
  const place = findPlace(dataDir);
  if (place === undefined) return undefined;
  const sighting = await sightServer(place);
  if (sighting.kind !== "ready") return undefined;
  return serverAt(place, { ...sighting, wasFound: true, isGone: () => !isPostmaster(sighting.pid, place.data) });
}

/** Stops the server of this data directory, if it runs, and deletes its folder, wherever that is. For what is thrown away. */
export async function removeEmbedded(dataDir: string): Promise<void> {
  const place = findPlace(dataDir);
  if (place === undefined) return;
  const sighting = await sightServer(place);
  if (sighting.kind !== "absent") {
    const { pid } = sighting;
    const socketDir = readPidFile(place.data)?.socketDir ?? "";
    await serverAt(place, { pid, socketDir, wasFound: true, isGone: () => !isPostmaster(pid, place.data) }).stop();
  }
  // The logging process outlives the server by a moment.
  rmSync(place.home, { recursive: true, force: true, maxRetries: 10 });
  rmSync(join(resolve(dataDir), "postgres"), { recursive: true, force: true });
}

function refuseOtherMajor(place: EmbeddedPlace, major: number): void {
  const written = clusterMajor(place);
  if (written === undefined || written === major) return;
  throw new PostgresRefused(
    "embedded_major_version",
    `${place.data} was written by PostgreSQL ${written}, and this Postlane brings PostgreSQL ${major}, which cannot ` +
      `read it. Start the Postlane that wrote it, save the database with pg_dump, move ${place.home} away, and restore ` +
      "into the new one; or run pg_upgrade; or set DATABASE_URL.",
  );
}

function clusterMajor(place: EmbeddedPlace): number | undefined {
  const file = join(place.data, "PG_VERSION");
  return existsSync(file) ? Number.parseInt(readFileSync(file, "utf8"), 10) : undefined;
}

/** A server that recovers or shuts down is waited for: it ends up ready, or gone. */
async function waitForRunning(place: EmbeddedPlace, deadline: number, log: Log): Promise<EmbeddedServer | undefined> {
  const noticeAt = systemClock.monotonicMs() + START_MS_USUAL;
  let isNoticed = false;
  for (;;) {
    const sighting = await sightServer(place);
    if (sighting.kind === "absent") return undefined;
    if (sighting.kind === "ready") {
      log.info("postgres.found", { server_pid: sighting.pid });
      return serverAt(place, { ...sighting, wasFound: true, isGone: () => !isPostmaster(sighting.pid, place.data) });
    }
    const now = systemClock.monotonicMs();
    if (now > deadline) throw doesNotAnswer(sighting.pid);
    if (!isNoticed && now > noticeAt) log.warn("postgres.awaited", { server_pid: sighting.pid });
    isNoticed ||= now > noticeAt;
    await sleep(POLL_MS);
  }
}

function doesNotAnswer(pid: number): PostgresRefused {
  return new PostgresRefused(
    "embedded_start_failed",
    `The embedded PostgreSQL (pid ${pid}) is running but has taken no sessions for ${START_MS_MAX / 1000} s. ` +
      "Look into its log in the data directory, under postgres/log; if it is frozen, end it and start again.",
  );
}

/** Half-made folders of starts that were killed, and logs beyond the newest few. */
function sweep({ home, logFolder }: EmbeddedPlace): void {
  for (const name of readdirSync(home).filter((name) => name.startsWith("making-"))) {
    const age = systemClock.wallMs() - (statSync(join(home, name), { throwIfNoEntry: false })?.mtimeMs ?? 0);
    if (age > HALF_MADE_MS_MAX) rmSync(join(home, name), { recursive: true, force: true });
  }
  if (!existsSync(logFolder)) return;
  const oldLogs = readdirSync(logFolder).sort().slice(0, -LOG_FILES_MAX);
  for (const name of oldLogs) rmSync(join(logFolder, name), { force: true });
}

/** Made aside and renamed: a start that is killed leaves no half cluster, and of two at once one wins. */
async function createClusterOnce(place: EmbeddedPlace, binaries: Binaries, log: Log): Promise<void> {
  if (clusterMajor(place) !== undefined) return;
  const startedAt = systemClock.monotonicMs();
  const making = mkdtempSync(join(place.home, "making-"));
  try {
    if (place.runAs) chownSync(making, place.runAs.uid, place.runAs.gid);
    await initdb(place, binaries, join(making, "data"));
    if (!moveCluster(place, join(making, "data"))) return;
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  log.info("postgres.cluster_created", { ms: Math.round(systemClock.monotonicMs() - startedAt) });
}

async function initdb(place: EmbeddedPlace, { binFolder }: Binaries, data: string): Promise<void> {
  const options = `--username=${EMBEDDED_USER} --encoding=UTF8 --locale-provider=libc --locale=C --data-checksums`;
  const child = spawn(
    join(binFolder, "initdb"),
    [`--pgdata=${data}`, "--auth-local=trust", "--auth-host=reject", ...options.split(" ")],
    { ...spawnOptions(place), stdio: ["ignore", "ignore", "pipe"] },
  );
  const said = listen(child);
  const { code } = await ended(child);
  if (code !== 0) throw startFailed("initdb", code, said());
}

function moveCluster(place: EmbeddedPlace, made: string): boolean {
  try {
    renameSync(made, place.data);
  } catch (cause) {
    if (clusterMajor(place) !== undefined) return false;
    throw new PostgresRefused(
      "embedded_not_a_cluster",
      `${place.data} is in the way of a new database: it is not empty, and it is no PostgreSQL data directory. ` +
        "Look what it is, and move it away.",
      { cause },
    );
  }
  syncFolder(place.home);
  return true;
}

/** The new name is durable only with its folder. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, "r");
  fsyncSync(fd);
  closeSync(fd);
}

async function launch(
  place: EmbeddedPlace,
  binaries: Binaries,
  deadline: number,
  options: EmbeddedOptions,
): Promise<EmbeddedServer> {
  for (;;) {
    const startedAt = systemClock.monotonicMs();
    const attempt = await spawnServer(place, binaries, deadline, options);
    if (attempt.kind === "ready") {
      const ms = Math.round(systemClock.monotonicMs() - startedAt);
      options.log.info("postgres.started", { server_pid: attempt.server.pid, ms });
      return attempt.server;
    }
    const other = await waitForRunning(place, deadline, options.log);
    if (other !== undefined) return other;
    const mayRetry = MOMENTARY.test(attempt.said) && systemClock.monotonicMs() < deadline;
    if (!mayRetry) throw startFailed("postgres", attempt.code, attempt.said + newestLog(place));
    await sleep(RETRY_MS);
  }
}

/** A server that was there a moment ago: backends of a killed one are on their way out, or it shut down just now. */
const MOMENTARY = /pre-existing shared memory block|lock file "[^"]*" (?:already exists|is empty)/;

type LaunchAttempt =
  | { readonly kind: "ready"; readonly server: EmbeddedServer }
  | { readonly kind: "exited"; readonly code: number | null; readonly said: string };

async function spawnServer(
  place: EmbeddedPlace,
  { binFolder }: Binaries,
  deadline: number,
  { env, settings }: EmbeddedOptions,
): Promise<LaunchAttempt> {
  const socketDir = prepareSocketFolder(place);
  dropSocketLockOfAnother(place.data, socketDir);
  prepareLogFolder(place);
  const child = spawn(
    join(binFolder, "postgres"),
    ["-D", place.data, ...settingArguments({ ...settingsFor(place, socketDir), ...settings })],
    { ...spawnOptions(place, env), detached: true, stdio: ["ignore", "ignore", "pipe"] },
  );
  const said = listen(child);
  const end = ended(child);
  const isGone = (): boolean => child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  await Promise.race([end, untilReady(place, child, isGone, deadline)]);
  if (isGone()) return { kind: "exited", code: (await end).code, said: said() };
  letGo(child);
  return { kind: "ready", server: serverAt(place, { pid: child.pid!, socketDir, wasFound: false, isGone }) };
}

/** The file says when recovery is over, so that sessions are tried only then. */
async function untilReady(
  place: EmbeddedPlace,
  child: ChildProcess,
  isGone: () => boolean,
  deadline: number,
): Promise<void> {
  while (!isGone()) {
    const file = readPidFile(place.data);
    if (file?.pid === child.pid && file?.isReady === true) {
      if ((await sightServer(place)).kind === "ready") return;
    }
    if (systemClock.monotonicMs() > deadline) throw doesNotAnswer(child.pid!);
    await sleep(POLL_MS);
  }
}

function prepareLogFolder({ logFolder, runAs }: EmbeddedPlace): void {
  mkdirSync(logFolder, { recursive: true, mode: 0o700 });
  if (runAs) chownSync(logFolder, runAs.uid, runAs.gid);
}

/** Nothing of the caller's environment: PGDATA, PGOPTIONS or a locale in there would be ours by accident. */
function spawnOptions({ home, runAs }: EmbeddedPlace, env?: Readonly<Record<string, string>>) {
  return {
    cwd: home,
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC", ...env },
    ...(runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid }),
  };
}

function listen(child: ChildProcess): () => string {
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    said = (said + chunk).slice(-SAID_CHARS_MAX);
  });
  return () => said;
}

async function ended(child: ChildProcess): Promise<{ readonly code: number | null }> {
  try {
    await once(child, "close");
    return { code: child.exitCode };
  } catch (cause) {
    throw new PostgresRefused(
      "embedded_start_failed",
      `The embedded PostgreSQL could not be run: ${cause instanceof Error ? cause.message : String(cause)}. ` +
        "Its programs need glibc and a file system that allows to run them (not mounted noexec).",
      { cause },
    );
  }
}

/** From here on it is on its own: its log goes to its files, and we may end without it. */
function letGo(child: ChildProcess): void {
  child.stderr?.destroy();
  child.unref();
}

function startFailed(program: string, code: number | null, said: string): PostgresRefused {
  return new PostgresRefused(
    "embedded_start_failed",
    `The embedded PostgreSQL did not start: ${program} ended with ${code ?? "a signal"}. It said:\n${said.trim()}`,
  );
}

function newestLog({ logFolder }: EmbeddedPlace): string {
  const newest = existsSync(logFolder) ? readdirSync(logFolder).sort().at(-1) : undefined;
  return newest === undefined ? "" : readFileSync(join(logFolder, newest), "utf8").slice(-SAID_CHARS_MAX);
}

interface Running {
  readonly pid: number;
  readonly socketDir: string;
  readonly wasFound: boolean;
  readonly isGone: () => boolean;
}

function serverAt(place: EmbeddedPlace, { pid, socketDir, wasFound, isGone }: Running): EmbeddedServer {
  return {
    socketDir,
    port: SOCKET_PORT,
    user: EMBEDDED_USER,
    database: EMBEDDED_DATABASE,
    pid,
    wasFound,
    stop: () => stopServer(place, pid, socketDir, isGone),
  };
}

async function stopServer(place: EmbeddedPlace, pid: number, socketDir: string, isGone: () => boolean): Promise<void> {
  const isStopped =
    (await endBy("SIGINT", pid, isGone, STOP_FAST_MS_MAX)) ||
    (await endBy("SIGQUIT", pid, isGone, STOP_IMMEDIATE_MS_MAX));
  if (!isStopped) {
    throw new PostgresRefused(
      "embedded_stop_failed",
      `The embedded PostgreSQL (pid ${pid}) did not stop within ${(STOP_FAST_MS_MAX + STOP_IMMEDIATE_MS_MAX) / 1000} s; ` +
        "its disk may hang. What is committed is safe; the next start finds the server as it is.",
    );
  }
  if (!isWithin(socketDir, place.home)) removeEmpty(socketDir);
}

/** Looked at right before the signal: a pid that is somebody else's by now gets none. */
async function endBy(signal: NodeJS.Signals, pid: number, isGone: () => boolean, msMax: number): Promise<boolean> {
  if (isGone() || !sendSignal(pid, signal)) return true;
  const deadline = systemClock.monotonicMs() + msMax;
  while (!isGone()) {
    if (systemClock.monotonicMs() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

function isWithin(folder: string, home: string): boolean {
  return existsSync(home) && existsSync(folder) && realpathSync(folder).startsWith(realpathSync(home));
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Gone already, or a new server uses it.
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((wake) => systemClock.after(ms, wake));
}
