// The owner of an address confirms: only now is it on the list. One transaction adds the recipient, ends what the address itself
// had said against mail of the list, and keeps the time as the proof. Said again, it changes nothing and is answered the
// same; a link whose time is over, or whose owner has unsubscribed since, changes nothing and says so.

import type { Pool, PoolClient } from "pg";
import { admitRecipient, listNamesOf } from "../campaigns/admission-store.ts";
import { emptyListData } from "../campaigns/list-data.ts";
import { readConfirmToken } from "../mail/confirm-token.ts";
import { printSubscriptionId, type SubscriptionId } from "../mail/ids.ts";
import type { Mac } from "../mail/token-octets.ts";
import type { Queryable } from "../postgres/statement.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { isUnsubscribed, resubscribe } from "../suppression/resubscribe.ts";
import {
  requestSubscription,
  type SubscriptionAnswer,
  type SubscriptionMacs,
  type SubscriptionWish,
} from "./request-subscription.ts";
import { lockSubscription, markConfirmed, readSubscription, type SubscriptionRow } from "./subscription-store.ts";

export type ConfirmationFound =
  | { readonly kind: "pending" | "confirmed"; readonly subscription: SubscriptionRow }
  | { readonly kind: "too_old" };

/** What doors need of it, with the keys read. */
export interface Subscriptions {
  request(wish: SubscriptionWish): Promise<SubscriptionAnswer>;
  /** Undefined: no token of ours. Asks nobody, once the keys are known. */
  read(token: string): Promise<SubscriptionId | undefined>;
  /** Changes nothing. */
  find(id: SubscriptionId): Promise<ConfirmationFound>;
  confirm(id: SubscriptionId): Promise<ConfirmationFound>;
}

/** By keys that may have to be asked for first. */
export function createSubscriptions(pool: Pool, macs: () => Promise<SubscriptionMacs>): Subscriptions {
  return {
    request: async (wish) => await requestSubscription(pool, wish, await macs()),
    read: async (token) => readConfirmToken(token, (await macs()).token),
    find: async (id) => await judge(pool, await readSubscription(pool, id), (await macs()).suppression),
    async confirm(id) {
      const { suppression } = await macs();
      return await inTransaction(pool, (client) => confirmSubscription(client, id, suppression));
    },
  };
}

async function confirmSubscription(client: PoolClient, id: SubscriptionId, mac: Mac): Promise<ConfirmationFound> {
  const found = await judge(client, await lockSubscription(client, id), mac);
  if (found.kind !== "pending") return found;
  const { subscription } = found;
  const { list_id: listId, list, columns, address, data } = subscription;
  await admitRecipient(client, { listId, address, empty: emptyListData(columns, address), given: data });
  const lists = () => listNamesOf(client, address);
  await resubscribe(client, mac, { address, list, lists, source: printSubscriptionId(id) });
  await markConfirmed(client, id);
  return { kind: "confirmed", subscription };
}

/** Behind a token of ours there was one: it is deleted once its time is over. */
async function judge(on: Queryable, row: SubscriptionRow | undefined, mac: Mac): Promise<ConfirmationFound> {
  if (row === undefined || row.state === "expired") return TOO_OLD;
  if (row.state === "pending") return { kind: "pending", subscription: row };
  // The link of an old mail takes nobody's unsubscribing back.
  if (await isUnsubscribed(on, mac, row.address, row.list)) return TOO_OLD;
  return { kind: "confirmed", subscription: row };
}

const TOO_OLD = { kind: "too_old" } as const;
