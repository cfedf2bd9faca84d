// What a sender may submit: which lanes, and from which domains. Pure; says what to do. The scope is the door's affair,
// since each of its requests needs another one.

import { domainToASCII } from "node:url";
import { addressProblem, domainOf } from "../mail/address.ts";
import type { Sender } from "./sender.ts";

export interface NotAllowed {
  readonly field: "lane" | "from";
  readonly message: string;
  readonly hint: string;
}

/** The one that was asked for, else the sender's first, else `transactional`. */
export function laneFor(sender: Sender, lane: string | undefined): string {
  return lane ?? sender.lanes?.[0] ?? "transactional";
}

/** `from`: the addresses of the header From and of MAIL FROM. The null sender is nobody's, and so always allowed. */
export function whyNotAllowed(
  { lanes, fromDomains }: Sender,
  given: { readonly lane: string; readonly from: readonly string[] },
): NotAllowed | undefined {
  if (lanes !== undefined && !lanes.includes(given.lane)) return otherLane(given.lane, lanes);
  if (fromDomains === undefined) return undefined;
  const other = given.from.find((address) => !isNull(address) && !fromDomains.includes(asciiDomainOf(address)));
  return other === undefined ? undefined : otherDomain(other, fromDomains);
}

/** MAIL FROM:<> (RFC 5321 §4.5.5). */
function isNull(address: string): boolean {
  return address === "" || address === "<>";
}

/**
 * `Büro@Bücher.example` and `büro@xn--bcher-kva.example` are of one domain (RFC 5890 §2.3.2.1). Empty: of none. Only what
 * can be a domain is converted: the conversion is that of URLs, and would take `shop.example/x` for `shop.example`.
 */
function asciiDomainOf(address: string): string {
  const domain = domainOf(address);
  if (!address.includes("@") || addressProblem(`a@${domain}`) !== undefined) return "";
  return ASCII.test(domain) ? domain : domainToASCII(domain);
}

const ASCII = /^[\u0021-\u007e]+$/;

function otherLane(lane: string, lanes: readonly string[]): NotAllowed {
  return {
    field: "lane",
    message: `this key may not use the lane ${printable(lane)}`,
    hint: `Its lanes: ${lanes.join(", ")}. Leave the lane out for the first of them, or use another key.`,
  };
}

function otherDomain(address: string, domains: readonly string[]): NotAllowed {
  return {
    field: "from",
    message: `this key may not send from ${printable(asciiDomainOf(address) || address)}`,
    hint: `Its domains: ${domains.join(", ")}. A subdomain is another domain. Use an address of one of them, or another key.`,
  };
}

const PRINTED_CHARS_MAX = 100;

/** A client's text within ours: in quotes, cut, and nothing in it that a terminal or a log would obey. */
function printable(text: string): string {
  return JSON.stringify(text.slice(0, PRINTED_CHARS_MAX)).replaceAll(/[^\u0020-\u007e]/gu, "?");
}

/** SMTP and sendmail on this machine, without a key: may do what a program on it could do anyway. */
export const LOOPBACK_SENDER: Sender = {
  credential: "loopback",
  scope: "send",
  getsNotices: true,
  isDeduplicated: true,
};
