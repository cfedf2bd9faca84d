// Header fields that hold mailboxes: From, To, Cc, Reply-To. A domain beyond ASCII is written as A-labels, which every
// server reads; a local part beyond ASCII can only stand as raw UTF-8 and then needs SMTPUTF8 (RFC 6532 §3.2). Never
// looks a domain up, and never lets an address through that `addressProblem` would refuse.

import { domainToASCII } from "node:url";
import { addressProblem, domainOf, parseMailbox } from "../mail/address.ts";
import { ComposeRefused } from "./compose-refused.ts";
import { encodeWords } from "./encoded-words.ts";
import { looksEncoded, refuseControls } from "./header-line.ts";

/** `Name: a@x.example,\r\n Bob <b@y.example>\r\n`; empty when there is no mailbox (RFC 5322 has no empty To). */
export function mailboxHeader(name: string, mailboxes: readonly string[]): string {
  if (mailboxes.length === 0) return "";
  const written = mailboxes.map((mailbox, index) => writeMailbox(name, mailbox, index === 0 ? name.length + 2 : 1));
  return `${name}: ${written.join(",\r\n ")}\r\n`;
}

/** A header with one address and no name: the recipient of a merged message. */
export function addressHeader(name: string, address: string): string {
  const problem = addressProblem(address);
  if (problem !== undefined) throw new ComposeRefused(name, `not an address: ${problem}`);
  return `${name}: ${wireAddress(address) ?? refuseDomain(name)}\r\n`;
}

/** The address as it goes into headers and commands: its domain in ASCII. Undefined when the domain has no such form. */
export function wireAddress(address: string): string | undefined {
  if (ASCII.test(address)) return address;
  const at = address.lastIndexOf("@");
  const domain = domainToASCII(address.slice(at + 1));
  const wire = `${address.slice(0, at)}@${domain}`;
  return domain === "" || addressProblem(wire) !== undefined ? undefined : wire;
}

/** The domain of a mailbox as it goes into a Message-ID; of what is no mailbox, one that is surely nobody's. */
export function wireDomainOf(mailbox: string): string {
  const parsed = parseMailbox(mailbox);
  const address = parsed.kind === "mailbox" ? wireAddress(parsed.address) : undefined;
  return address === undefined ? "localhost.localdomain" : domainOf(address);
}

// oxlint-disable-next-line no-control-regex
const ASCII = /^[\u0000-\u007f]*$/;
const LINE_OCTETS_WANTED = 78;
/** Longer names are encoded, because encoded-words may fold and a quoted string had better not. */
const PLAIN_NAME_MAX = 60;
const ATOMS = /^[\w!#$%&'*+/=?^`{|}~-]+(?: [\w!#$%&'*+/=?^`{|}~-]+)*$/;
const PRINTABLE_WORDS = /^[!-~]+(?: [!-~]+)*$/;

function writeMailbox(field: string, mailbox: string, column: number): string {
  refuseControls(field, mailbox);
  const parsed = parseMailbox(mailbox);
  if (parsed.kind === "bad") throw new ComposeRefused(field, `not a mailbox: ${parsed.reason}`);
  const address = wireAddress(parsed.address) ?? refuseDomain(field);
  if (parsed.name === undefined) return address;
  const phrase = writePhrase(parsed.name, column);
  const lastLine = phrase.includes("\r\n") ? phrase.length - phrase.lastIndexOf("\r\n") - 2 : column + phrase.length;
  return lastLine + address.length + 4 > LINE_OCTETS_WANTED ? `${phrase}\r\n <${address}>` : `${phrase} <${address}>`;
}

/** A display name is a phrase: atoms, a quoted string, or encoded-words, which never stand inside quotes (RFC 2047 §5). */
function writePhrase(name: string, column: number): string {
  const isPlain = name.length <= PLAIN_NAME_MAX && PRINTABLE_WORDS.test(name) && !looksEncoded(name);
  if (!isPlain) return encodeWords(name, column);
  return ATOMS.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
}

function refuseDomain(field: string): never {
  throw new ComposeRefused(field, "the domain has no ASCII form");
}
