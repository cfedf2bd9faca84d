// Quoted-printable (RFC 2045 §6.7), whole or in chunks that can be put behind one another. A chunk knows how its first
// and last lines stand, so that joining needs no second look at its text: a soft break goes between two chunks only
// where their common line would get too long, or where a space would stand at the end of a line.
// Takes text with LF line breaks and no lone surrogates. Leading dots are left to the SMTP client, which stuffs them.

/** A piece of quoted-printable text, broken as if it started in column 0. */
export interface Chunk {
  readonly text: string;
  /** Octets of its first line, without a soft break's `=`. */
  readonly head: number;
  /** Octets of its last line; undefined when the first line is the last. */
  readonly tail: number | undefined;
  /** It opens with a line break of the text itself. */
  readonly startsWithBreak: boolean;
  /** It ends in a space or tab, which must not come to stand at the end of a line. */
  readonly endsBlank: boolean;
}

/** Where a text under construction stands. */
export interface JoinState {
  column: number;
  endsBlank: boolean;
}

export const SOFT_BREAK = "=\r\n";

/** Octets of a line without its soft break; with it the line has the 76 that RFC 2045 §6.7 (5) allows. */
export const QP_LINE_MAX = 75;

/** Printable ASCII that stands for itself, whatever is around it, if the line has room and does not end after it. */
export const QP_PLAIN = /^[ -<>-~]*$/;

export function encodeQuotedPrintable(text: string): string {
  const chunk = encodeChunk(text);
  return chunk.endsBlank ? `${chunk.text}${SOFT_BREAK}` : chunk.text;
}

export function encodeChunk(text: string): Chunk {
  return text.includes("\n") ? chunkOf(encodeLines(text)) : chunkOf(encodeLine(text, false));
}

/** What must stand between the text so far and the chunk: a soft break or nothing. Moves the state behind the chunk. */
export function join(state: JoinState, chunk: Chunk): "" | typeof SOFT_BREAK {
  if (chunk.text === "") return "";
  const isBroken = state.column + chunk.head > QP_LINE_MAX || (state.endsBlank && chunk.startsWithBreak);
  state.column = chunk.tail ?? (isBroken ? 0 : state.column) + chunk.head;
  state.endsBlank = chunk.endsBlank;
  return isBroken ? SOFT_BREAK : "";
}

export function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

const OF_OCTET = Array.from({ length: 256 }, (_, octet) => `=${octet.toString(16).toUpperCase().padStart(2, "0")}`);

function encodeLines(text: string): string {
  const lines = text.split("\n");
  const last = lines.length - 1;
  return lines.map((line, index) => encodeLine(line, index < last)).join("\r\n");
}

function chunkOf(encoded: string): Chunk {
  const firstBreak = encoded.indexOf("\r\n");
  return {
    text: encoded,
    head: firstBreak < 0 ? encoded.length : firstBreak - (encoded[firstBreak - 1] === "=" ? 1 : 0),
    tail: firstBreak < 0 ? undefined : encoded.length - encoded.lastIndexOf("\r\n") - 2,
    startsWithBreak: firstBreak === 0,
    endsBlank: isBlank(encoded.charCodeAt(encoded.length - 1)),
  };
}

/** Characters that stand for themselves are copied in runs: a link has one `=` and many others. */
function encodeLine(line: string, endsHard: boolean): string {
  if (line.length <= QP_LINE_MAX && QP_PLAIN.test(line) && !(endsHard && line.endsWith(" "))) return line;
  let out = "";
  let column = 0;
  let runStart = 0;
  for (let index = 0; index < line.length; index++) {
    const isPlain = isPlainCode(line.charCodeAt(index), endsHard && index === line.length - 1);
    const code = isPlain ? 0 : line.codePointAt(index)!;
    const unit = isPlain ? "" : octetsOf(code);
    const width = isPlain ? 1 : unit.length;
    if (column + width > QP_LINE_MAX) {
      out += line.slice(runStart, index) + SOFT_BREAK;
      runStart = index;
      column = 0;
    }
    column += width;
    if (isPlain) continue;
    out += line.slice(runStart, index) + unit;
    if (code > 0xffff) index++;
    runStart = index + 1;
  }
  return out + line.slice(runStart);
}

/** RFC 2045 §6.7 (3): white space at the end of a line is encoded. */
function isPlainCode(code: number, isLineEnd: boolean): boolean {
  if (isBlank(code)) return !isLineEnd;
  return code > 0x20 && code < 0x7f && code !== 0x3d;
}

/** The octets of a character, in UTF-8, by hand: a Buffer for every character of every name would cost far more. */
function octetsOf(code: number): string {
  if (code < 0x80) return OF_OCTET[code]!;
  const last = OF_OCTET[0x80 | (code & 0x3f)]!;
  if (code < 0x800) return OF_OCTET[0xc0 | (code >> 6)]! + last;
  const third = OF_OCTET[0x80 | ((code >> 6) & 0x3f)]! + last;
  if (code < 0x10000) return OF_OCTET[0xe0 | (code >> 12)]! + third;
  return OF_OCTET[0xf0 | (code >> 18)]! + OF_OCTET[0x80 | ((code >> 12) & 0x3f)]! + third;
}
