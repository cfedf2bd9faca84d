// The "relaxed" canonical forms of DKIM (RFC 6376 §3.4.2, §3.4.4): what of a header field and of a body is signed, so that
// a relay may change white space without breaking the signature. Texts have one character for each octet; lines end in
// CRLF. Exact for whatever octets a mail may have, ours or one that came by SMTP.

/** `name:value`, without its CRLF. The name is lower-case and has no white space around it. */
export function relaxedField(name: string, value: string): string {
  return `${name}:${relaxedValue(value)}`;
}

/** Unfolded, each run of white space one space, none at the ends. */
export function relaxedValue(value: string): string {
  // Most values need no change but for the space behind the colon.
  if (!HAS_RUNS.test(value)) return trimBlanks(value);
  return trimBlanks(value.replace(RUNS, " "));
}

/**
 * Without white space at the ends of lines, each other run of it one space, and without empty lines at the end. An empty
 * body stays empty. Of a body of usual size the octets are only good until the next call.
 */
export function relaxedBody(text: string, from: number): Uint8Array {
  const room = text.length - from + LINE_END;
  const octets = room <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafe(room);
  octets.write(from === 0 ? text : text.slice(from), "latin1");
  return octets.subarray(0, relaxInPlace(octets, text.length - from));
}

/** A body that was not ended gets its line end. */
const LINE_END = 2;
/** One for all: the garbage of a buffer for each message costs more than its hash (measured). */
const SCRATCH = Buffer.alloc(65_536);

const HAS_RUNS = /[\t\r]|\u0020\u0020/;
const RUNS = /[ \t\r\n]+/g;
const [TAB, LF, CR, SPACE] = [0x09, 0x0a, 0x0d, 0x20];
/** After so many octets it is tried again whether what follows is a run that can be moved as a whole. */
const RUN_OCTETS_MIN = 4096;
/** Looked at in one go: without a bound, empty lines in the right places would make it look at everything again and again. */
const RUN_OCTETS_MAX = 65_536;

// By hand: `trim` would take octets that are white space in Unicode only, such as 0xA0.
function trimBlanks(value: string): string {
  let [start, end] = [0, value.length];
  while (start < end && isBlank(value.charCodeAt(start))) start++;
  while (end > start && isBlank(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

// What is written never overtakes what is read: blanks and line breaks that are put off were read before.
function relaxInPlace(octets: Buffer, length: number): number {
  let out = 0;
  let breaks = 0;
  let hasBlank = false;
  let runAt = length > RUN_OCTETS_MIN ? 0 : length;
  for (let at = 0; at < length; at++) {
    const octet = octets[at]!;
    if (octet === SPACE || octet === TAB) {
      hasBlank = true;
      continue;
    }
    if (octet === CR && at + 1 < length && octets[at + 1] === LF) {
      breaks++;
      hasBlank = false;
      at++;
      continue;
    }
    if (hasBlank || breaks > 0) {
      for (; breaks > 0; breaks--) {
        octets[out++] = CR;
        octets[out++] = LF;
      }
      if (hasBlank) octets[out++] = SPACE;
      hasBlank = false;
      if (at >= runAt) {
        // An attachment in base64 is one run of full lines, and moved as a whole.
        const end = Math.max(at + 1, endOfRun(octets, at, length));
        octets.copyWithin(out, at, end);
        out += end - at;
        at = end - 1;
        runAt = end + RUN_OCTETS_MIN;
        continue;
      }
    }
    octets[out++] = octet;
  }
  if (out === 0) return 0;
  octets[out++] = CR;
  octets[out++] = LF;
  return out;
}

/** As far as no blank stands, no empty line, and no line break that could be the last one. */
function endOfRun(octets: Buffer, from: number, length: number): number {
  let end = Math.min(length, from + RUN_OCTETS_MAX);
  for (const stop of [" ", "\t", "\r\n\r\n"]) {
    const found = octets.subarray(from, end).indexOf(stop, 0, "latin1");
    if (found >= 0) end = from + found;
  }
  while (end > from && (octets[end - 1] === CR || octets[end - 1] === LF)) end--;
  return end;
}
