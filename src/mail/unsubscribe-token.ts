// The token by which a recipient unsubscribes: in `PUBLIC_URL/u/TOKEN` and `u+TOKEN@returns.example`. It names the message,
// and so its recipient and its list. Under a key of its own, so that no return path is one. Made and read here only; the
// key comes in with the MAC, so that this file stays pure. Whether it is still valid is a question of the message's age,
// which is not in it.
//
// 7 octets of the message's id, 8 of an HMAC-SHA-256 over it (token-octets.ts has the rest). 64 bits of MAC: who tries a
// thousand a second hits one of a billion messages once in 200 days, and a rate limit stands before.

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

const UNSUBSCRIBE_PREFIX = "u+";
/** Behind the path of `public_url`. */
export const UNSUBSCRIBE_PATH = "/u/";

export function unsubscribeTokenOf(messageId: MessageId, mac: Mac): string {
  const octets = new Uint8Array(TOKEN_OCTETS);
  writeNumber(octets, 0, ID_OCTETS, messageId);
  return sealToken(octets, ID_OCTETS, mac);
}

export function unsubscribeUrlOf(token: string, publicUrl: string): string {
  return publicUrl + UNSUBSCRIBE_PATH + token;
}

export function unsubscribeAddressOf(token: string, domain: string): string {
  return `${UNSUBSCRIBE_PREFIX}${token}@${domain}`;
}

/** Undefined when it is no token, or none of ours. */
export function readUnsubscribeToken(token: string, mac: Mac): MessageId | undefined {
  const octets = decodeToken(token);
  if (octets === undefined || !isSealed(octets, ID_OCTETS, mac)) return undefined;
  return readNumber(octets, 0, ID_OCTETS) as MessageId;
}

/** `u+TOKEN@domain`, in whatever case → the token; undefined for any other address. */
export function tokenOfUnsubscribeAddress(address: string, domain: string): string | undefined {
  return tokenBehind(UNSUBSCRIBE_PREFIX, address, domain);
}

const ID_OCTETS = 7;
