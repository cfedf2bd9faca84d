// The token by which the owner of an address confirms that they want to be on a list: in `PUBLIC_URL/confirm/TOKEN`. It names
// the subscription. Under a key of its own, so that no token to unsubscribe by is one, nor the other way round. Made and read
// here only; the key comes in with the MAC, so that this file stays pure. Whether it has expired is not in it.

import type { SubscriptionId } from "./ids.ts";
import { idToken, readIdToken, type Mac } from "./token-octets.ts";

/** Behind the path of `public_url`. */
export const CONFIRM_PATH = "/confirm/";

export function confirmUrlOf(id: SubscriptionId, publicUrl: string, mac: Mac): string {
  return publicUrl + CONFIRM_PATH + idToken(id, mac);
}

/** Undefined when it is no token, or none of ours. */
export function readConfirmToken(token: string, mac: Mac): SubscriptionId | undefined {
  return readIdToken(token, mac) as SubscriptionId | undefined;
}
