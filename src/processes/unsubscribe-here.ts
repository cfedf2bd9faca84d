// The keys that unsubscribing and confirming need, read from the database. For the pages they are asked for when the first
// one comes, and again until they are had: the front listens before the database is there.

import type { Pool } from "pg";
import { createMac } from "../platform/mac.ts";
import { readSubscriptionKey, readSuppressionKey, readUnsubscribeKey } from "../postgres/secret-store.ts";
import { createSubscriptions, type Subscriptions } from "../subscriptions/confirm-subscription.ts";
import { createUnsubscriber, type Unsubscriber, type UnsubscribeMacs } from "../suppression/unsubscribe.ts";

export async function readUnsubscribeMacs(pool: Pool): Promise<UnsubscribeMacs> {
  const [token, suppression] = await Promise.all([readUnsubscribeKey(pool), readSuppressionKey(pool)]);
  return { token: createMac(token), suppression: createMac(suppression) };
}

export function unsubscriberOf(pool: Pool): Unsubscriber {
  return createUnsubscriber(
    pool,
    readOnce(() => readUnsubscribeMacs(pool)),
  );
}

export function subscriptionsOf(pool: Pool): Subscriptions {
  return createSubscriptions(
    pool,
    readOnce(async () => {
      const [token, suppression] = await Promise.all([readSubscriptionKey(pool), readSuppressionKey(pool)]);
      return { token: createMac(token), suppression: createMac(suppression) };
    }),
  );
}

/** What has failed is tried again. */
function readOnce<T>(read: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | undefined;
  return async () => {
    known ??= read();
    try {
      return await known;
    } catch (error) {
      known = undefined;
      throw error;
    }
  };
}
