// Mail to `u+TOKEN@` the returns domain, the mailto of List-Unsubscribe: whoever sent it, whatever it says, the recipient
// of that message has unsubscribed. All of a batch in the batch's transaction. The mail itself is not kept.

import type { ClientBase } from "pg";
import type { MessageId } from "../mail/ids.ts";
import { unsubscribeAll, type Unsubscribed, type UnsubscribeMacs } from "../suppression/unsubscribe.ts";

/** Judgements beside those of returns; `repeated` and `nobodys` mean the same as there. */
export const UNSUBSCRIBE_WORDS = ["unsubscribed", "too_old"] as const;
export type UnsubscribeWord = (typeof UNSUBSCRIBE_WORDS)[number] | "repeated" | "nobodys";

/** By the id of the return. */
export async function takeUnsubscribes(
  client: ClientBase,
  mails: readonly { readonly returnId: number; readonly messageId: MessageId }[],
  macs: UnsubscribeMacs,
): Promise<ReadonlyMap<number, UnsubscribeWord>> {
  if (mails.length === 0) return new Map();
  const wishes = mails.map(({ messageId }) => ({ messageId, isAll: false, door: "mail" as const }));
  const done = await unsubscribeAll(client, wishes, macs);
  return new Map(done.map((one, index) => [mails[index]!.returnId, wordOf(one)]));
}

function wordOf(done: Unsubscribed): UnsubscribeWord {
  switch (done.kind) {
    case "unsubscribed":
      return done.isNew ? "unsubscribed" : "repeated";
    case "too_old":
      return "too_old";
    case "invalid":
      return "nobodys";
  }
}
