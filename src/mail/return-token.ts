// The token in a return path: `b+TOKEN@returns.example` (VERP) names the attempt, so that a failure notice or a line of
// a relay's log tells by its address alone which message it is about, and a stale one is told from the latest. Made and
// read here only; the key and the MAC come in as an argument, so that this file stays pure.
//
// 15 octets in base32 (RFC 4648 §6, lower case: many hosts change a local part's case): 7 of the message's id, 2 of the
// attempt, 6 of an HMAC-SHA-256 over both. 24 characters, so the local part has 26 of the 64 that RFC 5321 §4.5.3.1.1
// allows. 48 bits of MAC: who sends a million forged notices a day hits a token once in 770,000 years.

import type { MessageId } from "./ids.ts";

export interface AttemptName {
  readonly messageId: MessageId;
  readonly attempt: number;
}

/** HMAC-SHA-256 under the secret of this database. */
export type Mac = (data: Uint8Array) => Uint8Array;

export const RETURN_PREFIX = "b+";

export function returnPathOf(name: AttemptName, domain: string, mac: Mac): string {
  return `${RETURN_PREFIX}${tokenOf(name, mac)}@${domain}`;
}

export function tokenOf({ messageId, attempt }: AttemptName, mac: Mac): string {
  const octets = new Uint8Array(TOKEN_OCTETS);
  writeNumber(octets, 0, ID_OCTETS, messageId);
  writeNumber(octets, ID_OCTETS, ATTEMPT_OCTETS, attempt);
  octets.set(mac(octets.subarray(0, NAME_OCTETS)).subarray(0, MAC_OCTETS), NAME_OCTETS);
  return encodeBase32(octets);
}

/** Undefined when it is no token, or none of ours. */
export function readToken(token: string, mac: Mac): AttemptName | undefined {
  const octets = decodeBase32(token);
  if (octets === undefined) return undefined;
  const expected = mac(octets.subarray(0, NAME_OCTETS));
  let difference = 0;
  for (let index = 0; index < MAC_OCTETS; index++) difference |= octets[NAME_OCTETS + index]! ^ expected[index]!;
  return difference === 0 ? readName(octets) : undefined;
}

/** What a token claims to name, unproven: for whoever has no key, and only looks for an attempt that it knows of. */
export function claimedName(token: string): AttemptName | undefined {
  const octets = decodeBase32(token);
  return octets === undefined ? undefined : readName(octets);
}

/** `b+TOKEN@domain`, in whatever case → the token; undefined for any other address. */
export function tokenOfReturnPath(address: string, domain: string): string | undefined {
  const lower = address.toLowerCase();
  if (!lower.startsWith(RETURN_PREFIX) || !lower.endsWith(`@${domain.toLowerCase()}`)) return undefined;
  return lower.slice(RETURN_PREFIX.length, lower.length - domain.length - 1);
}

const ID_OCTETS = 7;
const ATTEMPT_OCTETS = 2;
const MAC_OCTETS = 6;
const NAME_OCTETS = ID_OCTETS + ATTEMPT_OCTETS;
const TOKEN_OCTETS = NAME_OCTETS + MAC_OCTETS;
const TOKEN_CHARS = (TOKEN_OCTETS * 8) / 5;

function readName(octets: Uint8Array): AttemptName {
  return {
    messageId: readNumber(octets, 0, ID_OCTETS) as MessageId,
    attempt: readNumber(octets, ID_OCTETS, ATTEMPT_OCTETS),
  };
}

// Ids have up to 53 bits, so no bitwise operators.
function writeNumber(octets: Uint8Array, at: number, count: number, value: number): void {
  let rest = value;
  for (let index = at + count - 1; index >= at; index--) {
    octets[index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function readNumber(octets: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index++) value = value * 256 + octets[index]!;
  return value;
}

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** Of a multiple of 5 octets. */
function encodeBase32(octets: Uint8Array): string {
  let text = "";
  let bits = 0;
  let buffer = 0;
  for (const octet of octets) {
    buffer = (buffer << 8) | octet;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += ALPHABET[(buffer >>> bits) & 31];
    }
    buffer &= (1 << bits) - 1;
  }
  return text;
}

function decodeBase32(text: string): Uint8Array | undefined {
  if (text.length !== TOKEN_CHARS) return undefined;
  const octets = new Uint8Array(TOKEN_OCTETS);
  let bits = 0;
  let buffer = 0;
  let at = 0;
  for (const character of text.toLowerCase()) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return undefined;
    buffer = (buffer << 5) | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    octets[at++] = buffer >>> bits;
    buffer &= (1 << bits) - 1;
  }
  return octets;
}
