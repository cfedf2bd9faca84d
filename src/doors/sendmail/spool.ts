// Where mail waits that Postlane did not take: a folder for each user, in it one file for each mail. A file is there whole
// and on the disk, or not at all: it is written under another name, fsynced, renamed, and the folder fsynced.
//
// The place that all users share is `drwxrws-wt root postlane` (3773): each makes a folder of its own in it, nobody sees
// the others', and the group `postlane`, which the folders inherit, may hand over what is in them. Whoever reads a file
// trusts neither folder nor name: it must be a plain file, once in the world, of the user whose folder it is.
//
// To hand a mail over, one claims it by a rename that only one can do. A claim ends by itself, longer after its beginning
// than any try takes; if two should have it all the same, the key in the mail keeps it one mail.

import { randomBytes } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import type { WholeMail } from "./submit-by-smtp.ts";

export interface SpoolLimits {
  readonly spoolMailsMax: number;
  readonly spoolBytesMax: number;
}

/** A mail that this process alone hands over, for `CLAIM_MS_MAX`. */
export interface ClaimedMail {
  readonly mail: WholeMail;
  /** It was taken. */
  remove(): void;
  /** It was not; another try may begin at once. */
  putBack(): void;
  /** Refused for good: it stays for people, and nobody tries it again. */
  setAside(): void;
}

/** Nothing was kept, and nothing half-kept is left. */
export class SpoolRefused extends Error {}

const SHARED_SPOOL = "/var/spool/postlane";
/** Longer than a try, however slow (`SUBMIT_MS_MAX` of a flush is a minute). */
const CLAIM_MS_MAX = 3 * 60_000;
/** What was begun that long ago was not finished: its writer was killed. */
const UNFINISHED_MS_MAX = 60 * 60_000;
/** Of the line in front of a mail: 1,000 recipients of 254 octets, and the rest. */
const ENVELOPE_OCTETS_MAX = 512 * 1024;

const WAITING = /^(\d{13}-[0-9a-f]{24})\.mail$/;
const CLAIMED = /^(\d{13}-[0-9a-f]{24})\.claimed-(\d{13})$/;
const UNFINISHED = /^unfinished-(\d{13})-[0-9a-f]{24}$/;

// ---- where -----------------------------------------------------------------------------------------------------------

/** The folder of this process's user, made if need be. Throws `SpoolRefused` when there is none to be had. */
export function openOwnFolder(named: string | undefined): string {
  const place = named ?? (mayWriteTo(SHARED_SPOOL) ? SHARED_SPOOL : homePlace());
  if (place === undefined) throw new SpoolRefused(`${SHARED_SPOOL} cannot be written, and there is no home`);
  const uid = ownUid();
  const folder = path.join(place, String(uid));
  try {
    // What the place's group may do, its folders inherit; others nothing.
    withUmask(0o007, () => {
      if (place !== SHARED_SPOOL) mkdirSync(place, { recursive: true, mode: 0o770 });
      mkdirSync(folder, { mode: 0o770 });
    });
    syncFolderIfReadable(place);
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw new SpoolRefused(`${folder} cannot be made: ${wordsOf(error)}`);
  }
  const status = lstatSync(folder, { throwIfNoEntry: false });
  if (status?.isDirectory() === true && status.uid === uid) return folder;
  throw new SpoolRefused(`${folder} is not a folder of this user's own`);
}

/** Undefined: this user has kept nothing. */
export function findOwnFolder(named: string | undefined): string | undefined {
  const places = named === undefined ? [SHARED_SPOOL, homePlace()] : [named];
  return places.flatMap((place) => (place === undefined ? [] : path.join(place, String(ownUid())))).find(isFolder);
}

/** Every user's, as far as this process may see them. */
export function foldersIn(place: string): readonly string[] {
  return readdirSync(place)
    .filter((name) => /^\d{1,10}$/.test(name))
    .map((name) => path.join(place, name))
    .filter(isFolder);
}

const ownUid = (): number => process.getuid?.() ?? 0;

/** Undefined: a user without a home, of a container say. */
function homePlace(): string | undefined {
  const state = process.env["XDG_STATE_HOME"];
  if (state?.startsWith("/") === true) return path.join(state, "postlane/spool");
  try {
    return path.join(homedir(), ".local/state/postlane/spool");
  } catch {
    return undefined;
  }
}

function mayWriteTo(place: string): boolean {
  try {
    accessSync(place, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What cannot be looked at is none of ours. */
function isFolder(folder: string): boolean {
  try {
    return lstatSync(folder).isDirectory();
  } catch {
    return false;
  }
}

// ---- keep ------------------------------------------------------------------------------------------------------------

/** On the disk when it returns; throws `SpoolRefused` when it is not. */
export function keepInSpool(folder: string, mail: WholeMail, { spoolMailsMax, spoolBytesMax }: SpoolLimits): void {
  const { octets, ...envelope } = mail;
  const content = Buffer.concat([Buffer.from(`${JSON.stringify(envelope)}\n`), octets]);
  const { mails, bytes } = measure(folder);
  if (mails >= spoolMailsMax) throw new SpoolRefused(`${folder} holds ${mails} mails (spool_mails_max)`);
  if (bytes + content.length > spoolBytesMax) {
    throw new SpoolRefused(`${folder} holds ${bytes} octets, and not ${content.length} more (spool_bytes_max)`);
  }
  const id = `${printTime(Date.now())}-${randomBytes(12).toString("hex")}`;
  const unfinished = path.join(folder, `unfinished-${id}`);
  try {
    // Whatever the caller's may be: with 077 the group could not hand it over.
    withUmask(0o027, () => writeDurably(unfinished, content));
    renameSync(unfinished, path.join(folder, `${id}.mail`));
    syncFolder(folder);
  } catch (error) {
    removeQuietly(unfinished);
    throw new SpoolRefused(`${folder}: ${wordsOf(error)}`);
  }
}

function measure(folder: string): { readonly mails: number; readonly bytes: number } {
  let mails = 0;
  let bytes = 0;
  for (const name of readdirSync(folder)) {
    mails++;
    bytes += lstatSync(path.join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return { mails, bytes };
}

function writeDurably(file: string, content: Buffer): void {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const handle = openSync(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o640);
  try {
    for (let at = 0; at < content.length;) at += writeSync(handle, content, at);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/**
 * Who may not list the shared place cannot fsync it either. The file systems that matter write a new folder's own name
 * with the first fsync in it.
 */
function syncFolderIfReadable(place: string): void {
  try {
    syncFolder(place);
  } catch (error) {
    if (codeOf(error) !== "EACCES") throw error;
  }
}

function withUmask<T>(mask: number, work: () => T): T {
  const before = process.umask(mask);
  try {
    return work();
  } finally {
    process.umask(before);
  }
}

// ---- hand over -------------------------------------------------------------------------------------------------------

/** Waiting mail of a folder, the oldest first. Ends claims that are over, and removes what was never finished. */
export function waitingIn(folder: string): readonly string[] {
  const now = Date.now();
  const waiting: string[] = [];
  for (const name of readdirSync(folder)) {
    const [, claimed, since] = CLAIMED.exec(name) ?? [];
    const [, begun] = UNFINISHED.exec(name) ?? [];
    const file = path.join(folder, name);
    if (WAITING.test(name)) waiting.push(name);
    else if (claimed !== undefined && Number(since) < now - CLAIM_MS_MAX) {
      if (renameQuietly(file, path.join(folder, `${claimed}.mail`))) waiting.push(`${claimed}.mail`);
    } else if (begun !== undefined && Number(begun) < now - UNFINISHED_MS_MAX) removeQuietly(file);
  }
  return waiting.toSorted();
}

export type Claim =
  | { readonly kind: "claimed"; readonly claimed: ClaimedMail }
  /** Another has it, or had it. */
  | { readonly kind: "gone" }
  /** No mail that may be sent; it is set aside. */
  | { readonly kind: "bad"; readonly problem: string };

export function claimMail(folder: string, name: string, bytesMax: number): Claim {
  const id = WAITING.exec(name)?.[1];
  const waiting = path.join(folder, name);
  const claimed = path.join(folder, `${id}.claimed-${printTime(Date.now())}`);
  if (id === undefined || !renameQuietly(waiting, claimed)) return { kind: "gone" };
  const setAside = (): void => void renameQuietly(claimed, path.join(folder, `${id}.refused`));
  try {
    const mail = readMailFile(claimed, Number(path.basename(folder)), bytesMax);
    const remove = (): void => removeQuietly(claimed);
    const putBack = (): void => void renameQuietly(claimed, waiting);
    return { kind: "claimed", claimed: { mail, remove, putBack, setAside } };
  } catch (error) {
    setAside();
    return { kind: "bad", problem: wordsOf(error) };
  }
}

function readMailFile(file: string, ownerUid: number, bytesMax: number): WholeMail {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    const status = fstatSync(handle);
    if (!status.isFile() || status.nlink !== 1 || status.uid !== ownerUid) throw new Error("not a mail of that user");
    if (status.size > bytesMax + ENVELOPE_OCTETS_MAX) throw new Error(`larger than ${bytesMax} octets`);
    return parseMailFile(readFileSync(handle));
  } finally {
    closeSync(handle);
  }
}

function parseMailFile(content: Buffer): WholeMail {
  const end = content.indexOf("\n");
  const given: unknown = JSON.parse(content.toString("utf8", 0, Math.max(end, 0)));
  if (!isEnvelope(given)) throw new Error("it has no envelope");
  const octets = content.subarray(end + 1);
  if (/\r(?!\n)|(?<!\r)\n|\0/.test(octets.toString("latin1"))) throw new Error("its lines do not end by CRLF");
  return { ...given, octets };
}

function isEnvelope(given: unknown): given is Omit<WholeMail, "octets"> {
  if (typeof given !== "object" || given === null) return false;
  const { sender, recipients, ret, envid, notify } = given as Readonly<Record<string, unknown>>;
  return (
    isWord(sender) &&
    Array.isArray(recipients) &&
    recipients.length > 0 &&
    recipients.every(isWord) &&
    (ret === undefined || ret === "FULL" || ret === "HDRS") &&
    (envid === undefined || typeof envid === "string") &&
    (notify === undefined || isWord(notify))
  );
}

/** What may stand in an SMTP command, and nothing that ends one. */
const isWord = (value: unknown): boolean => typeof value === "string" && !/[\p{Cc} <>]/u.test(value);

/** Thirteen digits until the year 2286, so that names sort by time. */
const printTime = (ms: number): string => String(Math.round(ms)).padStart(13, "0");

/** False: it is not there, or not ours. */
function renameQuietly(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch {
    return false;
  }
}

function removeQuietly(file: string): void {
  try {
    unlinkSync(file);
  } catch {
    // It is gone already, or the disk says no: what is left is tried again, and known by its key.
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
