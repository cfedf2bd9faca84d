// Is the server of this data directory alive? PostgreSQL's own interlock, `postmaster.pid`, is the one lock that
// decides who serves a data directory. But the pid in it may belong to anybody by now (after a crash, a reboot, in a
// fresh container), so it is believed only if that process works in the data directory, and a server counts as found
// only when it answers. Nothing here starts or stops anything.

import { spawnSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import pg from "pg";
import type { EmbeddedPlace } from "./embedded-place.ts";
import { SOCKET_PORT } from "./embedded-place.ts";
import { readDataDirectory } from "./server-store.ts";

/** Superuser of the embedded server, and the database in it: the one that initdb makes, since another costs 0.4 s. */
export const EMBEDDED_USER = "postlane";
export const EMBEDDED_DATABASE = "postgres";

/** A server on a local socket that does not answer within this is frozen, not slow: its answer costs under 1 ms. */
const PROBE_MS_MAX = 2_000;

/** `postmaster.pid`, by its lines (miscadmin.h, LOCK_FILE_LINE_…). */
interface PidFile {
  readonly pid: number;
  readonly socketDir: string;
  readonly isReady: boolean;
}

export function readPidFile(data: string): PidFile | undefined {
  try {
    return parsePidFile(readFileSync(join(data, "postmaster.pid"), "utf8"));
  } catch {
    return undefined;
  }
}

export function parsePidFile(text: string): PidFile | undefined {
  const lines = text.split("\n");
  const pid = Number(lines[0]);
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  return { pid, socketDir: lines[4]?.trim() ?? "", isReady: /^(?:ready|standby)/.test(lines[7] ?? "") };
}

type Sighting =
  | { readonly kind: "ready"; readonly pid: number; readonly socketDir: string }
  /** Its process is alive, but takes no sessions now: it recovers, shuts down, or is frozen. */
  | { readonly kind: "busy"; readonly pid: number }
  | { readonly kind: "absent" };

export async function sightServer(place: EmbeddedPlace): Promise<Sighting> {
  const file = readPidFile(place.data);
  if (file === undefined) return { kind: "absent" };
  const { pid, socketDir } = file;
  if (socketDir !== "" && (await answers(place, socketDir))) return { kind: "ready", pid, socketDir };
  return isPostmaster(pid, place.data) ? { kind: "busy", pid } : { kind: "absent" };
}

/** The postmaster works in its data directory; nothing else that is alive without it does. */
export function isPostmaster(pid: number, data: string): boolean {
  try {
    const real = realpathSync(data);
    if (process.platform === "linux") return readlinkSync(`/proc/${pid}/cwd`) === real;
    const { stdout } = spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
    return stdout.includes("postgres") && (stdout.includes(data) || stdout.includes(real));
  } catch {
    return false;
  }
}

/**
 * PostgreSQL refuses to start while the pid in a left-over `postmaster.pid` is some process of the same user. When it
 * is certainly not the server, the file goes; orphaned backends are still safe from us, since PostgreSQL also looks at
 * who is attached to the data directory's shared memory.
 */
export function dropPidFileOfAnother(data: string): boolean {
  const file = readPidFile(data);
  if (file === undefined || !isAlive(file.pid) || isPostmaster(file.pid, data)) return false;
  const folder = mkdtempSync(join(data, "..", "making-"));
  const aside = join(folder, "postmaster.pid");
  try {
    renameSync(join(data, "postmaster.pid"), aside);
    const taken = parsePidFile(readFileSync(aside, "utf8"));
    // A server that started in between gets its file back.
    if (taken?.pid !== file.pid && !existsSync(join(data, "postmaster.pid")))
      linkSync(aside, join(data, "postmaster.pid"));
    return taken?.pid === file.pid;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * The same for the socket's lock file: a killed server that nobody has reaped yet (in a container, perhaps nobody ever
 * will) still counts as alive to PostgreSQL. Who serves the data directory is decided by `postmaster.pid` alone.
 */
export function dropSocketLockOfAnother(data: string, socketDir: string): void {
  const lock = join(socketDir, `.s.PGSQL.${SOCKET_PORT}.lock`);
  const pid = existsSync(lock) ? Number.parseInt(readFileSync(lock, "utf8"), 10) : Number.NaN;
  if (Number.isInteger(pid) && isAlive(pid) && !isPostmaster(pid, data)) rmSync(lock, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** It answers, and it is the server of this data directory and not of another behind a copied pid file. */
async function answers(place: EmbeddedPlace, socketDir: string): Promise<boolean> {
  const client = new pg.Client({
    host: socketDir,
    port: SOCKET_PORT,
    user: EMBEDDED_USER,
    database: EMBEDDED_DATABASE,
    ssl: false,
    application_name: "postlane start",
    connectionTimeoutMillis: PROBE_MS_MAX,
    query_timeout: PROBE_MS_MAX,
  });
  client.on("error", () => {}); // What ends the session also ends the query, or the next probe finds out.
  try {
    await client.connect();
    return realpathSync(await readDataDirectory(client)) === realpathSync(place.data);
  } catch {
    return false;
  } finally {
    client.end(() => {});
  }
}
