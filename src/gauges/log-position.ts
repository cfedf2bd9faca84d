// How far a relay's log has been followed, as it is kept in the database: which file, up to which octet, and the octets
// before it, by which a file is known again when its inode was given to another one, or it was emptied and has grown
// past the old place.

import { createHash } from "node:crypto";

export interface LogPosition {
  /** Counts up with each step, so that a step whose COMMIT was not confirmed is not taken twice. */
  readonly number: number;
  readonly inode: string;
  readonly offset: number;
  /** Of the `TAIL_BYTES_MAX` octets before the offset, or of as many as there are. */
  readonly tail: string;
  /** No line was missed since then, by the clock of the relay's machine. */
  readonly continuous_since: string;
  /** The offset lies within a line that is too long; its rest is no line. */
  readonly skips_line?: true;
}

export const TAIL_BYTES_MAX = 256;

export function tailOf(octets: Uint8Array): string {
  return createHash("sha256").update(octets).digest("hex").slice(0, TAIL_DIGITS);
}

/** 64 bits tell two ends of a log apart. */
const TAIL_DIGITS = 16;
