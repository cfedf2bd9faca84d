// Reads the content of one mail from whatever pieces the network makes of it: takes the dots of RFC 5321 §4.5.2 out,
// finds the end, which is CR LF . CR LF and nothing else, and notices what must not be in a mail: a bare CR, a bare LF,
// a NUL. Such a mail is read to its end and refused as a whole, never mended: whoever mends it decides where a mail
// ends, and others decide differently (SMTP smuggling).
//
// Memory is bounded: a mail that is at fault, too large or too much for now is read on and forgotten.

export type ContentFault = "bare_cr" | "bare_lf" | "nul" | "too_large" | "no_room";

export type ContentRead =
  | { readonly kind: "whole"; readonly content: Buffer }
  | { readonly kind: "faulty"; readonly fault: ContentFault };

/** Of all mails that are being read at once. */
export interface ReadingRoom {
  /** False: there is no more. */
  claim(bytes: number): boolean;
  release(bytes: number): void;
}

export function createReadingRoom(bytesMax: number): ReadingRoom {
  let claimed = 0;
  return {
    claim(bytes) {
      if (claimed + bytes > bytesMax) return false;
      claimed += bytes;
      return true;
    },
    release(bytes) {
      claimed -= bytes;
    },
  };
}

const NUL = 0;
const LF = 10;
const CR = 13;
const DOT = 46;

/** What the octets so far lead to; the first is also that of a content without any. */
const LINE_START = 0;
const TEXT = 1;
const AFTER_CR = 2;
/** A dot at the start of a line, which is no content whatever follows. */
const AFTER_DOT = 3;
const AFTER_DOT_CR = 4;
type Place = 0 | 1 | 2 | 3 | 4;

/** Most mails are smaller; it doubles as needed. */
const FIRST_BYTES = 4096;

export class ContentReader {
  readonly #room: ReadingRoom;
  readonly #bytesMax: number;
  #place: Place = LINE_START;
  #kept: Buffer = Buffer.alloc(0);
  #bytes = 0;
  #fault: ContentFault | undefined;

  constructor(room: ReadingRoom, bytesMax: number) {
    this.#room = room;
    this.#bytesMax = bytesMax;
  }

  /** How many octets of the piece belong to this mail once it has ended; undefined: it goes on. */
  feed(piece: Buffer): number | undefined {
    let from = 0;
    for (let at = 0; at < piece.length; at++) {
      const octet = piece[at]!;
      if (this.#place === TEXT && octet > CR) continue;
      if (this.#place === LINE_START && octet === DOT) {
        this.#keep(piece, from, at);
        from = at + 1;
        this.#place = AFTER_DOT;
      } else if (this.#place === AFTER_DOT && octet === CR) {
        from = at + 1;
        this.#place = AFTER_DOT_CR;
      } else if (this.#place === AFTER_DOT_CR && octet === LF) {
        return at + 1;
      } else {
        this.#place = this.#placeAfter(octet);
      }
    }
    this.#keep(piece, from, piece.length);
    return undefined;
  }

  /** What was read. Its memory is the caller's until `drop`. */
  end(): ContentRead {
    if (this.#fault !== undefined) return { kind: "faulty", fault: this.#fault };
    return { kind: "whole", content: this.#kept.subarray(0, this.#bytes) };
  }

  /** Gives the room back; may be called twice. */
  drop(): void {
    this.#room.release(this.#kept.length);
    this.#kept = Buffer.alloc(0);
    this.#bytes = 0;
  }

  #placeAfter(octet: number): Place {
    const isAfterCr = this.#place === AFTER_CR || this.#place === AFTER_DOT_CR;
    if (octet === LF && this.#place === AFTER_CR) return LINE_START;
    if (isAfterCr) this.#refuse("bare_cr");
    if (octet === LF) this.#refuse("bare_lf");
    if (octet === NUL) this.#refuse("nul");
    return octet === CR ? AFTER_CR : TEXT;
  }

  #keep(piece: Buffer, from: number, to: number): void {
    if (this.#fault !== undefined || from >= to) return;
    const needed = this.#bytes + to - from;
    if (needed > this.#bytesMax) this.#refuse("too_large");
    else if (needed > this.#kept.length && !this.#grow(needed)) this.#refuse("no_room");
    else this.#bytes += piece.copy(this.#kept, this.#bytes, from, to);
  }

  /** By doubling: each octet is copied a few times, however small the pieces. */
  #grow(needed: number): boolean {
    const size = Math.min(this.#bytesMax, Math.max(needed, FIRST_BYTES, this.#kept.length * 2));
    if (!this.#room.claim(size - this.#kept.length)) return false;
    const grown = Buffer.allocUnsafe(size);
    this.#kept.copy(grown, 0, 0, this.#bytes);
    this.#kept = grown;
    return true;
  }

  /** The first one is told. */
  #refuse(fault: ContentFault): void {
    this.#fault ??= fault;
    this.drop();
  }
}
