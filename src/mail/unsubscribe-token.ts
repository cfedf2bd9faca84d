// The token by which a recipient unsubscribes: in `PUBLIC_URL/u/TOKEN` and `u+TOKEN@returns.example`. It names the message,
// and so its recipient and its list. Under a key of its own, so that no return path is one. Made and read here only; the
// key comes in with the MAC, so that this file stays pure. Whether it is still valid is a question of the message's age,
// which is not in it.

import type { MessageId } from "./ids.ts";
import { idToken, readIdToken, tokenBehind, type Mac } from "./token-octets.ts";

const UNSUBSCRIBE_PREFIX = "u+";
/** Behind the path of `public_url`. */
export const UNSUBSCRIBE_PATH = "/u/";

export function unsubscribeTokenOf(messageId: MessageId, mac: Mac): string {
  return idToken(messageId, mac);
}

export function unsubscribeUrlOf(token: string, publicUrl: string): string {
  return publicUrl + UNSUBSCRIBE_PATH + token;
}

export function unsubscribeAddressOf(token: string, domain: string): string {
  return `${UNSUBSCRIBE_PREFIX}${token}@${domain}`;
}

/** Undefined when it is no token, or none of ours. */
export function readUnsubscribeToken(token: string, mac: Mac): MessageId | undefined {
  return readIdToken(token, mac) as MessageId | undefined;
}

/** `u+TOKEN@domain`, in whatever case → the token; undefined for any other address. */
export function tokenOfUnsubscribeAddress(address: string, domain: string): string | undefined {
  return tokenBehind(UNSUBSCRIBE_PREFIX, address, domain);
}
