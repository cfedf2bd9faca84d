// One mail transaction, made ready before its first octet goes out: envelope and content are checked against what may
// ever stand on the wire and against what this server offers, and the commands are written. What cannot go is refused
// here, for that message alone. Nothing is repaired and nothing is sent from this file.

import { domainToASCII } from "node:url";
import type { AttemptRefusedHere } from "../mail/attempt.ts";
import type { Content, Envelope } from "../mail/envelope.ts";
import type { Reply } from "../mail/reply.ts";
import { isAscii, isOctets, isWireSafe, stuffDots } from "./dot-stuffing.ts";
import type { AttemptToken, HandOver } from "./outlet.ts";
import type { SmtpExtensions } from "./smtp-extensions.ts";

/** Octets of one address. RFC 5321 §4.5.3.1 gives 64 for the local part and 255 for the domain. */
export const ADDRESS_BYTES_MAX = 320;

export interface SmtpTransaction {
  readonly token: AttemptToken;
  readonly mail: string;
  readonly rcpt: string;
  /** MAIL, RCPT and DATA, for servers that take them in one group. */
  readonly envelope: string;
  readonly content: Content;
  /**
   * `envelope`: its commands are out or on their way; `permit`: all were positive, the final dot waits for permission;
   * `content`: content and final dot are written.
   */
  step: "envelope" | "permit" | "content";
  isMailAccepted: boolean;
  /** Any reply to one of its commands came. */
  isAnswered: boolean;
  /** Its result was told. Later replies to its commands change nothing. */
  isFinished: boolean;
}

export type PreparedTransaction =
  | { readonly kind: "ready"; readonly transaction: SmtpTransaction }
  | { readonly kind: "refused"; readonly result: AttemptRefusedHere };

export function prepareTransaction(handOver: HandOver, offers: SmtpExtensions, host: string): PreparedTransaction {
  const { envelope, content } = handOver;
  const sender = wireAddress(envelope.sender);
  const recipient = wireAddress(envelope.recipient);
  const reply = whyRefused(sender, recipient, content, offers);
  if (reply !== undefined) return { kind: "refused", result: { kind: "refused_here", reply, host } };
  return { kind: "ready", transaction: writeCommands(handOver, sender!, recipient!, offers) };
}

/** For outlets that do not speak SMTP: the same guard against injection, without asking a server's offers. */
export function refuseUnsafe(handOver: HandOver): Reply | undefined {
  const { envelope, content } = handOver;
  return whyUnsafe(wireAddress(envelope.sender), wireAddress(envelope.recipient), content);
}

/** The address with its domain as A-labels (RFC 5891), or undefined when it may never stand between angle brackets. */
function wireAddress(address: string): string | undefined {
  if (PLAIN_ADDRESS.test(address)) return address;
  if (FORBIDDEN_IN_ADDRESS.test(address) || Buffer.byteLength(address) > ADDRESS_BYTES_MAX) return undefined;
  if (isAscii(address)) return address;
  const at = address.lastIndexOf("@");
  const domain = address.slice(at + 1);
  if (at < 0 || isAscii(domain)) return address;
  const ascii = domainToASCII(domain);
  return ascii === "" || FORBIDDEN_IN_ADDRESS.test(ascii) ? undefined : `${address.slice(0, at)}@${ascii}`;
}

// Nearly all of them: printable ASCII without space and angle brackets, and not too long.
const PLAIN_ADDRESS = new RegExp(`^[!-;=?-~]{0,${ADDRESS_BYTES_MAX}}$`);

// Controls, space, angle brackets: whatever could end the path or the command. Lone surrogates would reach another
// address than the one that was asked for.
// oxlint-disable-next-line no-control-regex
const FORBIDDEN_IN_ADDRESS = /[\x00-\x20<>\x7f-\xa0\u2028\u2029]|\p{Surrogate}/u;

function whyRefused(
  sender: string | undefined,
  recipient: string | undefined,
  content: Content,
  offers: SmtpExtensions,
): Reply | undefined {
  return whyUnsafe(sender, recipient, content) ?? whyNotOffered(sender!, recipient!, content, offers);
}

function whyUnsafe(sender: string | undefined, recipient: string | undefined, content: Content): Reply | undefined {
  if (sender === undefined) return refusal(553, "5.1.7", "the sender's address cannot be given to a mail server");
  if (!recipient) return refusal(553, "5.1.3", "the recipient's address cannot be given to a mail server");
  if (!isWireSafe(content.text)) return refusal(554, "5.6.0", "the content has a bare CR, bare LF or NUL");
  // Written as Latin-1, a character above 0xff would lose its high bits and could turn into CR or LF.
  if (content.isAscii ? !isAscii(content.text) : !isOctets(content.text)) {
    return refusal(554, "5.6.0", "the content is not the octets that it claims to be");
  }
  return undefined;
}

function whyNotOffered(sender: string, recipient: string, content: Content, offers: SmtpExtensions): Reply | undefined {
  if (content.text.length > offers.sizeMax) {
    return refusal(552, "5.3.4", `${content.text.length} octets are more than the server's limit of ${offers.sizeMax}`);
  }
  if (needsSmtpUtf8(sender, recipient, content) && !(offers.hasSmtpUtf8 && offers.has8BitMime)) {
    return refusal(553, "5.6.7", "the message needs SMTPUTF8 and the server does not offer it");
  }
  if (!content.isAscii && !offers.has8BitMime) {
    return refusal(554, "5.6.3", "the content is not ASCII and the server does not offer 8BITMIME");
  }
  return undefined;
}

const refusal = (code: number, enhanced: string, text: string): Reply => ({ code, enhanced, text });

// RFC 6531 §3.2: for a local part, or a header field, that is not ASCII. The domain is ASCII by now.
function needsSmtpUtf8(sender: string, recipient: string, content: Content): boolean {
  return !isAscii(sender) || !isAscii(recipient) || content.isUtf8 === true;
}

function writeCommands(handOver: HandOver, sender: string, recipient: string, offers: SmtpExtensions): SmtpTransaction {
  const { content, token } = handOver;
  const mail = `MAIL FROM:<${octetsOf(sender)}>${mailParameters(handOver, sender, recipient, offers)}\r\n`;
  const rcpt = `RCPT TO:<${octetsOf(recipient)}>${rcptParameters(handOver, offers)}\r\n`;
  return {
    token,
    mail,
    rcpt,
    envelope: `${mail}${rcpt}DATA\r\n`,
    content,
    step: "envelope",
    isMailAccepted: false,
    isAnswered: false,
    isFinished: false,
  };
}

/** UTF-8, one character for each octet. */
const octetsOf = (address: string): string =>
  isAscii(address) ? address : Buffer.from(address, "utf8").toString("latin1");

function mailParameters(
  { envelope, content }: HandOver,
  sender: string,
  recipient: string,
  offers: SmtpExtensions,
): string {
  const size = offers.hasSize ? ` SIZE=${content.text.length}` : "";
  const isUtf8 = needsSmtpUtf8(sender, recipient, content);
  const body = isUtf8 || !content.isAscii ? " BODY=8BITMIME" : "";
  return size + body + (isUtf8 ? " SMTPUTF8" : "") + (offers.hasDsn ? returnParameters(envelope) : "");
}

// RFC 3461 §4.3, §4.4.
function returnParameters({ wantsHeadersOnly, dsn }: Envelope): string {
  if (wantsHeadersOnly === true) return " RET=HDRS";
  return parameter(" RET=", dsn?.ret) + parameter(" ENVID=", dsn?.envid);
}

// RFC 3461 §4.1, §4.2.
function rcptParameters({ envelope: { dsn } }: HandOver, offers: SmtpExtensions): string {
  return offers.hasDsn ? parameter(" NOTIFY=", dsn?.notify) + parameter(" ORCPT=", dsn?.orcpt) : "";
}

/** Left out when it could end the command: what comes by SMTP was looked at, and it is looked at again. */
function parameter(name: string, value: string | undefined): string {
  return value !== undefined && DSN_VALUE.test(value) ? name + value : "";
}

// Printable ASCII without space; RFC 3461 §4.2 allows 500 octets.
const DSN_VALUE = /^[!-~]{1,500}$/;

/** Content as it goes on the wire, with its final dot. */
export function contentWithFinalDot(transaction: SmtpTransaction): string {
  return stuffDots(transaction.content.text) + ".\r\n";
}
