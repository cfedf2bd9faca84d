// The fast road of campaigns. What is the same in every message of a template's version is written once, when it is
// compiled; a merge adds recipient, subject, date, Message-ID and the encoded values, and puts the template's attachments,
// which come encoded, around them. Bodies are always quoted-printable, since only that can be put together from pieces. Everything is checked after filling in, so a value from a list can
// stop its own message (`ComposeRefused`, `TemplateRefused`) and never becomes a header.

import type { Content } from "../mail/envelope.ts";
import type { CompiledTemplate, MergeData, Piece } from "../templates/compiled-template.ts";
import { fillPieces } from "../templates/fill-pieces.ts";
import type { AttachmentHead, EncodedOctets } from "./attachment-part.ts";
import { closeLastLine, partHeaders } from "./body-part.ts";
import { boundaryOf } from "./boundary.ts";
import { alternativeHeaders, contentOf, fixedHeaders, MIME_VERSION } from "./compose-mail.ts";
import { ComposeRefused } from "./compose-refused.ts";
import { encloseBodies, type Enclosures, prepareEnclosures } from "./enclose-bodies.ts";
import { customHeader, textHeader } from "./header-line.ts";
import { addressHeader } from "./mailbox-header.ts";
import { mergePart, type PreparedPart, preparePart } from "./merge-part.ts";
import type { MimePart } from "./multipart.ts";
import { dateHeader, messageIdHeader } from "./trace-headers.ts";

/** What the template leaves open, or the campaign says differently. */
export interface CampaignFields {
  /** Goes before the template's own. */
  readonly from?: string;
  readonly replyTo?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface MergeFields {
  readonly data: MergeData;
  /** The recipient's address, which is also what stands in To. */
  readonly recipient: string;
  /** `id@domain`. */
  readonly messageId: string;
  readonly wallMs: number;
  /** Header lines that are written already, such as List-Unsubscribe: ASCII, each ends in CRLF. */
  readonly extra?: string;
  /** Of the attachments that it was compiled with, in their order. */
  readonly octets?: readonly EncodedOctets[];
}

/** Opaque: made by `compileMail` once per template version, used by `mergeMail` for every message. */
export interface CompiledMail {
  readonly fixed: string;
  readonly isFixedAscii: boolean;
  readonly subject: readonly Piece[];
  /** The template's own header fields. */
  readonly headers: readonly { readonly name: string; readonly pieces: readonly Piece[] }[];
  readonly text: PreparedPart | undefined;
  readonly html: PreparedPart | undefined;
  /** Absent: there are no attachments. */
  readonly enclosures: Enclosures | undefined;
  /** The Date header of the second that was written last. */
  readonly date: { second: number; header: string };
}

export function compileMail(
  template: CompiledTemplate,
  fields: CampaignFields = {},
  attachments: readonly AttachmentHead[] = [],
): CompiledMail {
  const from = fields.from ?? template.from;
  if (from === undefined)
    throw new ComposeRefused("From", "neither the template nor the campaign says whom it is from");
  if (template.text === undefined && template.html === undefined)
    throw new ComposeRefused("text", "the template has neither text nor HTML");
  const replyTo = fields.replyTo ?? template.replyTo;
  const fixed = fixedHeaders(from, replyTo === undefined ? [] : [replyTo], fields.headers ?? {}) + MIME_VERSION;
  return {
    fixed,
    isFixedAscii: isAscii(fixed),
    subject: template.subject,
    headers: template.headers ?? [],
    text: template.text && preparePart("text", template.text),
    html: template.html && preparePart("html", template.html),
    enclosures: attachments.length === 0 ? undefined : prepareEnclosures(attachments, template.html !== undefined),
    date: { second: -1, header: "" },
  };
}

export function mergeMail(mail: CompiledMail, fields: MergeFields): Content {
  const recipient = addressHeader("To", fields.recipient);
  const headers =
    mail.fixed +
    recipient +
    textHeader("Subject", fillLine("Subject", mail.subject, fields.data)) +
    fillHeaders(mail, fields.data) +
    dateOf(mail, fields.wallMs) +
    messageIdHeader(fields.messageId) +
    (fields.extra ?? "");
  const { enclosures } = mail;
  const body = enclosures === undefined ? mergeBodies(mail, fields) : mergeEnclosed(mail, enclosures, fields);
  // Bodies and all other headers are ASCII by construction, which saves looking through them.
  if (mail.isFixedAscii && isAscii(recipient)) return { text: headers + body, isAscii: true };
  const header = contentOf(headers);
  return { ...header, text: header.text + body };
}

const LINE_CHARS_MAX = { Subject: 998, header: 2000 } as const;

function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex
  return /^[\u0000-\u007f]*$/.test(text);
}

/** Only after filling in can one tell that they are headers. */
function fillHeaders({ headers }: CompiledMail, data: MergeData): string {
  let lines = "";
  for (const { name, pieces } of headers) lines += customHeader(name, fillLine(name, pieces, data));
  return lines;
}

function fillLine(field: string, pieces: readonly Piece[], data: MergeData): string {
  const line = fillPieces(field, pieces, data);
  const max = field === "Subject" ? LINE_CHARS_MAX.Subject : LINE_CHARS_MAX.header;
  if (line.length > max) throw new ComposeRefused(field, `has more than ${max} characters when filled in`);
  return line;
}

function dateOf(mail: CompiledMail, wallMs: number): string {
  const second = Math.floor(wallMs / 1000);
  if (second !== mail.date.second) {
    mail.date.header = dateHeader(wallMs);
    mail.date.second = second;
  }
  return mail.date.header;
}

function mergeBodies(mail: CompiledMail, { data, messageId }: MergeFields): string {
  const { text, html } = mail;
  if (text && html) {
    const boundary = boundaryOf(messageId, []);
    return (
      `${alternativeHeaders(boundary)}--${boundary}\r\n${TEXT_HEADERS}${mergePart(text, data)}\r\n` +
      `--${boundary}\r\n${HTML_HEADERS}${mergePart(html, data)}\r\n--${boundary}--\r\n`
    );
  }
  if (html) return HTML_HEADERS + closeLastLine(mergePart(html, data));
  return text ? TEXT_HEADERS + closeLastLine(mergePart(text, data)) : "";
}

/** It is a multipart: its last line is a delimiter without a line break. */
function mergeEnclosed(
  { text, html }: CompiledMail,
  enclosures: Enclosures,
  { data, messageId, octets = [] }: MergeFields,
): string {
  const bodies: MimePart[] = [];
  if (text) bodies.push({ headers: partHeaders("plain", "quoted-printable"), body: mergePart(text, data) });
  if (html) bodies.push({ headers: partHeaders("html", "quoted-printable"), body: mergePart(html, data) });
  const { headers, body } = encloseBodies(bodies, enclosures, octets, { messageId, plainParts: [] });
  return `${headers}\r\n${body}\r\n`;
}

const TEXT_HEADERS = `${partHeaders("plain", "quoted-printable")}\r\n`;
const HTML_HEADERS = `${partHeaders("html", "quoted-printable")}\r\n`;
