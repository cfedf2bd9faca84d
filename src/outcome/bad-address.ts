// Which bounces say that there is no such address: the only ones after which a recipient gets no more mail by itself. Pure,
// and only enhanced status codes count (RFC 3463 §3.2, RFC 7505, RFC 8098's neighbours in IANA's list). A code of policy
// (5.7.z) never does, nor a full or closed mailbox (5.2.z): those say nothing of the address.

import { statusNaming, type ReturnFact } from "./judge-return.ts";

/**
 * 5.1.1 no such mailbox, 5.1.3 not an address, 5.1.6 the mailbox has moved and left no address, 5.1.10 the domain takes no
 * mail. 5.1.2 (no such domain) is not among them: a name server that fails looks like it.
 */
const BAD_ADDRESS: ReadonlySet<string> = new Set(["5.1.1", "5.1.3", "5.1.6", "5.1.10"]);

export function saysBadAddress(status: string | undefined): boolean {
  return status !== undefined && BAD_ADDRESS.has(status);
}

/** Of a bounce at hand-over, by the sentence that judge-reply.ts has made of the reply. */
export function isBadAddressReply(reason: string): boolean {
  return saysBadAddress(REPLY_OF_REASON.exec(reason)?.[1]);
}

/** `relay.example:25 answered rcpt with 550 5.1.1 no such user`: anchored, since a server writes the rest. */
const REPLY_OF_REASON = /^\S+ answered (?:rcpt|data|dot) with 5\d\d (5\.\d{1,3}\.\d{1,3})(?: |$)/;

/** Of what came back: only what names this very recipient. Behind an alias somebody else's address may be the bad one. */
export function isBadAddressReturn(fact: ReturnFact, recipient: string): boolean {
  return saysBadAddress(statusNaming(fact, recipient));
}
