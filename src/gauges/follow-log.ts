// Follows a relay's log file line by line: from a position that was kept, through rotation (renamed and made anew) and
// truncation (copied and emptied). A line counts once its end is there; one that is too long is skipped. What it reads
// at a time is bounded, and nothing is read ahead of its caller: the file itself is the buffer while the database is
// away. It says when lines may have been missed, and never guesses: then `continuous_since` starts anew.

import { open, readdir, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../platform/clock.ts";
import { TAIL_BYTES_MAX, tailOf, type LogPosition } from "./log-position.ts";

/** What one step may read: at most about 900 deliveries, which are one transaction. */
export const STEP_BYTES_MAX = 96 * 1024;
/** Postfix's own lines end at 2 KB or so. */
export const LINE_BYTES_MAX = 16 * 1024;
/** A log that is met for the first time is read from its begin up to this size, else from its end. */
const FIRST_BYTES_MAX = 16 * 2 ** 20;
/** What is read again at the start, to know queue ids and sessions of before. */
const HISTORY_BYTES_MAX = 16 * 2 ** 20;
/** The old file must be quiet for so long before the new one is begun: a reload takes that long to reach its writer. */
const ROTATION_QUIET_MS = 1000;
/** Whoever still writes to the old file after this has been left behind by the rotation, for good. */
const ROTATION_MS_MAX = 60_000;

export interface LogStep {
  readonly lines: readonly string[];
  /** Where these lines end, and since when none was missed; the caller numbers it. */
  readonly place: LogPlace;
  /**
   * There may be more at once; or nothing came, but the file was renamed, and its writer may not know it yet; or there
   * was nothing more to read.
   */
  readonly comes: "more" | "rotating" | "at end";
  /** Lines before these may have been missed: why. */
  readonly missed?: string;
}

export type LogPlace = Omit<LogPosition, "number" | "continuous_since">;

export interface LogFollower {
  /** Undefined: there is no such file yet. */
  step(): Promise<LogStep | undefined>;
  close(): Promise<void>;
}

export interface LogStart {
  readonly follower: LogFollower;
  /** The kept position was found again, so no line is missed. Else why not. */
  readonly begins: "where it stood" | "anew";
  readonly why?: string;
}

interface OpenLog {
  readonly handle: FileHandle;
  readonly inode: string;
  offset: number;
  /** The octets before the offset. */
  tail: Buffer;
  skipsLine: boolean;
}

/**
 * `onHistory` hears the lines before the place where it begins, 16 MB of them at most: for whoever has to know what was
 * before.
 */
export async function startFollowing(
  file: string,
  kept: LogPlace | undefined,
  clock: Pick<Clock, "monotonicMs">,
  onHistory: (line: string) => void,
): Promise<LogStart> {
  const found = kept === undefined ? undefined : await findAgain(file, kept);
  const log = found ?? (await openAnew(file, kept === undefined));
  if (log !== undefined) await readHistory(log, onHistory);
  const follower = createFollower(file, log, clock);
  if (found !== undefined) return { follower, begins: "where it stood" };
  const why = kept === undefined ? "it was never followed before" : "the place in it was not found again";
  return { follower, begins: "anew", why };
}

// ---- one step at a time ----------------------------------------------------------------------------------------------

function createFollower(file: string, first: OpenLog | undefined, clock: Pick<Clock, "monotonicMs">): LogFollower {
  let log = first;
  /** Since when there is another file under the name, and since when the old one is quiet. */
  let rotation: { readonly seenAtMs: number; quietSinceMs: number } | undefined;
  const buffer = Buffer.allocUnsafe(TAIL_BYTES_MAX + STEP_BYTES_MAX);

  const moveOn = async (from: OpenLog): Promise<LogStep> => {
    const next = await nextFile(file, from);
    await from.handle.close();
    log = next.log;
    rotation = undefined;
    const missed = next.isNeighbour ? {} : { missed: "a file of the log is gone or compressed" };
    return { lines: [], place: placeOf(log), comes: "more", ...missed };
  };
  const look = async (open: OpenLog): Promise<LogStep> => {
    const nowMs = clock.monotonicMs();
    const current = await inodeOf(file);
    if (current === undefined || current === open.inode) {
      rotation = undefined;
      return { lines: [], place: placeOf(open), comes: "at end" };
    }
    rotation ??= { seenAtMs: nowMs, quietSinceMs: nowMs };
    if (nowMs - rotation.quietSinceMs >= ROTATION_QUIET_MS) return await moveOn(open);
    return { lines: [], place: placeOf(open), comes: "rotating" };
  };

  return {
    async step() {
      log ??= await openAt(file, 0);
      if (log === undefined) return undefined;
      const read = await readLines(log, buffer);
      if (read.missed !== undefined)
        return { lines: read.lines, missed: read.missed, place: placeOf(log), comes: "more" };
      if (read.isQuiet) return await look(log);
      if (rotation !== undefined) {
        rotation.quietSinceMs = clock.monotonicMs();
        const isLeft = clock.monotonicMs() - rotation.seenAtMs >= ROTATION_MS_MAX;
        if (isLeft)
          return { ...(await moveOn(log)), lines: read.lines, missed: "the log was rotated, and its writer not told" };
      }
      return { lines: read.lines, place: placeOf(log), comes: "more" };
    },
    async close() {
      await log?.handle.close();
      log = undefined;
    },
  };
}

interface ReadLines {
  readonly lines: readonly string[];
  /** Nothing was there, or no whole line. */
  readonly isQuiet: boolean;
  readonly missed?: string;
}

/** Reads the tail again with what follows it: when it is another, the file was emptied and has grown past the place. */
async function readLines(log: OpenLog, buffer: Buffer): Promise<ReadLines> {
  const { bytesRead } = await log.handle.read(buffer, 0, buffer.length, log.offset - log.tail.length);
  const isSame = bytesRead >= log.tail.length && log.tail.equals(buffer.subarray(0, log.tail.length));
  if (!isSame) {
    log.offset = 0;
    log.tail = Buffer.alloc(0);
    log.skipsLine = false;
    return { lines: [], isQuiet: false, missed: "the log was emptied" };
  }
  const fresh = buffer.subarray(log.tail.length, bytesRead);
  const { lines, bytes, skipsLine } = splitLines(fresh, log.skipsLine);
  const upTo = log.tail.length + bytes;
  log.tail = Buffer.from(buffer.subarray(Math.max(0, upTo - TAIL_BYTES_MAX), upTo));
  log.offset += bytes;
  log.skipsLine = skipsLine;
  return { lines, isQuiet: bytes === 0 };
}

export interface SplitLines {
  readonly lines: readonly string[];
  /** How much of it is used up. */
  readonly bytes: number;
  readonly skipsLine: boolean;
}

const NEWLINE = 0x0a;

/** Whole lines without their end; `skipsLine`: the octets begin within a line that is too long. */
export function splitLines(octets: Buffer, skipsLine: boolean): SplitLines {
  const lines: string[] = [];
  let begin = 0;
  let skips = skipsLine;
  for (let end = octets.indexOf(NEWLINE); end !== -1; end = octets.indexOf(NEWLINE, begin)) {
    if (!skips && end - begin <= LINE_BYTES_MAX) lines.push(octets.toString("utf8", begin, end));
    skips = false;
    begin = end + 1;
  }
  const isTooLong = skips || octets.length - begin > LINE_BYTES_MAX;
  return isTooLong ? { lines, bytes: octets.length, skipsLine: true } : { lines, bytes: begin, skipsLine: false };
}

function placeOf({ inode, offset, tail, skipsLine }: OpenLog): LogPlace {
  return { inode, offset, tail: tailOf(tail), ...(skipsLine ? { skips_line: true } : {}) };
}

// ---- files -----------------------------------------------------------------------------------------------------------

async function openAt(file: string, offset: number | "end"): Promise<OpenLog | undefined> {
  const handle = await open(file, "r").catch(undefinedIfMissing);
  if (handle === undefined) return undefined;
  const { ino, size } = await handle.stat({ bigint: true });
  const at = offset === "end" ? Number(size) : offset;
  return { handle, inode: String(ino), offset: at, tail: await readTail(handle, at), skipsLine: false };
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT") return undefined;
  throw error;
}

async function readTail(handle: FileHandle, offset: number): Promise<Buffer> {
  const tail = Buffer.alloc(Math.min(TAIL_BYTES_MAX, offset));
  const { bytesRead } = await handle.read(tail, 0, tail.length, offset - tail.length);
  return tail.subarray(0, bytesRead);
}

async function inodeOf(file: string): Promise<string | undefined> {
  const status = await stat(file, { bigint: true }).catch(undefinedIfMissing);
  return status === undefined ? undefined : String(status.ino);
}

/** A first start begins at the end of a large log, in the midst of whose last line it may find itself. */
async function openAnew(file: string, isFirst: boolean): Promise<OpenLog | undefined> {
  const log = await openAt(file, 0);
  if (log === undefined || !isFirst) return log;
  const { size } = await log.handle.stat();
  if (size < FIRST_BYTES_MAX) return log;
  await log.handle.close();
  const atEnd = await openAt(file, "end");
  if (atEnd !== undefined) atEnd.skipsLine = atEnd.tail.at(-1) !== NEWLINE;
  return atEnd;
}

/** The file of the position, be it renamed meanwhile, if it still reads the same before that place. */
async function findAgain(file: string, kept: LogPlace): Promise<OpenLog | undefined> {
  for (const { name } of (await listFamily(file)).filter(({ inode, isPlain }) => inode === kept.inode && isPlain)) {
    const log = await openAt(name, kept.offset);
    if (log === undefined) continue;
    if (tailOf(log.tail) === kept.tail) return Object.assign(log, { skipsLine: kept.skips_line === true });
    await log.handle.close();
  }
  return undefined;
}

interface Sibling {
  readonly name: string;
  readonly inode: string;
  readonly changedAtMs: number;
  /** Not compressed. */
  readonly isPlain: boolean;
}

const COMPRESSED = /\.(?:gz|bz2|xz|zst|lz4|Z)$/;
/** A folder of logs has some dozens. */
const SIBLINGS_MAX = 1000;

/** The log and what it was renamed to (`maillog`, `maillog.1`, `maillog.20261126-170000.gz`), the oldest first. */
async function listFamily(file: string): Promise<readonly Sibling[]> {
  const folder = path.dirname(file);
  const base = path.basename(file);
  const names = (await readdir(folder).catch(() => [])).filter((name) => name === base || name.startsWith(`${base}.`));
  const siblings = await Promise.all(
    names.slice(0, SIBLINGS_MAX).map(async (entry): Promise<readonly Sibling[]> => {
      const name = path.join(folder, entry);
      const status = await stat(name, { bigint: true }).catch(() => undefined);
      if (status === undefined || !status.isFile()) return [];
      const changedAtMs = Number(status.mtimeNs) / 1e6;
      return [{ name, inode: String(status.ino), changedAtMs, isPlain: !COMPRESSED.test(entry) }];
    }),
  );
  return siblings.flat().toSorted((one, other) => one.changedAtMs - other.changedAtMs);
}

interface NextFile {
  readonly log: OpenLog;
  /** No file lies between, so no line is missed. */
  readonly isNeighbour: boolean;
}

/** The next younger file; the one under the log's own name is the youngest. A compressed copy keeps its time. */
async function nextFile(file: string, from: OpenLog): Promise<NextFile> {
  const fromAtMs = Number((await from.handle.stat({ bigint: true })).mtimeNs) / 1e6;
  const family = (await listFamily(file)).filter(({ inode }) => inode !== from.inode);
  const younger = family.filter(({ name, changedAtMs }) => name !== file && changedAtMs > fromAtMs);
  const next = younger.find(({ isPlain }) => isPlain)?.name ?? file;
  const log = await openAt(next, 0);
  if (log === undefined) throw new Error(`${next} went away while it was opened`);
  return { log, isNeighbour: (younger[0]?.name ?? file) === next };
}

async function readHistory(log: OpenLog, onLine: (line: string) => void): Promise<void> {
  const begin = Math.max(0, log.offset - HISTORY_BYTES_MAX);
  let offset = begin;
  // In the midst of a line, unless it is the file's begin.
  let skipsLine = begin > 0;
  const buffer = Buffer.allocUnsafe(STEP_BYTES_MAX);
  while (offset < log.offset) {
    const { bytesRead } = await log.handle.read(buffer, 0, Math.min(buffer.length, log.offset - offset), offset);
    const split = splitLines(buffer.subarray(0, bytesRead), skipsLine);
    if (split.bytes === 0) return;
    for (const line of split.lines) onLine(line);
    offset += split.bytes;
    skipsLine = split.skipsLine;
  }
}
