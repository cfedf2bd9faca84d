// One line of Postfix's log as data: who connected, which queue id a session got, what became of each recipient, and
// when the mailer started or stopped. Both forms of the time are read, that of `maillog_file` and syslog
// (`Nov 26 16:45:25`, no year, local time) and RFC 3339; short and long queue ids; with client ports or without.
// Lines are hostile: a recipient may be called `"a>, relay=none"@x.test`, and a reply may hold a whole forged line. So
// fields are taken from the left up to where the other side's words begin, by searches that never go back. What is not
// listed here is undefined. Nothing is judged: what a line proves is its reader's affair.

import { readableText } from "../readable-text.ts";
import { isQueueId } from "./queue-id.ts";

interface LineHead {
  /** As it stands in the line; `timeOfLogLine` makes it an instant. */
  readonly timestamp: string;
  /** `syslog_name`, such as `postfix-postlane-bulk`. */
  readonly instance: string;
  /** The daemon, such as `smtpd`. */
  readonly program: string;
  readonly pid: number;
}

export interface LogClient {
  readonly name: string;
  readonly address: string;
  /** Absent unless `smtpd_client_port_logging` is on. */
  readonly port?: number;
}

export type DeliveryStatus = "sent" | "deferred" | "bounced" | "expired" | "undeliverable" | "deliverable";

export type PostfixLogLine = LineHead &
  (
    | { readonly kind: "connect"; readonly client: LogClient }
    | { readonly kind: "disconnect"; readonly client: LogClient }
    /** The session broke off: `cause` such as `lost connection`, `after` such as `DATA (14 bytes)`. */
    | { readonly kind: "broken"; readonly cause: string; readonly after: string; readonly client: LogClient }
    /** The session's current transaction has this queue file. */
    | { readonly kind: "client"; readonly queueId: string; readonly client: LogClient }
    /** Written before the final dot: it proves nothing. */
    | { readonly kind: "message_id"; readonly queueId: string; readonly messageId: string }
    /** Accepted and in the active queue; again each time that it is tried. */
    | { readonly kind: "active"; readonly queueId: string; readonly sender: string; readonly sizeBytes: number }
    | { readonly kind: "removed"; readonly queueId: string }
    /** The lifetime is over; the notice follows. */
    | { readonly kind: "expired"; readonly queueId: string; readonly sender: string }
    | {
        readonly kind: "delivery";
        readonly queueId: string;
        readonly recipient: string;
        /** Before rewriting, where it was another one. */
        readonly originalRecipient?: string;
        /** `none`, or host, address and port. */
        readonly relay: string;
        readonly delayS: number;
        /** Enhanced status code, such as `5.1.1`. */
        readonly dsn: string;
        readonly status: DeliveryStatus;
        /** What stands in the brackets, such as the other side's reply. */
        readonly text: string;
      }
    /** A notice about `queueId` was queued as `noticeQueueId`. */
    | {
        readonly kind: "notice";
        readonly queueId: string;
        readonly notice: "failed" | "delayed" | "delivered";
        readonly noticeQueueId: string;
      }
    | { readonly kind: "started" }
    | { readonly kind: "reloaded" }
    | { readonly kind: "stopped" }
  );

/** Characters of a line that are looked at. Postfix cuts a reply in a log line at some 1,000. */
export const LOG_LINE_CHARS_MAX = 8192;

export function parseLogLine(line: string): PostfixLogLine | undefined {
  const bounded = line.length > LOG_LINE_CHARS_MAX ? line.slice(0, LOG_LINE_CHARS_MAX) : line;
  const match = HEAD.exec(bounded);
  if (match === null) return undefined;
  const [whole, timestamp = "", instance = "", program = "", pid = ""] = match;
  const head: LineHead = { timestamp, instance, program, pid: Number(pid) };
  const body = bodyOf(program, readableText(bounded.slice(whole.length)));
  return body === undefined ? undefined : { ...head, ...body };
}

/** `TIME HOST INSTANCE/PROGRAM[PID]: `, where an instance's name may have slashes of its own (`postfix/submission`). */
const HEAD =
  /^([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT[\d:.]{8,20}(?:Z|[+-]\d\d:?\d\d)) \S{1,255} ([\w./-]{1,100})\/([\w-]{1,40})\[(\d{1,10})\]: /;

type Body = PostfixLogLine extends infer Line ? (Line extends LineHead ? Omit<Line, keyof LineHead> : never) : never;

function bodyOf(program: string, text: string): Body | undefined {
  switch (program) {
    case "smtpd":
      return smtpdLine(text);
    case "master":
    case "postfix-script":
      return lifeLine(text);
    default:
      return queueLine(text);
  }
}

// ---- sessions

function smtpdLine(text: string): Body | undefined {
  if (text.startsWith("connect from ")) return withClient("connect", text.slice(13));
  if (text.startsWith("disconnect from ")) return withClient("disconnect", text.slice(16));
  return brokenLine(text) ?? clientLine(text);
}

function withClient(kind: "connect" | "disconnect", text: string): Body | undefined {
  const client = clientAt(text);
  return client === undefined ? undefined : { kind, client };
}

const BROKEN = /^(lost connection|timeout|too many errors) after (.{1,200}) from (\S{1,400})$/;

function brokenLine(text: string): Body | undefined {
  const match = BROKEN.exec(text);
  const client = match === null ? undefined : clientAt(match[3]!);
  return match === null || client === undefined
    ? undefined
    : { kind: "broken", cause: match[1]!, after: match[2]!, client };
}

function clientLine(text: string): Body | undefined {
  const split = splitQueueId(text);
  if (split === undefined || !split.rest.startsWith("client=")) return undefined;
  const client = clientAt(split.rest.slice(7));
  return client === undefined ? undefined : { kind: "client", queueId: split.queueId, client };
}

const CLIENT = /^([^\s[\]]{1,255})\[([\w.:%-]{1,64})\](?::(\d{1,5}))?/;

function clientAt(text: string): LogClient | undefined {
  const match = CLIENT.exec(text);
  if (match === null) return undefined;
  const [, name = "", address = "", port] = match;
  return port === undefined ? { name, address } : { name, address, port: Number(port) };
}

// ---- the mailer itself

function lifeLine(text: string): Body | undefined {
  if (text.startsWith("daemon started --") || text === "starting the Postfix mail system") return { kind: "started" };
  if (text.startsWith("reload --")) return { kind: "reloaded" };
  if (text.startsWith("terminating on signal ") || text === "stopping the Postfix mail system") {
    return { kind: "stopped" };
  }
  return undefined;
}

// ---- queue files

function queueLine(text: string): Body | undefined {
  const split = splitQueueId(text);
  if (split === undefined) return undefined;
  const { queueId, rest } = split;
  if (rest === "removed") return { kind: "removed", queueId };
  if (rest.startsWith("to=<")) return deliveryLine(queueId, rest);
  if (rest.startsWith("from=<")) return senderLine(queueId, rest);
  if (rest.startsWith("message-id=")) return { kind: "message_id", queueId, messageId: rest.slice(11) };
  return noticeLine(queueId, rest);
}

const QUEUE_ID_CHARS_MAX = 40;

function splitQueueId(text: string): { readonly queueId: string; readonly rest: string } | undefined {
  const end = text.slice(0, QUEUE_ID_CHARS_MAX).indexOf(": ");
  if (end < 0 || !isQueueId(text.slice(0, end))) return undefined;
  return { queueId: text.slice(0, end), rest: text.slice(end + 2) };
}

// A sender may hold the very words that follow it, so the last ones count.
function senderLine(queueId: string, rest: string): Body | undefined {
  const expired = /^from=<(.*)>, status=(?:force-)?expired, returned to sender$/.exec(rest);
  if (expired !== null) return { kind: "expired", queueId, sender: expired[1]! };
  const end = rest.lastIndexOf(">, size=");
  const sizes = end < 0 ? null : /^>, size=(\d{1,15}), nrcpt=\d{1,10} \(queue active\)$/.exec(rest.slice(end));
  return sizes === null
    ? undefined
    : { kind: "active", queueId, sender: rest.slice(6, end), sizeBytes: Number(sizes[1]) };
}

const DELIVERY =
  /^(?:, orig_to=<([^>]{0,600})>)?, relay=([^,]{1,600}), (?:conn_use=\d{1,9}, )?delay=([\d.]{1,20}), delays=[\d./]{1,80}, dsn=(\d\.\d{1,3}\.\d{1,3}), status=(\w{1,20}) \(/;

function deliveryLine(queueId: string, rest: string): Body | undefined {
  const end = endOfAddress(rest, 4);
  if (end < 0) return undefined;
  const match = DELIVERY.exec(rest.slice(end + 1));
  if (match === null) return undefined;
  const [whole, originalRecipient, relay = "", delay = "", dsn = "", statusWord = ""] = match;
  const status = STATUSES.get(statusWord);
  if (status === undefined) return undefined;
  return {
    kind: "delivery",
    queueId,
    recipient: rest.slice(4, end),
    ...(originalRecipient === undefined ? {} : { originalRecipient }),
    relay,
    delayS: Number(delay),
    dsn,
    status,
    text: withoutBracket(rest.slice(end + 1 + whole.length)),
  };
}

/** Where the `>` stands that closes the address which begins at `from`: within quotes (RFC 5321 §4.1.2) it closes nothing. */
function endOfAddress(text: string, from: number): number {
  if (text[from] !== '"') return text.indexOf(">", from);
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return text.indexOf(">", at);
  }
  return -1;
}

const STATUSES: ReadonlyMap<string, DeliveryStatus> = new Map([
  ["sent", "sent"],
  ["deferred", "deferred"],
  ["bounced", "bounced"],
  ["expired", "expired"],
  ["undeliverable", "undeliverable"],
  ["deliverable", "deliverable"],
  // `soft_bounce = yes`: a refusal for good that the relay keeps as one for now.
  ["SOFTBOUNCE", "deferred"],
]);

const withoutBracket = (text: string): string => (text.endsWith(")") ? text.slice(0, -1) : text);

const NOTICE = /^sender (non-delivery|delay|delivery status) notification: (\S{1,40})$/;
const NOTICES = { "non-delivery": "failed", delay: "delayed", "delivery status": "delivered" } as const;

function noticeLine(queueId: string, rest: string): Body | undefined {
  const match = NOTICE.exec(rest);
  if (match === null || !isQueueId(match[2]!)) return undefined;
  return {
    kind: "notice",
    queueId,
    notice: NOTICES[match[1] as keyof typeof NOTICES],
    noticeQueueId: match[2]!,
  };
}

// ---- time

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** A line from the future is one of last year; a clock may be off by a day. */
const AHEAD_MS_MAX = 86_400_000;

/** The instant of a line's timestamp in milliseconds. One without a year is of the latest that `nowMs` allows. */
export function timeOfLogLine(timestamp: string, nowMs: number): number | undefined {
  const parts = /^([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)$/.exec(timestamp);
  const instant = parts === null ? Date.parse(timestamp) : localTime(parts, nowMs);
  return instant === undefined || Number.isNaN(instant) ? undefined : instant;
}

function localTime(parts: RegExpExecArray, nowMs: number): number | undefined {
  const [, monthName = "", ...numbers] = parts;
  const month = MONTHS.indexOf(monthName);
  if (month < 0) return undefined;
  const [day = 0, hour = 0, minute = 0, second = 0] = numbers.map(Number);
  const inYear = (year: number): number => new Date(year, month, day, hour, minute, second).getTime();
  const year = new Date(nowMs).getFullYear();
  return [year + 1, year, year - 1].map(inYear).find((instant) => instant <= nowMs + AHEAD_MS_MAX);
}
