// Turns what a server sends, in whatever pieces it arrives, into whole replies (RFC 5321 §4.2).
// It assumes nothing about segmentation. It is strict: lines end in CRLF, every line of a reply carries the same code, and
// the number of lines is bounded. A long line is read to its end and only its beginning kept: a yes that explains itself
// at length is a yes. After the first fault it yields nothing more: whoever cannot frame a reply can no longer know which
// command an answer belongs to, so the connection has to end.
// It never looks at what a reply means.

import { REPLY_TEXT_MAX, type Reply } from "../mail/reply.ts";

/** Octets that are kept of one line. RFC 5321 §4.5.3.1.5 allows 512; servers that explain themselves send more. */
export const REPLY_LINE_BYTES_KEPT = 2048;
/** Octets of one line with its CRLF. RFC 5321 §4.5.3.1 wants no limit at all: this one only ends what has no end. */
export const REPLY_LINE_BYTES_MAX = 1_048_576;
/** Lines of one reply. The longest EHLO replies have about thirty. */
export const REPLY_LINES_MAX = 100;

export interface ParsedReply {
  readonly reply: Reply;
  /** The text of each line without code and separator, as EHLO's keywords are read. */
  readonly lines: readonly string[];
}

export interface ReplyParser {
  /** Octets of an unfinished line, one character each: its beginning, and its last one. */
  rest: string;
  /** Octets of the unfinished line that are not in `rest`. */
  droppedBytes: number;
  /** Code of the unfinished reply, or empty. */
  code: string;
  lines: string[];
  /** Set once, for good: why the bytes are not SMTP. */
  error: string | undefined;
}

export function createReplyParser(): ReplyParser {
  return { rest: "", droppedBytes: 0, code: "", lines: [], error: undefined };
}

/** The replies that these bytes complete. Those before a fault are still valid; `parser.error` then says the fault. */
export function feedReplies(parser: ReplyParser, bytes: Buffer): ParsedReply[] {
  const replies: ParsedReply[] = [];
  if (parser.error !== undefined) return replies;
  const text = parser.rest + bytes.toString("latin1");
  let from = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", from)) {
    const reply = takeLine(parser, text, from, end);
    if (parser.error !== undefined) return replies;
    if (reply !== undefined) replies.push(reply);
    from = end + 1;
    parser.droppedBytes = 0;
  }
  keepRest(parser, from === 0 ? text : text.slice(from));
  return replies;
}

// The last octet may be the CR of the line's end.
function keepRest(parser: ReplyParser, rest: string): void {
  if (rest.length + parser.droppedBytes >= REPLY_LINE_BYTES_MAX) parser.error = "a reply line is too long";
  parser.rest = rest.length <= REPLY_LINE_BYTES_KEPT ? rest : rest.slice(0, REPLY_LINE_BYTES_KEPT - 1) + rest.at(-1)!;
  parser.droppedBytes += rest.length - parser.rest.length;
}

function takeLine(parser: ReplyParser, text: string, from: number, end: number): ParsedReply | undefined {
  parser.error = faultOfLine(parser, text, from, end);
  if (parser.error !== undefined) return undefined;
  const line = text.slice(Math.min(from + 4, end - 1), Math.min(end - 1, from + REPLY_LINE_BYTES_KEPT - 1));
  const isLast = text[from + 3] !== "-";
  if (isLast && parser.lines.length === 0) return singleLineReply(text.slice(from, from + 3), line);
  parser.code = text.slice(from, from + 3);
  parser.lines.push(line);
  return isLast ? completeReply(parser) : undefined;
}

function faultOfLine(parser: ReplyParser, text: string, from: number, end: number): string | undefined {
  if (end + 1 - from + parser.droppedBytes > REPLY_LINE_BYTES_MAX) return "a reply line is too long";
  if (text[end - 1] !== "\r" || end === from) return "a reply line does not end in CRLF";
  if (!startsWithCode(text, from, end)) return "a line is not an SMTP reply";
  if (parser.lines.length === 0) return undefined;
  if (!text.startsWith(parser.code, from)) return "the code changes between the lines of a reply";
  if (parser.lines.length >= REPLY_LINES_MAX) return "a reply has too many lines";
  return undefined;
}

// Three digits, 200 to 599, then a space, a hyphen or nothing (RFC 5321 §4.2 lets a client meet a bare code).
function startsWithCode(text: string, from: number, end: number): boolean {
  const first = text.charCodeAt(from);
  if (first < 0x32 || first > 0x35) return false;
  if (!isDigit(text.charCodeAt(from + 1)) || !isDigit(text.charCodeAt(from + 2))) return false;
  const separator = text[from + 3];
  return separator === " " || separator === "-" || from + 4 === end;
}

const isDigit = (character: number): boolean => character >= 0x30 && character <= 0x39;

function completeReply(parser: ReplyParser): ParsedReply {
  const { code, lines } = parser;
  parser.code = "";
  parser.lines = [];
  if (lines.length === 1) return singleLineReply(code, lines[0]!);
  const readable = lines.map(readableText);
  const enhanced = readable.map((line) => enhancedCodeOf(code, line)).find((found) => found !== undefined);
  const text = readable.map((line) => withoutEnhancedCode(line, enhancedCodeOf(code, line))).join(" ");
  return { reply: makeReply(code, enhanced, text), lines: readable };
}

function singleLineReply(code: string, line: string): ParsedReply {
  const readable = readableText(line);
  const enhanced = enhancedCodeOf(code, readable);
  return { reply: makeReply(code, enhanced, withoutEnhancedCode(readable, enhanced)), lines: [readable] };
}

function makeReply(code: string, enhanced: string | undefined, text: string): Reply {
  const kept = text.length > REPLY_TEXT_MAX ? text.slice(0, REPLY_TEXT_MAX).replace(/[\uD800-\uDBFF]$/, "") : text;
  return enhanced === undefined ? { code: Number(code), text: kept } : { code: Number(code), enhanced, text: kept };
}

const ENHANCED_CODE = /^[245]\.(?:0|[1-9]\d{0,2})\.(?:0|[1-9]\d{0,2})(?= |$)/;

// RFC 2034 §4: believed only when its class is the reply's own first digit.
function enhancedCodeOf(code: string, line: string): string | undefined {
  if (line[0] !== code[0] || line[1] !== ".") return undefined;
  return ENHANCED_CODE.exec(line)?.[0];
}

function withoutEnhancedCode(line: string, enhanced: string | undefined): string {
  return enhanced === undefined ? line : line.slice(enhanced.length + 1);
}

// Replies are stored and shown: no control character may get there. Under SMTPUTF8 text may be UTF-8 (RFC 6531 §3.7.4).
// oxlint-disable-next-line no-control-regex
const NOT_PRINTABLE_ASCII = /[^\x20-\x7e]/;
// oxlint-disable-next-line no-control-regex
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g;

function readableText(line: string): string {
  if (!NOT_PRINTABLE_ASCII.test(line)) return line;
  return Buffer.from(line, "latin1").toString("utf8").replace(CONTROLS, " ");
}
