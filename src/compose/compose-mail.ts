// One whole mail, written at once: transactional messages, and whatever is not merged from a template. Text only, HTML
// only, or both as alternatives. The result has only CRLF line breaks, no line over 998 octets, and the same octets for
// the same arguments. Refuses (`ComposeRefused`) what cannot be written; knows nothing of templates, queues or sockets.

import type { Content } from "../mail/envelope.ts";
import { type BodyPart, closeLastLine, encodeBody } from "./body-part.ts";
import { boundaryOf } from "./boundary.ts";
import { ComposeRefused } from "./compose-refused.ts";
import { customHeader, textHeader } from "./header-line.ts";
import { mailboxHeader } from "./mailbox-header.ts";
import { dateHeader, messageIdHeader } from "./trace-headers.ts";

/** At least one of both. */
export interface MailParts {
  readonly text?: string;
  readonly html?: string;
}

/** Mailboxes are `Ann <ann@example.com>` or `ann@example.com`. */
export interface MailFields {
  readonly from: string;
  readonly to: readonly string[];
  readonly cc?: readonly string[];
  readonly replyTo?: readonly string[];
  readonly subject?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** `id@domain`. */
  readonly messageId: string;
  readonly wallMs: number;
  /** Header lines that are written already, such as List-Unsubscribe: each ends in CRLF. */
  readonly extra?: string;
}

export function composeMail(parts: MailParts, fields: MailFields): Content {
  const bodies = encodeParts(parts);
  const text = writeFields(fields) + writeBodies(bodies, fields.messageId);
  return contentOf(text);
}

/** Only a local part beyond ASCII, in a header, can make it more than ASCII. */
export function contentOf(text: string): Content {
  if (Buffer.byteLength(text) === text.length) return { text, isAscii: true };
  return { text: Buffer.from(text).toString("latin1"), isAscii: false, isUtf8: true };
}

/** The headers that are the same for every message of a campaign: whom it is from, and what the site adds. */
export function fixedHeaders(
  from: string,
  replyTo: readonly string[],
  headers: Readonly<Record<string, string>>,
): string {
  const custom = Object.entries(headers).map(([name, value]) => customHeader(name, value));
  return mailboxHeader("From", [from]) + mailboxHeader("Reply-To", replyTo) + custom.join("");
}

/** The opening of a multipart/alternative, up to and without its first delimiter. */
export function alternativeHeaders(boundary: string): string {
  return `Content-Type: multipart/alternative;\r\n boundary="${boundary}"\r\n\r\n`;
}

export const MIME_VERSION = "MIME-Version: 1.0\r\n";

function encodeParts(parts: MailParts): readonly BodyPart[] {
  const bodies: BodyPart[] = [];
  // RFC 2046 §5.1.4: the plainest alternative first.
  if (parts.text !== undefined) bodies.push(encodeBody("plain", parts.text));
  if (parts.html !== undefined) bodies.push(encodeBody("html", parts.html));
  if (bodies.length === 0) throw new ComposeRefused("text", "the mail has neither text nor HTML");
  return bodies;
}

function writeFields(fields: MailFields): string {
  return (
    fixedHeaders(fields.from, fields.replyTo ?? [], fields.headers ?? {}) +
    mailboxHeader("To", fields.to) +
    mailboxHeader("Cc", fields.cc ?? []) +
    (fields.subject === undefined ? "" : textHeader("Subject", fields.subject)) +
    dateHeader(fields.wallMs) +
    messageIdHeader(fields.messageId) +
    (fields.extra ?? "") +
    MIME_VERSION
  );
}

function writeBodies(bodies: readonly BodyPart[], messageId: string): string {
  const [only] = bodies;
  if (bodies.length === 1 && only) return `${only.headers}\r\n${closeLastLine(only.body)}`;
  const plain = bodies.filter((part) => part.encoding === "7bit").map((part) => part.body);
  const boundary = boundaryOf(messageId, plain);
  const written = bodies.map((part) => `--${boundary}\r\n${part.headers}\r\n${part.body}\r\n`);
  return `${alternativeHeaders(boundary)}${written.join("")}--${boundary}--\r\n`;
}
