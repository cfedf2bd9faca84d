// Bounces at hand-over that say that there is no such address become strikes, in the transaction that settles them: on the
// usual way, by a journal, and late. Reads the recipient only of those.

import type { ClientBase } from "pg";
import { printMessageId, type MessageId } from "../mail/ids.ts";
import { isBadAddressReply } from "../outcome/bad-address.ts";
import { addStrikes, readRecipients } from "./strike-store.ts";

export interface SettledBounce {
  readonly messageId: MessageId;
  readonly kind: string;
  readonly reply?: string | undefined;
}

/** Of these events, those that are such bounces. */
export async function strikeBadAddresses(client: ClientBase, events: readonly SettledBounce[]): Promise<void> {
  const bounced = events.filter(({ kind, reply }) => kind === "bounced" && isBadAddressReply(reply ?? ""));
  if (bounced.length === 0) return;
  const recipients = await readRecipients(
    client,
    bounced.map(({ messageId }) => messageId),
  );
  await addStrikes(
    client,
    recipients.map(({ id, recipient }) => bounceOf(id, recipient)),
  );
}

/** Nobody's message strikes twice, whoever tells of it. */
export function bounceOf(id: MessageId, address: string) {
  const message = printMessageId(id);
  return { address, reason: "bounce", source: message, about: message } as const;
}
