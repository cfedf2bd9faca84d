// People who unsubscribe, for tests: newsletters with a list and data, their tokens, and what the database has of it.

import type { Pool } from "pg";
import type { MessageId } from "../../src/mail/ids.ts";
import { unsubscribeTokenOf } from "../../src/mail/unsubscribe-token.ts";
import { createMac } from "../../src/platform/mac.ts";
import { readUnsubscribeKey } from "../../src/postgres/secret-store.ts";
import { addRecipient, createCampaign } from "./lane-mail.ts";

export interface Newsletter {
  readonly id: MessageId;
  readonly token: string;
}

let made = 0;

/** A message of a campaign of its own, in lane bulk. */
export async function newsletter(
  pool: Pool,
  given: { readonly list?: string; readonly to?: string; readonly data?: Readonly<Record<string, unknown>> } = {},
): Promise<Newsletter> {
  const { list = "weekly-news", to = "ann@example.com", data = {} } = given;
  const campaign = await createCampaign(pool, { name: `unsubscribe-${++made}`, list });
  const id = await addRecipient(pool, campaign, to, { first_name: "Ann", ...data });
  return { id, token: await tokenOfMessage(pool, id) };
}

export async function tokenOfMessage(pool: Pool, id: MessageId): Promise<string> {
  return unsubscribeTokenOf(id, createMac(await readUnsubscribeKey(pool)));
}

export interface SuppressionRow {
  readonly address: string;
  readonly scope: string;
  readonly list: string;
  readonly reason: string;
  readonly source: string;
}

export async function suppressionsIn(pool: Pool): Promise<readonly SuppressionRow[]> {
  const { rows } = await pool.query<SuppressionRow>(
    "SELECT address, scope, list, reason, source FROM postlane.suppression ORDER BY created_at, scope, list",
  );
  return rows;
}
