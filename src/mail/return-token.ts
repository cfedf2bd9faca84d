// The token in a return path: `b+TOKEN@returns.example` (VERP) names the attempt, so that a failure notice or a line of
// a relay's log tells by its address alone which message it is about, and a stale one is told from the latest. Made and
// read here only; the key and the MAC come in as an argument, so that this file stays pure.
//
// 7 octets of the message's id, 2 of the attempt, 6 of an HMAC-SHA-256 over both (token-octets.ts has the rest). With its
// prefix the local part has 26 of the 64 characters that RFC 5321 §4.5.3.1.1 allows. 48 bits of MAC: who sends a million
// forged notices a day hits a token once in 770,000 years.

import type { MessageId } from "./ids.ts";
import {
  decodeToken,
  isSealed,
  readNumber,
  sealToken,
  tokenBehind,
  TOKEN_OCTETS,
  writeNumber,
  type Mac,
} from "./token-octets.ts";

export interface AttemptName {
  readonly messageId: MessageId;
  readonly attempt: number;
}

export const RETURN_PREFIX = "b+";

export function returnPathOf(name: AttemptName, domain: string, mac: Mac): string {
  return `${RETURN_PREFIX}${tokenOf(name, mac)}@${domain}`;
}

export function tokenOf({ messageId, attempt }: AttemptName, mac: Mac): string {
  const octets = new Uint8Array(TOKEN_OCTETS);
  writeNumber(octets, 0, ID_OCTETS, messageId);
  writeNumber(octets, ID_OCTETS, ATTEMPT_OCTETS, attempt);
  return sealToken(octets, NAME_OCTETS, mac);
}

/** Undefined when it is no token, or none of ours. */
export function readToken(token: string, mac: Mac): AttemptName | undefined {
  const octets = decodeToken(token);
  return octets !== undefined && isSealed(octets, NAME_OCTETS, mac) ? readName(octets) : undefined;
}

/** What a token claims to name, unproven: for whoever has no key, and only looks for an attempt that it knows of. */
export function claimedName(token: string): AttemptName | undefined {
  const octets = decodeToken(token);
  return octets === undefined ? undefined : readName(octets);
}

/** `b+TOKEN@domain`, in whatever case → the token; undefined for any other address. */
export function tokenOfReturnPath(address: string, domain: string): string | undefined {
  return tokenBehind(RETURN_PREFIX, address, domain);
}

const ID_OCTETS = 7;
const ATTEMPT_OCTETS = 2;
const NAME_OCTETS = ID_OCTETS + ATTEMPT_OCTETS;

function readName(octets: Uint8Array): AttemptName {
  return {
    messageId: readNumber(octets, 0, ID_OCTETS) as MessageId,
    attempt: readNumber(octets, ID_OCTETS, ATTEMPT_OCTETS),
  };
}
