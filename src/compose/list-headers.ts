// The headers of mail to many: how to unsubscribe (RFC 2369, and with one click RFC 8058), and which list it is
// (RFC 2919). Written as whole lines, ASCII, folded, each ended by CRLF, so that they can be put ahead of what is written
// already. Pure, and without a regular expression for each message: it is on the road of every newsletter.

import { unsubscribeAddressOf, unsubscribeUrlOf } from "../mail/unsubscribe-token.ts";

export interface UnsubscribeBy {
  readonly url: string;
  /** Absent: nothing comes home by mail. */
  readonly address?: string | undefined;
}

/** RFC 8058 §3.1: exactly one HTTPS address; the mailto behind it is for clients that know no other. */
export function unsubscribeHeaders({ url, address }: UnsubscribeBy): string {
  const mailto = address === undefined ? "" : `,\r\n <mailto:${address}?subject=unsubscribe>`;
  return `List-Unsubscribe: <${url}>${mailto}\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n`;
}

/** Where recipients unsubscribe. */
export interface UnsubscribePlaces {
  /** Absent: there is no page, and no message gets an address to unsubscribe by. */
  readonly publicUrl: string | undefined;
  readonly returnsDomain: string | undefined;
}

interface WrittenUnsubscribe {
  readonly url: string;
  /** Header lines. */
  readonly lines: string;
}

/** `tokenOf` is asked only where there is a place: it costs an HMAC. */
export function writeUnsubscribe(tokenOf: () => string, places: UnsubscribePlaces): WrittenUnsubscribe | undefined {
  const { publicUrl, returnsDomain } = places;
  if (publicUrl === undefined) return undefined;
  const token = tokenOf();
  const url = unsubscribeUrlOf(token, publicUrl);
  const address = returnsDomain === undefined ? undefined : unsubscribeAddressOf(token, returnsDomain);
  return { url, lines: unsubscribeHeaders({ url, address }) };
}

export interface ListOfCampaign {
  /** Empty: it has none. */
  readonly list: string;
  readonly isWithoutUnsubscribe: boolean;
}

export interface WrittenListLines {
  /** Header lines, or empty. */
  readonly lines: string;
  /** What a template prints as `unsubscribe_url`. */
  readonly url: string | undefined;
  /** The list's name, if it has one. */
  readonly list: string | undefined;
}

/** Of a campaign's message. `own`: the headers that the template brings. */
export function campaignListLines(
  { list, isWithoutUnsubscribe }: ListOfCampaign,
  tokenOf: () => string,
  given: UnsubscribePlaces & { readonly domain: string; readonly own: OwnListHeaders },
): WrittenListLines {
  const { domain, own } = given;
  const by = isWithoutUnsubscribe ? undefined : writeUnsubscribe(tokenOf, given);
  const unsubscribe = own.hasUnsubscribe ? "" : (by?.lines ?? "");
  return { lines: unsubscribe + listIdLine(list, domain, own), url: by?.url, list: list || undefined };
}

export function listIdLine(list: string | undefined, domain: string, own: OwnListHeaders): string {
  return list === undefined || list === "" || own.hasListId ? "" : listIdHeader(list, domain);
}

/** Empty when the list and the domain together are longer than a list's id may be, or the domain is not ASCII. */
export function listIdHeader(list: string, domain: string): string {
  const id = `<${labelOf(list)}.${domain}>`;
  if (id.length > LIST_ID_CHARS_MAX || Buffer.byteLength(id) !== id.length) return "";
  const phrase = list.includes(".") ? `"${list}"` : list;
  return phrase.length + id.length > WANTED_CHARS ? `List-Id: ${phrase}\r\n ${id}\r\n` : `List-Id: ${phrase} ${id}\r\n`;
}

/** RFC 2919 §8. */
const LIST_ID_CHARS_MAX = 255;
/** So that the line has 78 at most (RFC 5322 §2.1.1). */
const WANTED_CHARS = 67;

/** Dots may stand in a list's name, but not at the ends of a dot-atom, nor side by side. */
function labelOf(list: string): string {
  if (!list.includes(".")) return list;
  const atoms = list.split(".").filter((atom) => atom !== "");
  return atoms.length === 0 ? "list" : atoms.join(".");
}

export interface OwnListHeaders {
  readonly hasUnsubscribe: boolean;
  readonly hasListId: boolean;
}

/** Of headers that a caller or a template brings by name. */
export function ownListHeaders(headers: Readonly<Record<string, unknown>> | undefined): OwnListHeaders {
  const own = { hasUnsubscribe: false, hasListId: false };
  for (const name in headers) note(own, name.toLowerCase());
  return own;
}

/**
 * Of a whole mail. One that was signed so that no List-Unsubscribe may be added (RFC 6376 §5.4: names in `h=` of fields that
 * are not there) counts as having one: adding ours would break the signature.
 */
export function listHeadersIn(mail: string): OwnListHeaders {
  const own = { hasUnsubscribe: false, hasListId: false };
  const end = mail.indexOf("\r\n\r\n");
  const header = (end === -1 ? mail : mail.slice(0, end)).toLowerCase();
  for (let at = 0; at < header.length;) {
    const next = endOfField(header, at);
    const colon = header.indexOf(":", at);
    if (colon !== -1 && colon < next) noteField(own, header.slice(at, colon).trimEnd(), header, colon, next);
    at = next;
  }
  return own;
}

interface Noted {
  hasUnsubscribe: boolean;
  hasListId: boolean;
}

function note(own: Noted, name: string): void {
  if (name === "list-unsubscribe" || name === "list-unsubscribe-post") own.hasUnsubscribe = true;
  else if (name === "list-id") own.hasListId = true;
}

function noteField(own: Noted, name: string, header: string, from: number, to: number): void {
  note(own, name);
  if (name !== "dkim-signature") return;
  const value = header.slice(from, to);
  if (value.includes("list-unsubscribe")) own.hasUnsubscribe = true;
  if (value.includes("list-id")) own.hasListId = true;
}

/** A line that begins with white space goes on with the field before it. */
function endOfField(header: string, start: number): number {
  for (let at = start; ;) {
    const end = header.indexOf("\r\n", at);
    if (end === -1) return header.length;
    const first = header[end + 2];
    if (first !== " " && first !== "\t") return end + 2;
    at = end + 2;
  }
}
