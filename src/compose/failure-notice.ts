// Writes the mail that tells a submitter what became of a message (RFC 3464, RFC 6522): a text for people, a report for
// programs, and the header of what was sent, or all of it. Pure: the same facts give the same octets. Whatever was
// submitted or said by a server is data here: it cannot add a line to the report nor a part to the mail, and what goes
// out has only CRLF line ends, no NUL, and no line over 998 octets.

import { encodeBody, closeLastLine, type TransferEncoding } from "./body-part.ts";
import { boundaryOf } from "./boundary.ts";
import { MIME_VERSION } from "./compose-mail.ts";
import { textHeader } from "./header-line.ts";
import { mailboxHeader, wireAddress } from "./mailbox-header.ts";
import { dateHeader, messageIdHeader } from "./trace-headers.ts";

export interface NoticeFacts {
  /** RFC 3464 §2.3.3. `relayed`: the next hop took it, and may not tell whether it is delivered (RFC 3461 §5.2.2). */
  readonly action: "failed" | "relayed" | "delivered";
  /** It was not refused: its time was over. */
  readonly isExpired?: boolean;
  /** `Name <address>`. */
  readonly from: string;
  /** The submitter: MAIL FROM of what is told of. */
  readonly to: string;
  /** The domain that reports. */
  readonly reportingMta: string;
  /** `id@domain`. */
  readonly messageId: string;
  readonly wallMs: number;
  readonly arrivedMs: number;
  readonly recipient: string;
  /** RFC 3463. */
  readonly status: string;
  /** The server that spoke last, as far as it is known; with an address or a port, or without. */
  readonly host?: string;
  /** What it said, or in words what happened. */
  readonly reply?: string;
  /** ENVID and ORCPT as they were given (RFC 3461). */
  readonly envid?: string;
  readonly orcpt?: string;
  /** The mail, or the beginning of it with its header. */
  readonly original: Uint8Array;
  /** `original` is all of it, and is to be sent back whole. */
  readonly isWhole: boolean;
}

/** Of a header that is sent back; the rest is cut off at the end of a line. */
const HEADER_OCTETS_MAX = 64 * 1024;
const REPLY_CHARS_MAX = 1000;
/** RFC 5321 §4.5.3.1: an address is no longer. */
const ADDRESS_CHARS_MAX = 254;
const LINE_OCTETS_MAX = 998;
/** RFC 5322 §2.1.1: lines should have no more. */
const LINE_OCTETS_WANTED = 78;

/** The octets of the mail. */
export function failureNotice(facts: NoticeFacts): Buffer {
  const text = encodeBody("plain", textForPeople(facts));
  const returned = returnedPart(facts);
  const report = reportForPrograms(facts);
  const boundary = boundaryOf(facts.messageId, [text.body, report, returned]);
  const delimiter = `--${boundary}\r\n`;
  return Buffer.from(
    writeHeader(facts, boundary) +
      `${delimiter}${text.headers}\r\n${closeLastLine(text.body)}\r\n` +
      `${delimiter}${report}\r\n` +
      `${delimiter}${returned}\r\n--${boundary}--\r\n`,
    "latin1",
  );
}

function writeHeader(facts: NoticeFacts, boundary: string): string {
  return (
    mailboxHeader("From", [facts.from]) +
    latin1(mailboxHeader("To", [facts.to])) +
    textHeader("Subject", SUBJECTS[facts.action]) +
    dateHeader(facts.wallMs) +
    messageIdHeader(facts.messageId) +
    // RFC 3834 §5: nobody answers this, and nothing answers it by itself.
    "Auto-Submitted: auto-replied\r\n" +
    MIME_VERSION +
    `Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"\r\n\r\n`
  );
}

const SUBJECTS = {
  failed: "Your mail could not be delivered",
  relayed: "Your mail was passed on",
  delivered: "Your mail was delivered",
} as const;

// ---- for people ------------------------------------------------------------------------------------------------------

function textForPeople(facts: NoticeFacts): string {
  const { reply, host } = facts;
  const said = plain(reply ?? "", REPLY_CHARS_MAX);
  const who = hostName(host);
  const intro =
    said === "" ? [] : [`${who === undefined ? "The answer was:" : `${who} said:`}`, "", ...indented(said), ""];
  return [
    `This is the mail system of ${facts.reportingMta}.`,
    "",
    ...whatHappened(facts),
    ...intro,
    facts.action === "failed" ? "It is not tried again." : "You asked to be told of this; nothing needs to be done.",
    facts.isWhole ? "What you sent is attached." : "The header of what you sent is attached.",
    "",
  ].join("\n");
}

function whatHappened({ action, isExpired, recipient }: NoticeFacts): readonly string[] {
  const address = ["", `    ${plain(recipient, ADDRESS_CHARS_MAX)}`, ""];
  switch (action) {
    case "failed":
      return [`Your mail could not be delivered${isExpired === true ? " in its time" : ""} to`, ...address];
    case "relayed":
      return [
        "Your mail was passed on to the next mail server, which may not tell what becomes of it, for",
        ...address,
      ];
    case "delivered":
      return ["Your mail was delivered to", ...address];
  }
}

function indented(text: string): readonly string[] {
  return wrapped(text, LINE_OCTETS_WANTED - 6).map((line) => `    ${line}`);
}

// ---- for programs ----------------------------------------------------------------------------------------------------

/** With its own two headers. An address beyond ASCII makes it a global report (RFC 6533 §3). */
function reportForPrograms(facts: NoticeFacts): string {
  const recipient = typedAddress(facts.recipient);
  const original = originalRecipient(facts.orcpt);
  const isGlobal = recipient.startsWith("utf-8");
  const said = plain(facts.reply ?? "", REPLY_CHARS_MAX);
  const host = hostName(facts.host);
  const lines = [
    field("Reporting-MTA", `dns; ${facts.reportingMta}`),
    field("Original-Envelope-Id", facts.envid === undefined ? undefined : decodeXtext(facts.envid)),
    dateHeader(facts.arrivedMs).replace("Date:", "Arrival-Date:"),
    "\r\n",
    field("Original-Recipient", original),
    latin1(`Final-Recipient: ${recipient}\r\n`),
    field("Action", facts.action),
    field("Status", facts.status),
    field("Remote-MTA", host === undefined ? undefined : `dns; ${host}`),
    // RFC 3464 §2.3.6: `smtp` is what a server answered; what we say ourselves is of a type of ours.
    field("Diagnostic-Code", said === "" ? undefined : `${/^\d{3}\b/.test(said) ? "smtp" : "x-postlane"}; ${said}`),
  ];
  const type = isGlobal ? "message/global-delivery-status" : "message/delivery-status";
  const encoding = isGlobal ? "Content-Transfer-Encoding: 8bit\r\n" : "";
  return `Content-Type: ${type}\r\n${encoding}\r\n${lines.join("")}`;
}

function field(name: string, value: string | undefined): string {
  if (value === undefined) return "";
  // Beyond ASCII nothing may stand in a report that is not global.
  const words = plain(value, REPLY_CHARS_MAX).replaceAll(/[^ -~]/g, "?");
  return `${wrapped(`${name}: ${words}`, LINE_OCTETS_WANTED - 1).join("\r\n ")}\r\n`;
}

function typedAddress(address: string): string {
  const wire = plain(wireAddress(address) ?? address, ADDRESS_CHARS_MAX);
  return /^[!-~]*$/.test(wire) ? `rfc822; ${wire}` : `utf-8; ${wire}`;
}

/** `rfc822;ann+2B@example.com` → `rfc822; ann+@example.com`; undefined when it is none. */
function originalRecipient(orcpt: string | undefined): string | undefined {
  const [, type, address] = /^([A-Za-z0-9-]{1,40});(.{1,500})$/.exec(orcpt ?? "") ?? [];
  const decoded = address === undefined ? undefined : decodeXtext(address);
  return decoded === undefined ? undefined : `${type}; ${decoded}`;
}

/** RFC 3461 §4. Undefined when it does not decode to printable ASCII: then it is nothing that we could hand back. */
function decodeXtext(xtext: string): string | undefined {
  const decoded = xtext.replaceAll(/\+([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return /^[ -~]{1,500}$/.test(decoded) ? decoded : undefined;
}

/** `mx.example.com[192.0.2.1]:25` → `mx.example.com`; an address alone gets its brackets. */
function hostName(host: string | undefined): string | undefined {
  const name = /^\[?([A-Za-z0-9._-]{1,253})/.exec(host ?? "")?.[1];
  return name !== undefined && /^[\d.]+$/.test(name) ? `[${name}]` : name;
}

// ---- what is sent back -----------------------------------------------------------------------------------------------

/** With its own headers. Whole only if it can stand in a mail as it is; else its header. */
function returnedPart({ original, isWhole }: NoticeFacts): string {
  const octets = Buffer.from(original.buffer, original.byteOffset, original.byteLength).toString("latin1");
  if (isWhole && isFitForWire(octets)) {
    const encoding = /^[\0-\x7f]*$/.test(octets) ? "7bit" : "8bit";
    return `Content-Type: message/rfc822\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${closeLastLine(octets)}`;
  }
  const { body, encoding } = encodeBody("plain", headerOf(octets));
  return `${returnedHeaders(encoding)}\r\n${closeLastLine(body)}`;
}

function returnedHeaders(encoding: TransferEncoding): string {
  return `Content-Type: text/rfc822-headers; charset=utf-8\r\nContent-Transfer-Encoding: ${encoding}\r\n`;
}

function headerOf(octets: string): string {
  const end = /\r?\n\r?\n/.exec(octets)?.index ?? octets.length;
  const cut = octets.slice(0, Math.min(end, HEADER_OCTETS_MAX));
  const whole = cut.length === end ? cut : cut.slice(0, Math.max(0, cut.lastIndexOf("\n")));
  return `${Buffer.from(whole, "latin1").toString("utf8")}\n`;
}

/** Only CRLF, no NUL, no line over the limit. */
function isFitForWire(octets: string): boolean {
  if (/\0|\r(?!\n)|(?<!\r)\n/.test(octets)) return false;
  return octets.split("\r\n").every((line) => line.length <= LINE_OCTETS_MAX);
}

// ---- text ------------------------------------------------------------------------------------------------------------

/** One line without control characters. */
function plain(text: string, charsMax: number): string {
  return text
    .slice(0, charsMax)
    .replaceAll(/[\p{Cc}\u2028\u2029\ud800-\udfff]+/gu, " ")
    .trim();
}

/** Lines of at most so many characters, broken at spaces where there are some. */
function wrapped(text: string, charsMax: number): readonly string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > charsMax) {
    const space = rest.lastIndexOf(" ", charsMax);
    // A field's name, and the type behind it, stay in the first line.
    const at = space > charsMax / 3 ? space : charsMax;
    lines.push(rest.slice(0, at));
    rest = rest.slice(at).trimStart();
  }
  return [...lines, rest];
}

/** UTF-8, one character for each octet. */
function latin1(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
