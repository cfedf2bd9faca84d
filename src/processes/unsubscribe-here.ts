// The keys that unsubscribing needs, read from the database. For the page they are asked for when the first one comes, and
// again until they are had: the front listens before the database is there.

import type { Pool } from "pg";
import { createMac } from "../platform/mac.ts";
import { readSuppressionKey, readUnsubscribeKey } from "../postgres/secret-store.ts";
import { createUnsubscriber, type Unsubscriber, type UnsubscribeMacs } from "../suppression/unsubscribe.ts";

export async function readUnsubscribeMacs(pool: Pool): Promise<UnsubscribeMacs> {
  const [token, suppression] = await Promise.all([readUnsubscribeKey(pool), readSuppressionKey(pool)]);
  return { token: createMac(token), suppression: createMac(suppression) };
}

export function unsubscriberOf(pool: Pool): Unsubscriber {
  let macs: Promise<UnsubscribeMacs> | undefined;
  return createUnsubscriber(pool, async () => {
    macs ??= readUnsubscribeMacs(pool);
    try {
      return await macs;
    } catch (error) {
      macs = undefined;
      throw error;
    }
  });
}
