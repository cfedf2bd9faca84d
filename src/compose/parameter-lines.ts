// One parameter of a MIME header, as the lines it takes: `filename="a.pdf"`, or in the form of RFC 2231 what that cannot
// say: any script, and values too long for one line, in numbered pieces. A character is never split between two pieces,
// since readers decode each by itself. Knows nothing of what a value means; controls must have been refused before.

import { wellFormed } from "./encoded-words.ts";
import { looksEncoded } from "./header-line.ts";

/** Without the semicolons between them. */
export function parameterLines(name: string, value: string): readonly string[] {
  return isPlain(value) ? [`${name}="${value}"`] : extendedLines(name, wellFormed(value));
}

/** It needs no more than quotes. */
export function isPlain(value: string): boolean {
  return value.length <= PLAIN_CHARS_MAX && PLAIN.test(value) && !looksEncoded(value);
}

/** What comes nearest in ASCII: accents go, all else becomes `_`; a long value keeps its end, which is a file's extension. */
export function plainOf(value: string): string {
  const ascii = value
    .normalize("NFKD")
    .replaceAll(/\p{M}/gu, "")
    .replaceAll(/=\?|[^ !#-[\]-~]/gu, "_")
    .trim()
    .replaceAll(/ {2,}/g, " ");
  if (ascii.length <= PLAIN_CHARS_MAX) return ascii === "" ? "_" : ascii;
  return `${ascii.slice(0, PLAIN_CHARS_MAX - END_CHARS).trimEnd()}${ascii.slice(-END_CHARS).trimStart()}`;
}

const END_CHARS = 10;
/** With its name, quotes and a semicolon such a value stands in a line of 78. */
const PLAIN_CHARS_MAX = 60;
/** What stands in quotes as it is, words with one space between: other white space would not survive every reader. */
const PLAIN = /^[!#-[\]-~]+(?: [!#-[\]-~]+)*$/;
const LINE_OCTETS_WANTED = 78;
/** RFC 2231 §7: what may stand for itself. */
const ATTRIBUTE_CHAR = /[A-Za-z0-9!#$&+.^_`{|}~-]/;
const CHARSET = "UTF-8''";

function extendedLines(name: string, value: string): readonly string[] {
  const pieces = cutPieces(value, LINE_OCTETS_WANTED - name.length - FRAME);
  if (pieces.length === 1) return [`${name}*=${pieces[0]}`];
  return pieces.map((piece, place) => `${name}*${place}*=${piece}`);
}

/** A space, `*99*=` and a semicolon. */
const FRAME = 7;

function cutPieces(value: string, room: number): readonly string[] {
  const pieces: string[] = [];
  let piece = CHARSET;
  for (const character of value) {
    const encoded = encodeCharacter(character);
    if (piece.length + encoded.length > room) {
      pieces.push(piece);
      piece = "";
    }
    piece += encoded;
  }
  return [...pieces, piece];
}

function encodeCharacter(character: string): string {
  if (ATTRIBUTE_CHAR.test(character)) return character;
  let out = "";
  for (const octet of Buffer.from(character)) out += `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  return out;
}
