// One text of a mail as a MIME part: its two headers and its encoded octets. 7bit when it is short-lined ASCII, else
// quoted-printable or base64, by what is shorter; 8bit never, so no server on the road has to convert (RFC 6152 §3).

import { wellFormed } from "./encoded-words.ts";
import { encodeQuotedPrintable } from "./quoted-printable.ts";

export type Subtype = "plain" | "html";
export type TransferEncoding = "7bit" | "quoted-printable" | "base64";

export interface BodyPart {
  readonly headers: string;
  /** CRLF lines; ends as the text ends, so a single part may still need its last line break. */
  readonly body: string;
  readonly encoding: TransferEncoding;
}

export function encodeBody(subtype: Subtype, text: string): BodyPart {
  const lines = normalizeBreaks(wellFormed(text));
  const { encoding, body } = shortest(lines);
  return { headers: partHeaders(subtype, encoding), body, encoding };
}

export function partHeaders(subtype: Subtype, encoding: TransferEncoding): string {
  return `Content-Type: text/${subtype}; charset=utf-8\r\nContent-Transfer-Encoding: ${encoding}\r\n`;
}

/** CRLF, lone CR and lone LF are all line breaks of a text; on the wire they become CRLF. */
export function normalizeBreaks(text: string): string {
  return text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
}

/** The last line of a message ends in CRLF too. */
export function closeLastLine(body: string): string {
  return body === "" || body.endsWith("\r\n") ? body : `${body}\r\n`;
}

const BASE64_LINE = 76;
/** At most 76 printable characters or tabs that do not end in white space, which some relays strip. */
const SHORT_ASCII = /^[\t -~]{0,75}[!-~]$/;

function shortest(lines: string): { readonly encoding: TransferEncoding; readonly body: string } {
  if (isShortAscii(lines)) return { encoding: "7bit", body: lines.replaceAll("\n", "\r\n") };
  const quoted = encodeQuotedPrintable(lines);
  const octets = Buffer.from(lines.replaceAll("\n", "\r\n"), "utf8");
  const base64Length = Math.ceil(octets.length / 3) * 4 * ((BASE64_LINE + 2) / BASE64_LINE);
  if (quoted.length <= base64Length) return { encoding: "quoted-printable", body: quoted };
  const base64 = octets.toString("base64").match(new RegExp(`.{1,${BASE64_LINE}}`, "g"));
  return { encoding: "base64", body: (base64 ?? []).join("\r\n") };
}

function isShortAscii(lines: string): boolean {
  return lines.split("\n").every((line) => line === "" || SHORT_ASCII.test(line));
}
