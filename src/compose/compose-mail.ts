// One whole mail, written at once: transactional messages, and whatever is not merged from a template. Text, HTML or both
// as alternatives; with them what the HTML shows by its content id (related), and what is attached (mixed). The result has
// only CRLF line breaks, no line over 998 octets, and the same octets for the same arguments. Refuses (`ComposeRefused`)
// what cannot be written; knows nothing of templates, queues or sockets.

import type { Content } from "../mail/envelope.ts";
import type { Attachment } from "./attachment-part.ts";
import { type BodyPart, closeLastLine, encodeBody } from "./body-part.ts";
import { ComposeRefused } from "./compose-refused.ts";
import { encloseBodies, prepareEnclosures } from "./enclose-bodies.ts";
import { customHeader, textHeader } from "./header-line.ts";
import { mailboxHeader } from "./mailbox-header.ts";
import { type MimePart, multipartHeader } from "./multipart.ts";
import { dateHeader, messageIdHeader } from "./trace-headers.ts";

/** At least one of `text` and `html`. */
export interface MailParts {
  readonly text?: string;
  readonly html?: string;
  readonly attachments?: readonly Attachment[];
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
  const body = writeBody(parts, fields.messageId);
  const header = contentOf(writeFields(fields));
  // All else is ASCII by construction, and may be large.
  return { ...header, text: `${header.text}${body.headers}\r\n${closeLastLine(body.body)}` };
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
  return `${multipartHeader("alternative", boundary)}\r\n`;
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

function writeBody({ attachments = [], ...parts }: MailParts, messageId: string): MimePart {
  const bodies = encodeParts(parts);
  const plainParts = bodies.filter((part) => part.encoding === "7bit").map((part) => part.body);
  const octets = attachments.map((attachment) => attachment.octets);
  return encloseBodies(bodies, prepareEnclosures(attachments, parts.html !== undefined), octets, {
    messageId,
    plainParts,
  });
}
