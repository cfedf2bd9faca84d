// The recipients of a preflight, chunk by chunk, each with who of them is suppressed; while one is rendered the next is read.

import type { Pool } from "pg";
import type { CampaignRow } from "../campaigns/campaign-store.ts";
import { suppressedAmong } from "../suppression/claimed-store.ts";
import { recipientsNumbered, recipientsOf, spreadOver, type ListedRecipient, type Stretch } from "./recipient-store.ts";

/** As many as the feeder takes. */
const CHUNK_ROWS = 2000;

export interface Chunk {
  readonly recipients: readonly ListedRecipient[];
  /** By place, why. */
  readonly suppressed: ReadonlyMap<number, string>;
}

export interface Reading {
  readonly pool: Pool;
  readonly campaign: CampaignRow;
  readonly stretches: readonly Stretch[];
  /** Of each stretch, 0 to 1; 1: all of it. */
  readonly share: number;
  readonly isBulk: boolean;
}

export async function* readAhead(reading: Reading): AsyncGenerator<Chunk> {
  const source = chunksOf(reading);
  let next = source.next();
  for (;;) {
    const { done, value } = await next;
    if (done === true) return;
    next = source.next();
    // Whoever ends early does not ask for it.
    next.catch(() => {});
    yield value;
  }
}

async function* chunksOf(reading: Reading): AsyncGenerator<Chunk> {
  const { pool, campaign, isBulk } = reading;
  for await (const recipients of reading.share < 1 ? sampled(reading) : whole(reading)) {
    const addresses = recipients.map(({ address }) => address);
    const suppressed = await suppressedAmong(pool, addresses, { list: campaign.list, isBulk });
    yield { recipients, suppressed };
  }
}

async function* whole({ pool, campaign, stretches }: Reading): AsyncGenerator<readonly ListedRecipient[]> {
  for (const stretch of stretches) {
    let afterN = stretch.after_n;
    for (;;) {
      const recipients = await recipientsOf(pool, campaign.list_id, stretch, afterN, CHUNK_ROWS);
      if (recipients.length > 0) yield recipients;
      if (recipients.length < CHUNK_ROWS) break;
      afterN = recipients.at(-1)!.n;
    }
  }
}

async function* sampled({ pool, campaign, stretches, share }: Reading): AsyncGenerator<readonly ListedRecipient[]> {
  for (const stretch of stretches) {
    const numbers = await spreadOver(pool, campaign.list_id, stretch, share);
    for (let at = 0; at < numbers.length; at += CHUNK_ROWS) {
      const recipients = await recipientsNumbered(pool, campaign.list_id, numbers.slice(at, at + CHUNK_ROWS));
      if (recipients.length > 0) yield recipients;
    }
  }
}
