// One SMTP session of the truth sink, without its socket: octets in, replies and accepted messages out. It is as fast as
// it can be in one thread: the content is never split into lines, only its end is searched for and its head looked at
// for the Message-ID and, where somebody wants it, for certain words. Believes every client, checks no address, and offers neither TLS nor SMTPUTF8.

export interface AcceptedMessage {
  readonly messageIdHeader: string;
  readonly returnPath: string;
  readonly recipients: readonly string[];
  /** The wanted words that its head has, each once, with + between; empty when there are none. */
  readonly noted: string;
}

export interface SinkAnswer {
  /** What the client is to be told, in order. */
  readonly replies: string;
  readonly accepted: readonly AcceptedMessage[];
  readonly isOver: boolean;
}

export interface SinkSession {
  take(chunk: Buffer): SinkAnswer;
}

export const SINK_GREETING = "220 truth-sink.example ESMTP\r\n";

const EHLO_REPLY =
  "250-truth-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 52428800\r\n250 ENHANCEDSTATUSCODES\r\n";
const FINAL_DOT = Buffer.from("\r\n.\r\n", "latin1");
/** All but the last octet of it may stand in the chunk before. */
const TAIL_BYTES = FINAL_DOT.length - 1;
/** The CRLF of the DATA line counts: a content may be nothing but its final dot (RFC 5321 §4.1.1.4). */
const TAIL_AT_START = Buffer.from("\r\n", "latin1");
/** How much of a content may pass before its Message-ID. */
const HEAD_BYTES_MAX = 16_384;
/** RFC 5321 §4.5.3.1.4 wants 512; extensions lengthen it. */
const LINE_BYTES_MAX = 4_096;
const CR = 13;
const LF = 10;

/** `wanted`: with the flag `g`; of a short message, all of it is head. */
export function createSinkSession(wanted?: RegExp): SinkSession {
  let isInContent = false;
  let line = "";
  let returnPath: string | undefined;
  let recipients: string[] = [];
  let head: Buffer[] = [];
  let headBytes = 0;
  let tail: Buffer = TAIL_AT_START;

  const reset = (): void => {
    returnPath = undefined;
    recipients = [];
    head = [];
    headBytes = 0;
    tail = TAIL_AT_START;
  };

  const reply = (command: string): string => {
    const verb = command.slice(0, 4).toUpperCase();
    switch (verb) {
      case "EHLO":
        reset();
        return EHLO_REPLY;
      case "HELO":
        reset();
        return "250 truth-sink.example\r\n";
      case "MAIL":
        if (returnPath !== undefined) return "503 5.5.1 one sender at a time\r\n";
        returnPath = betweenBrackets(command);
        return "250 2.1.0 sender noted\r\n";
      case "RCPT":
        if (returnPath === undefined) return "503 5.5.1 MAIL first\r\n";
        recipients.push(betweenBrackets(command));
        return "250 2.1.5 recipient noted\r\n";
      case "DATA":
        if (recipients.length === 0) return "503 5.5.1 RCPT first\r\n";
        isInContent = true;
        return "354 go on, end with a dot\r\n";
      case "RSET":
        reset();
        return "250 2.0.0 forgotten\r\n";
      case "NOOP":
        return "250 2.0.0 nothing done\r\n";
      case "QUIT":
        return "221 2.0.0 goodbye\r\n";
      default:
        return "502 5.5.2 not known here\r\n";
    }
  };

  /** Where in the chunk the content is over; undefined when it is not. */
  const endOfContent = (chunk: Buffer, from: number): number | undefined => {
    const border = Buffer.concat([tail, chunk.subarray(from, from + TAIL_BYTES)]);
    const acrossBorder = border.indexOf(FINAL_DOT);
    if (acrossBorder >= 0 && acrossBorder < tail.length) return from + acrossBorder + FINAL_DOT.length - tail.length;
    const inside = chunk.indexOf(FINAL_DOT, from);
    return inside < 0 ? undefined : inside + FINAL_DOT.length;
  };

  const keepHead = (part: Buffer): void => {
    if (headBytes >= HEAD_BYTES_MAX) return;
    head.push(part.subarray(0, HEAD_BYTES_MAX - headBytes));
    headBytes += part.length;
  };

  const takeContent = (chunk: Buffer, from: number, accepted: AcceptedMessage[]): number => {
    const end = endOfContent(chunk, from);
    const part = chunk.subarray(from, end);
    keepHead(part);
    if (end === undefined) {
      tail = lastOctets(tail, part);
      return chunk.length;
    }
    const text = (head.length === 1 ? head[0]! : Buffer.concat(head)).toString("latin1");
    const noted = wanted === undefined ? "" : [...new Set(text.match(wanted))].join("+");
    accepted.push({ messageIdHeader: messageIdIn(text), returnPath: returnPath ?? "", recipients, noted });
    isInContent = false;
    reset();
    return end;
  };

  return {
    take(chunk) {
      const accepted: AcceptedMessage[] = [];
      let replies = "";
      for (let place = 0; place < chunk.length;) {
        if (isInContent) {
          place = takeContent(chunk, place, accepted);
          if (!isInContent) replies += "250 2.0.0 in the ledger\r\n";
          continue;
        }
        const lineEnd = chunk.indexOf(LF, place);
        line += chunk.toString("latin1", place, lineEnd < 0 ? chunk.length : lineEnd);
        if (line.length > LINE_BYTES_MAX) return { replies: "500 5.5.2 line too long\r\n", accepted, isOver: true };
        if (lineEnd < 0) break;
        const command = line.charCodeAt(line.length - 1) === CR ? line.slice(0, -1) : line;
        line = "";
        place = lineEnd + 1;
        replies += reply(command);
        if (/^QUIT/i.test(command)) return { replies, accepted, isOver: true };
      }
      return { replies, accepted, isOver: false };
    },
  };
}

function lastOctets(before: Buffer, part: Buffer): Buffer {
  // A copy: a slice would keep the whole chunk in memory.
  if (part.length >= TAIL_BYTES) return Buffer.from(part.subarray(-TAIL_BYTES));
  return Buffer.concat([before, part]).subarray(-TAIL_BYTES);
}

/** `MAIL FROM:<a@b> SIZE=1` → `a@b`. */
function betweenBrackets(command: string): string {
  const from = command.indexOf("<") + 1;
  return command.slice(from, command.indexOf(">", from));
}

function messageIdIn(text: string): string {
  const end = text.indexOf("\r\n\r\n");
  return /^message-id:\s*<([^>]*)>/im.exec(end < 0 ? text : text.slice(0, end))?.[1] ?? "";
}
