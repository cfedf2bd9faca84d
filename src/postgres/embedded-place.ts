// Where the embedded server lives and as whom it runs. Normally `<data dir>/postgres`, as ourselves. PostgreSQL refuses
// to run as root: then it runs as the owner of what is there, else as `postgres`, else as `nobody`; and where that
// user cannot reach the data directory (it lies under /root, say), the server's folder is put where it can, and
// `<data dir>/postgres` is a symlink to it. The symlink is the truth: when its target is gone, we refuse rather than
// begin with an empty database. Folders above the data directory are never changed.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve, sep } from "node:path";
import type { Log } from "../platform/log.ts";
import { PostgresRefused } from "./refused.ts";

interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

export interface EmbeddedPlace {
  readonly home: string;
  /** PGDATA. */
  readonly data: string;
  readonly logFolder: string;
  /** Absent: the server runs as ourselves. */
  readonly runAs?: ServerUser;
}

export const SOCKET_PORT = 5432;

/** sun_path holds 108 bytes on Linux and 104 on macOS, with the final zero. */
const SOCKET_PATH_BYTES_MAX = 103;

/** Not below a user's home, and kept over a reboot; /var/tmp is cleaned by age. */
const ELSEWHERE = "/var/lib/postlane-embedded";

/** Looks only; undefined when no embedded server was ever made for this data directory. */
export function findPlace(dataDir: string): EmbeddedPlace | undefined {
  const link = homeLink(dataDir);
  if (!existsSync(link)) return undefined;
  return placeAt(realpathSync(link));
}

export function preparePlace(dataDir: string, log: Log): EmbeddedPlace {
  mkdirSync(resolve(dataDir), { recursive: true, mode: 0o700 });
  const link = homeLink(dataDir);
  refuseLostHome(link);
  mkdirSync(link, { recursive: true, mode: 0o700 });
  const home = realpathSync(link);
  const user = serverUser(home);
  if (user === undefined) refuseForeignOwner(home);
  else giveHome(home, user);
  if (user === undefined || letThrough(dataDir, home, user)) return placeAt(home);
  return placeAt(moveElsewhere(dataDir, link, user, log));
}

/** The socket's folder: its owner is the only one who may enter, which is what the server's `trust` rests on. */
export function prepareSocketFolder(place: EmbeddedPlace): string {
  const name = `postlane-${createHash("sha256").update(place.home).digest("hex").slice(0, 16)}`;
  const inOrder = [join(place.home, "socket"), join(tmpdir(), name)];
  const folder = inOrder.find(fitsSocketPath) ?? join("/tmp", name);
  makePrivate(folder, place.runAs);
  return folder;
}

export function fitsSocketPath(folder: string): boolean {
  return Buffer.byteLength(join(folder, `.s.PGSQL.${SOCKET_PORT}`)) <= SOCKET_PATH_BYTES_MAX;
}

const homeLink = (dataDir: string): string => join(resolve(dataDir), "postgres");

function placeAt(home: string): EmbeddedPlace {
  const runAs = serverUser(home);
  return {
    home,
    data: join(home, "data"),
    logFolder: join(home, "log"),
    ...(runAs === undefined ? {} : { runAs }),
  };
}

function refuseLostHome(link: string): void {
  const isDangling = lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() === true && !existsSync(link);
  if (!isDangling) return;
  throw new PostgresRefused(
    "embedded_lost",
    `The embedded database of this data directory was kept elsewhere, and that folder is gone: see where ${link} ` +
      `points to. Bring it back from where it went or from a backup; or, to begin with an empty database, delete ${link}.`,
  );
}

function refuseForeignOwner(home: string): void {
  const owner = statSync(home).uid;
  if (owner === process.getuid?.()) return;
  throw new PostgresRefused(
    "embedded_foreign_owner",
    `${home} belongs to user ${owner}, and Postlane runs as user ${process.getuid?.()}. ` +
      `Run Postlane as that user or as root, or choose another data_dir.`,
  );
}

/** As root, whom the server runs as: who has the files already, else one of the two users that systems come with. */
function serverUser(home: string): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = statSync(home);
  if (uid !== 0) return { uid, gid };
  const user = lookUpUser("postgres") ?? lookUpUser("nobody");
  if (user !== undefined) return user;
  throw new PostgresRefused(
    "embedded_out_of_reach",
    "PostgreSQL does not run as root, and this machine has neither a user `postgres` nor `nobody` to run it as. " +
      "Run Postlane as an ordinary user, or set DATABASE_URL.",
  );
}

/** By `id`, which asks every name service, and not only /etc/passwd. */
function lookUpUser(name: string): ServerUser | undefined {
  const idOf = (flag: string): number => {
    const { stdout, status } = spawnSync("id", [flag, name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return status === 0 ? Number.parseInt(stdout, 10) : Number.NaN;
  };
  const user = { uid: idOf("-u"), gid: idOf("-g") };
  return Number.isInteger(user.uid) && Number.isInteger(user.gid) && user.uid !== 0 ? user : undefined;
}

function giveHome(home: string, user: ServerUser): void {
  chownSync(home, user.uid, user.gid);
  chmodSync(home, 0o700);
}

/**
 * True when the server's user reaches its folder. When only the data directory itself stands in the way, its group
 * becomes the server's and may pass (0710): pass, but neither list nor read what else is in there.
 */
function letThrough(dataDir: string, home: string, user: ServerUser): boolean {
  if (canEnter(home, user)) return true;
  const { uid, mode } = statSync(dataDir);
  if (uid !== 0 || (mode & 0o077) !== 0) return false;
  const groupBefore = statSync(dataDir).gid;
  chownSync(dataDir, 0, user.gid);
  chmodSync(dataDir, 0o710);
  if (canEnter(home, user)) return true;
  chownSync(dataDir, 0, groupBefore);
  chmodSync(dataDir, mode & 0o777);
  return false;
}

/** Really tried, as that user: mode bits alone do not tell (access lists, mounts). */
function canEnter(folder: string, { uid, gid }: ServerUser): boolean {
  const { status, error } = spawnSync("/bin/sh", ["-c", 'test -x "$1" && test -w "$1"', "sh", folder], {
    uid,
    gid,
    cwd: "/",
    stdio: "ignore",
  });
  if (error === undefined) return status === 0;
  throw new PostgresRefused(
    "embedded_out_of_reach",
    `PostgreSQL does not run as root, and becoming user ${uid} failed (${error.message}). ` +
      "Run Postlane as an ordinary user, or set DATABASE_URL.",
    { cause: error },
  );
}

function moveElsewhere(dataDir: string, link: string, user: ServerUser, log: Log): string {
  if (existsSync(join(link, "data")) || lstatSync(link).isSymbolicLink()) throw outOfReach(link, user);
  const home = makeElsewhere(dataDir);
  giveHome(home, user);
  if (!canEnter(home, user)) {
    rmSync(home, { recursive: true });
    throw outOfReach(link, user);
  }
  writeFileSync(join(home, "OWNER"), `The embedded PostgreSQL of the Postlane data directory ${resolve(dataDir)}\n`);
  if (!pointTo(link, home)) {
    rmSync(home, { recursive: true });
    return realpathSync(link);
  }
  log.warn("postgres.placed_elsewhere", { user: user.uid, data_dir: resolve(dataDir), folder: home });
  return home;
}

/** False when another start was faster. */
function pointTo(link: string, home: string): boolean {
  try {
    rmdirSync(link);
    symlinkSync(home, link);
    return true;
  } catch (cause) {
    if (lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() === true) return false;
    throw cause;
  }
}

/** What is temporary stays with the temporary files. */
function makeElsewhere(dataDir: string): string {
  const temporary = realpathSync(tmpdir());
  if ((realpathSync(dataDir) + sep).startsWith(temporary + sep)) return mkdtempSync(join(temporary, "postlane-"));
  mkdirSync(ELSEWHERE, { recursive: true, mode: 0o711 });
  chmodSync(ELSEWHERE, 0o711);
  return mkdtempSync(join(ELSEWHERE, "postgres-"));
}

function outOfReach(link: string, user: ServerUser): PostgresRefused {
  return new PostgresRefused(
    "embedded_out_of_reach",
    `PostgreSQL does not run as root, and user ${user.uid}, as whom it runs, cannot enter ${link}. ` +
      "Set data_dir to a folder that this user can reach, such as /var/lib/postlane; or run Postlane as an ordinary " +
      "user; or set DATABASE_URL.",
  );
}

/** In a shared temporary folder somebody may have been there first: what is not ours, and ours alone, is refused. */
function makePrivate(folder: string, runAs: ServerUser | undefined): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const owner = runAs?.uid ?? process.getuid?.();
  const { uid } = lstatSync(folder);
  if (runAs !== undefined && uid === 0 && lstatSync(folder).isDirectory()) chownSync(folder, runAs.uid, runAs.gid);
  const now = lstatSync(folder);
  if (now.isDirectory() && now.uid === owner && (now.mode & 0o077) === 0) return;
  throw new PostgresRefused(
    "embedded_socket_path",
    `${folder} is to hold the database's private socket, but it belongs to somebody else or others may enter it. ` +
      "Delete it, or set data_dir or TMPDIR to another path.",
  );
}
