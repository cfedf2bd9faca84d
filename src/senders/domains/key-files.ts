// DKIM keys that the configuration names as files (PEM): made elsewhere, in use by another server too, or kept out of the
// database. They sign from the start: whoever names one says that its record is published. Read once.

import { readFileSync, statSync } from "node:fs";
import { readKeyPair, type DkimKeyPair } from "./dkim-key-pair.ts";

export interface KeyFile {
  readonly domain: string;
  readonly selector: string;
  /** Absolute. */
  readonly file: string;
}

export interface KeyFromFile extends KeyFile, DkimKeyPair {}

export class KeyFileUnreadable extends Error {
  readonly code = "dkim_key_file";

  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.name = "KeyFileUnreadable";
  }
}

/** A longer file is something else. */
const FILE_OCTETS_MAX = 64 * 1024;

/** Throws with the file and what to do. */
export function readKeyFiles(files: readonly KeyFile[]): readonly KeyFromFile[] {
  return files.map((each) => ({ ...each, ...readKeyFile(each) }));
}

function readKeyFile({ file, domain, selector }: KeyFile): DkimKeyPair {
  try {
    if (statSync(file).size > FILE_OCTETS_MAX) throw new Error(`it is longer than ${FILE_OCTETS_MAX} octets`);
    return readKeyPair({ pem: readFileSync(file, "utf8") });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === undefined || code.startsWith("ERR_OSSL") ? message : code;
    throw new KeyFileUnreadable(
      `The DKIM key ${selector} of ${domain} cannot be read from ${file} (${reason}): expected a private key in PEM without a passphrase, RSA or Ed25519, that the user whom Postlane runs as may read.`,
      error,
    );
  }
}
