// Whom a message is from, and what it is called: the envelope's sender and the Message-ID's domain come from the same mailbox.

import { domainOf, parseMailbox } from "../mail/address.ts";
import type { Envelope } from "../mail/envelope.ts";
import { printMessageId, type MessageId } from "../mail/ids.ts";
import { wireAddress } from "./mailbox-header.ts";

export interface Sender {
  readonly address: string;
  /** Of the Message-IDs: as it goes on the wire. */
  readonly domain: string;
}

export interface NamedMessage {
  readonly message_id: MessageId;
  readonly accepted_ms: number;
}

// The same for every attempt of a message, so that whoever gets a second copy can tell (RFC 5322 §3.6.4). The time of
// acceptance keeps two databases apart.
export function messageIdOf(row: NamedMessage, sender: Sender): string {
  return `${printMessageId(row.message_id)}.${Math.round(row.accepted_ms).toString(36)}@${sender.domain}`;
}

// Return path `keep`: failures go to whom the mail is from.
export function envelopeOf(row: { readonly recipient: string }, sender: Sender): Envelope {
  return { sender: sender.address, recipient: row.recipient };
}

export function senderOf(mailbox: string): Sender {
  const parsed = parseMailbox(mailbox);
  if (parsed.kind === "bad") throw new Error(`the sender ${mailbox} is not an address: ${parsed.reason}`);
  const { address } = parsed;
  return { address, domain: domainOf(wireAddress(address) ?? address) };
}
