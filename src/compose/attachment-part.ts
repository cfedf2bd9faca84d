// One attachment as a MIME part: its headers, and its octets in base64. The octets come out as they went in, texts too: so
// it is always base64. They are encoded once, by `encodeOctets`, however many mails they go into. A file name, content id
// or content type that cannot be a header is refused with its field's name, never cleaned.

import { ComposeRefused } from "./compose-refused.ts";
import { contentTypeLine, contentTypeOf } from "./content-kind.ts";
import { refuseControls } from "./header-line.ts";
import { isPlain, parameterLines, plainOf } from "./parameter-lines.ts";

/** What a mail says of an attachment. */
export interface AttachmentHead {
  readonly filename: string;
  /** By default what the name's extension says. */
  readonly contentType?: string;
  /** Given: it is shown within the mail, where the HTML says `cid:` and this id. */
  readonly contentId?: string;
}

export interface Attachment extends AttachmentHead {
  readonly octets: EncodedOctets;
}

/** Opaque: made by `encodeOctets` once per attachment. */
export interface EncodedOctets {
  readonly base64: string;
}

/** `place`: among the attachments of the mail, from 0. */
export function attachmentHeaders(attachment: AttachmentHead, place: number): string {
  const { filename, contentType = contentTypeOf(filename), contentId } = attachment;
  const field = `attachments[${place}]`;
  refuseFilename(filename, `${field}.filename`);
  const type = contentTypeLine(contentType, `${field}.content_type`);
  const name = isPlain(filename) || /;\s*name\*?=/i.test(type) ? "" : `;\r\n name="${plainOf(filename)}"`;
  const disposition = [dispositionOf(contentId, type), ...parameterLines("filename", filename)].join(";\r\n ");
  return (
    // For readers that know no RFC 2231. In the other header, for a parameter may stand there once only.
    `Content-Type: ${type}${name}\r\nContent-Transfer-Encoding: base64\r\n` +
    contentIdHeader(contentId, `${field}.content_id`) +
    `Content-Disposition: ${disposition}\r\n`
  );
}

/** Lines of 76 (RFC 2045 §6.8), the last one unbroken. 10 MiB take about 30 ms. */
export function encodeOctets(octets: Uint8Array): EncodedOctets {
  const whole = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength).toString("base64");
  const encoded = Buffer.from(whole, "latin1");
  const lines = Buffer.allocUnsafe(encoded.length + 2 * Math.ceil(encoded.length / LINE_OCTETS));
  let end = 0;
  for (let at = 0; at < encoded.length; at += LINE_OCTETS) {
    if (at > 0) end += lines.write("\r\n", end, "latin1");
    end += encoded.copy(lines, end, at, at + LINE_OCTETS);
  }
  return { base64: lines.toString("latin1", 0, end) };
}

const LINE_OCTETS = 76;
const FILENAME_CHARS_MAX = 255;
/** RFC 5322 §3.2.3: atoms, dots and an @; what could end the brackets or be a comment is not among them. */
const CONTENT_ID = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.@-]{1,128}$/;

/** A text is never inline: readers would show it as a part of what is written. */
function dispositionOf(contentId: string | undefined, type: string): "inline" | "attachment" {
  return contentId === undefined || /^text\//i.test(type) ? "attachment" : "inline";
}

function refuseFilename(filename: string, field: string): void {
  if (filename === "") throw new ComposeRefused(field, "is empty");
  if (Array.from(filename).length > FILENAME_CHARS_MAX)
    throw new ComposeRefused(field, `has more than ${FILENAME_CHARS_MAX} characters`);
  if (filename.includes("\t")) throw new ComposeRefused(field, "holds a tab, which no file name can");
  refuseControls(field, filename);
}

function contentIdHeader(contentId: string | undefined, field: string): string {
  if (contentId === undefined) return "";
  if (!CONTENT_ID.test(contentId) || contentId.includes("=?"))
    throw new ComposeRefused(field, 'not 1 to 128 letters, digits and signs without brackets, such as "logo"');
  return `Content-ID: <${contentId}>\r\n`;
}
