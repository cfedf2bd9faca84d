// The one trace field that a mail gets here (RFC 5321 §4.4), and how a mail is recognised that has been here before:
// the id in our field opens with a mark that only this installation has. Of what the client says of itself only a
// plain host name or address literal is written; everything else becomes "unknown".

import { isIP } from "node:net";
import { valueOf, type HeaderField } from "./read-header.ts";

export interface Passage {
  /** What the client called itself in EHLO or HELO. */
  readonly helo: string;
  readonly clientAddress: string;
  /** What we call ourselves. */
  readonly host: string;
  readonly protocol: Protocol;
  /** `markOf` this installation. */
  readonly mark: string;
  /** Letters and digits, different for each mail. */
  readonly serial: string;
  readonly wallMs: number;
}

export interface Protocol {
  readonly isExtended: boolean;
  readonly isSecure: boolean;
  readonly isAuthenticated: boolean;
  readonly isUtf8: boolean;
}

export function receivedField({ helo, clientAddress, host, protocol, mark, serial, wallMs }: Passage): string {
  return (
    `Received: from ${isPlainName(helo) ? helo : "unknown"} (${addressLiteral(clientAddress)})\r\n` +
    `\tby ${host} (Postlane) with ${nameOf(protocol)} id ${mark}${serial};\r\n` +
    `\t${mailDate(wallMs)}\r\n`
  );
}

/** In UTC with a numeric zone, since names of zones are obsolete (RFC 5322 §4.3). */
export function mailDate(wallMs: number): string {
  return new Date(wallMs).toUTCString().replace("GMT", "+0000");
}

/** An atom, made of something that is secret and stays: nobody else's field can hold it by chance. */
export function markOf(mac: (data: Uint8Array) => Uint8Array): string {
  return `pl-${Buffer.from(mac(Buffer.from("installation"))).toString("hex", 0, MARK_BYTES)}-`;
}

const MARK_BYTES = 8;

/** RFC 5321 §6.3 wants at least 100 for what is passed on blindly; Postfix's own limit, 50, is for loops as ours. */
export const RECEIVED_FIELDS_MAX = 50;

export type Loop = "passed_before" | "too_many_hops";

export function loopIn(content: Buffer, fields: readonly HeaderField[], mark: string): Loop | undefined {
  const received = fields.filter(({ name }) => name === "received");
  if (received.some((field) => valueOf(content, field).includes(` id ${mark}`))) return "passed_before";
  return received.length > RECEIVED_FIELDS_MAX ? "too_many_hops" : undefined;
}

/** RFC 3848, and RFC 6531 §4.3 for mail with UTF-8 in its envelope or header. */
function nameOf({ isExtended, isSecure, isAuthenticated, isUtf8 }: Protocol): string {
  if (!isExtended) return "SMTP";
  return `${isUtf8 ? "UTF8SMTP" : "ESMTP"}${isSecure ? "S" : ""}${isAuthenticated ? "A" : ""}`;
}

const DOMAIN_CHARS_MAX = 255;

function isPlainName(helo: string): boolean {
  if (helo.length > DOMAIN_CHARS_MAX) return false;
  const literal = /^\[(?:IPv6:)?([0-9A-Fa-f.:]+)\]$/i.exec(helo);
  return literal === null ? /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(helo) : isIP(literal[1]!) !== 0;
}

function addressLiteral(address: string): string {
  return isIP(address) === 6 ? `[IPv6:${address}]` : `[${address}]`;
}
