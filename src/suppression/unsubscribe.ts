// A recipient wants no more: by the token of a message, from its list, or from all bulk mail where it has none or they
// say so. One transaction writes the suppression and the event that the site's webhooks tell. Said again, it changes
// nothing and is answered the same. A token that is forged, of another database or too old changes nothing, and says so.

import type { ClientBase, Pool } from "pg";
import { appendEvents } from "../events/event-store.ts";
import { printMessageId, type MessageId } from "../mail/ids.ts";
import type { Mac } from "../mail/token-octets.ts";
import { readUnsubscribeToken } from "../mail/unsubscribe-token.ts";
import { wordsOfUnsubscribe } from "../mail/unsubscribe-words.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { suppressionHash, suppressionName } from "./suppression-hash.ts";
import { addUnsubscribes, readAddressed, type AddressedMessage, type NewUnsubscribe } from "./unsubscribe-store.ts";

const DAY_MS = 86_400_000;
/** From the acceptance of the message on. People keep mail, and laws want weeks; a click after that is more likely a robot's. */
export const UNSUBSCRIBE_DAYS_MAX = 5 * 365;

/** Both under secrets of this database. */
export interface UnsubscribeMacs {
  readonly token: Mac;
  readonly suppression: Mac;
}

export type TokenFound =
  | { readonly kind: "message"; readonly message: AddressedMessage }
  /** No token of ours, or its message is not there any more. */
  | { readonly kind: "invalid" }
  | { readonly kind: "too_old" };

/** How it was said: told in the event. */
export type UnsubscribeDoor = "one_click" | "page" | "mail";

export interface UnsubscribeWish {
  readonly messageId: MessageId;
  /** From all bulk mail, although the message has a list. */
  readonly isAll: boolean;
  readonly door: UnsubscribeDoor;
}

export type Unsubscribed = Exclude<TokenFound, { readonly kind: "message" }> | UnsubscribedMessage;

export interface UnsubscribedMessage {
  readonly kind: "unsubscribed";
  readonly message: AddressedMessage;
  /** Empty: all bulk mail. */
  readonly list: string;
  /** False: it was so before. */
  readonly isNew: boolean;
}

/** What a door needs of it, with the keys read. */
export interface Unsubscriber {
  /** Undefined: no token of ours. Asks nobody, once the keys are known. */
  read(token: string): Promise<MessageId | undefined>;
  /** Changes nothing. */
  find(messageId: MessageId): Promise<TokenFound>;
  unsubscribe(wish: UnsubscribeWish): Promise<Unsubscribed>;
}

/** By keys that may have to be asked for first. */
export function createUnsubscriber(pool: Pool, macs: () => Promise<UnsubscribeMacs>): Unsubscriber {
  return {
    read: async (token) => readUnsubscribeToken(token, (await macs()).token),
    async find(messageId) {
      const [message] = await readAddressed(pool, [messageId]);
      return judgeAge(message);
    },
    async unsubscribe(wish) {
      const known = await macs();
      const [done] = await inTransaction(pool, (client) => unsubscribeAll(client, [wish], known));
      return done!;
    },
  };
}

/** In the caller's transaction; the answers come in the order of the wishes. */
export async function unsubscribeAll(
  client: ClientBase,
  wishes: readonly UnsubscribeWish[],
  macs: UnsubscribeMacs,
): Promise<readonly Unsubscribed[]> {
  const messages = await readAddressed(client, [...new Set(wishes.map(({ messageId }) => messageId))]);
  const byId = new Map(messages.map((message) => [message.id, message]));
  const judged = wishes.map((wish) => ({ wish, found: judgeAge(byId.get(wish.messageId)) }));
  const valid = judged.flatMap(({ wish, found }) => (found.kind === "message" ? [{ wish, ...found }] : []));
  const added = new Set(
    await addUnsubscribes(
      client,
      valid.map(({ wish, message }) => unsubscribeOf(wish, message, macs)),
    ),
  );
  const done = judged.map(({ wish, found }): Unsubscribed => {
    if (found.kind !== "message") return found;
    const { message } = found;
    // Of several wishes of one message in one batch the first is the new one.
    const isNew = added.delete(printMessageId(message.id));
    return { kind: "unsubscribed", message, list: listOf(wish, message), isNew };
  });
  await appendEvents(
    client,
    done.flatMap((one, index) => eventOf(one, wishes[index]!)),
  );
  return done;
}

const INVALID = { kind: "invalid" } as const;

function judgeAge(message: AddressedMessage | undefined): TokenFound {
  if (message === undefined) return INVALID;
  return message.age_ms > UNSUBSCRIBE_DAYS_MAX * DAY_MS ? { kind: "too_old" } : { kind: "message", message };
}

function listOf({ isAll }: UnsubscribeWish, { list }: AddressedMessage): string {
  return isAll ? "" : list;
}

function unsubscribeOf(wish: UnsubscribeWish, message: AddressedMessage, macs: UnsubscribeMacs): NewUnsubscribe {
  return {
    hash: Buffer.from(suppressionHash(message.recipient, macs.suppression)).toString("hex"),
    address: suppressionName(message.recipient),
    list: listOf(wish, message),
    source: printMessageId(message.id),
  };
}

/** Attempt 0: it is about none of them. */
function eventOf(done: Unsubscribed, { door }: UnsubscribeWish) {
  if (done.kind !== "unsubscribed" || !done.isNew) return [];
  const reply = wordsOfUnsubscribe(done.list);
  return [{ messageId: done.message.id, attempt: 0, kind: "unsubscribed", host: door, reply }];
}
