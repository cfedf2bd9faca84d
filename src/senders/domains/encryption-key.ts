// The key that private keys are sealed under: from the configuration, from a file that it names, or from a file in the data
// directory that is made once, when the first key is made. A file that is there is never written over. The key is read
// when it is needed, since most processes never do, and may not be allowed to.

import { randomBytes } from "node:crypto";
import {
  chownSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { parseEncryptionKey } from "../../platform/encryption-key-text.ts";
import { ENCRYPTION_KEY_OCTETS, type EncryptionKey } from "./seal-key.ts";

/** Where the configuration says that it is. */
export type EncryptionKeyPlace =
  | { readonly kind: "given"; readonly text: string }
  /** `isNamed` false: the one in the data directory, which may be made. */
  | { readonly kind: "file"; readonly file: string; readonly isNamed: boolean };

export class EncryptionKeyProblem extends Error {
  readonly code = "encryption_key";
  readonly isMissing: boolean;

  constructor(message: string, isMissing = false) {
    super(message);
    this.name = "EncryptionKeyProblem";
    this.isMissing = isMissing;
  }
}

/** Throws what is wrong with it, and what to do. */
export function readEncryptionKey(place: EncryptionKeyPlace): EncryptionKey {
  if (place.kind === "given") return { secret: secretOf(place.text, GIVEN), origin: GIVEN };
  return { secret: secretOf(readText(place), place.file), origin: place.file };
}

const GIVEN = "dkim.encryption_key";

export interface MadeEncryptionKey {
  readonly key: EncryptionKey;
  readonly wasMade: boolean;
}

/** Makes the file of the data directory if it is not there; one that the configuration names is somebody else's. */
export function readOrMakeEncryptionKey(place: EncryptionKeyPlace): MadeEncryptionKey {
  try {
    return { key: readEncryptionKey(place), wasMade: false };
  } catch (error) {
    const mayMake = place.kind === "file" && !place.isNamed && error instanceof EncryptionKeyProblem && error.isMissing;
    if (!mayMake) throw error;
    const wasMade = makeFile(place.file);
    return { key: readEncryptionKey(place), wasMade };
  }
}

/** Whether others than its owner and its group may read it. */
export function isReadableByOthers(place: EncryptionKeyPlace): boolean {
  if (place.kind === "given") return false;
  const stats = statSync(place.file, { throwIfNoEntry: false });
  return stats !== undefined && (stats.mode & 0o004) !== 0;
}

/**
 * Whole or not at all, and on the disk before anything is sealed under it: a key that is lost in a power cut takes all
 * that it sealed along. False: somebody else has made one meanwhile.
 */
function makeFile(file: string): boolean {
  const folder = path.dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}.new`;
  writeSynced(draft, `${randomBytes(ENCRYPTION_KEY_OCTETS).toString("base64")}\n`);
  giveToOwner(path.dirname(folder), [folder, draft]);
  try {
    linkSync(draft, file);
    syncFolder(folder);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    unlinkSync(draft);
  }
}

/** What root makes for the service must be the service's: the data directory tells whose that is. */
function giveToOwner(dataDir: string, made: readonly string[]): void {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = statSync(dataDir);
  for (const each of made) chownSync(each, uid, gid);
}

function writeSynced(file: string, text: string): void {
  const descriptor = openSync(file, "wx", 0o600);
  writeSync(descriptor, text);
  fsyncSync(descriptor);
  closeSync(descriptor);
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  fsyncSync(descriptor);
  closeSync(descriptor);
}

/** A longer file is something else. */
const FILE_OCTETS_MAX = 4096;

function readText({ file, isNamed }: Extract<EncryptionKeyPlace, { readonly kind: "file" }>): string {
  try {
    const { size } = statSync(file);
    if (size > FILE_OCTETS_MAX) throw new EncryptionKeyProblem(`${file} has ${size} octets: it is no encryption key.`);
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof EncryptionKeyProblem) throw error;
    const { code = String(error) } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "ENOTDIR") {
      throw new EncryptionKeyProblem(
        `${file}, with the key that DKIM keys are sealed under, cannot be read (${code}): let the user whom Postlane runs as read it.`,
      );
    }
    throw new EncryptionKeyProblem(isNamed ? howToMake(file) : howToBring(file), true);
  }
}

function howToMake(file: string): string {
  return `${file}, named by dkim.encryption_key_file, is not there. Make it once: (umask 077; openssl rand -base64 32 > ${file}), and keep a copy where the passwords are.`;
}

function howToBring(file: string): string {
  return `The key that DKIM keys are sealed under is not on this machine: copy ${file} from where \`postlane domain add\` was run, or set dkim.encryption_key_file.`;
}

function secretOf(text: string, origin: string): Buffer {
  const secret = parseEncryptionKey(text.trim());
  if (secret !== undefined) return secret;
  throw new EncryptionKeyProblem(
    `There is no encryption key in ${origin}: it is ${ENCRYPTION_KEY_OCTETS} random octets in base64, as \`openssl rand -base64 32\` prints them.`,
  );
}
