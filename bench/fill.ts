// Fills the queue straight by SQL with what an import would have made, a million rows in a few seconds.

import type { ClientBase, Pool } from "pg";
import { insertCampaign, makeRecipients } from "../test/rig/campaign-list.ts";

export interface Fill {
  readonly campaign: string;
  readonly status: "running" | "paused";
  readonly rows: number;
  readonly destinations: number;
  /** Destinations below this number get a third of the rows. */
  readonly largeDestinations?: number;
}

/** An import writes so many rows at once, sorted by destination. */
const CHUNK_ROWS = 5_000;

const TEMPLATE = {
  from: "News <news@example.com>",
  subject: "Hello {{ first_name }}",
  text: `Hello {{ first_name }},\n\n${"The quick brown fox jumps over the lazy dog. ".repeat(16)}\n`,
  html: `<html><body><h1>Hello {{ first_name }}</h1><p>${"The quick brown fox jumps over the lazy dog. ".repeat(18)}</p></body></html>`,
};

export async function fillQueue(pool: Pool, lane: string, fill: Fill): Promise<void> {
  const { campaign, status, rows, destinations, largeDestinations = 0 } = fill;
  const id = await insertCampaign(pool, { name: campaign, lane, status, template: TEMPLATE });
  const { rows: made } = await pool.query("SELECT lane_id, content_id FROM postlane.campaign WHERE id = $1", [id]);
  const { lane_id, content_id } = made[0];
  const client = await pool.connect();
  // One statement of this size takes longer than the sessions' own limit for a statement.
  for (let from = 0; from < rows; from += 100_000) {
    await client.query(
      `WITH row AS (
         INSERT INTO postlane.message (campaign_id, lane_id, content_id, recipient, data)
         SELECT $1, $2, $3, recipient, json_build_object('first_name', 'Ann ' || i)
         FROM generate_series($4::integer, $7::integer) AS i, LATERAL (
           SELECT 'user' || i || '@d' || CASE WHEN i % 3 = 0 AND $6 > 0 THEN i / 3 % greatest($6, 1)
             ELSE i::bigint * 7919 % $5 END || '.example.com' AS recipient
         ) AS row
         ORDER BY i / ${CHUNK_ROWS}, postlane.destination_of(recipient), i RETURNING id, recipient
       )
       INSERT INTO postlane.queue (message_id, due_at, campaign_id, accepted_on, lane_id, state, destination)
       SELECT id, clock_timestamp(), $1, (now() AT TIME ZONE 'UTC')::date, $2, 'queued', postlane.destination_of(recipient) FROM row`,
      [id, lane_id, content_id, from, destinations, largeDestinations, Math.min(rows, from + 100_000) - 1],
    );
  }
  await client.query(
    "INSERT INTO postlane.balance_delta VALUES ($1, $2, (now() AT TIME ZONE 'UTC')::date, 'queued', $3)",
    [lane_id, id, rows],
  );
  client.release();
}

/** A paused campaign in lane bulk, to so many recipients of each group of domains, in turns. */
export async function fillDomains(
  client: ClientBase,
  campaign: string,
  groups: readonly { readonly domains: readonly string[]; readonly rows: number }[],
): Promise<void> {
  const id = await insertCampaign(client, { name: campaign, lane: "bulk", status: "paused", template: TEMPLATE });
  for (const [group, { domains, rows }] of groups.entries()) {
    await client.query("BEGIN");
    await makeRecipients(
      client,
      id,
      `SELECT n, 'user' || n || 'of' || $1::integer || '@' || ($2::text[])[1 + n % cardinality($2::text[])],
         json_build_object('first_name', 'Ann ' || n)
       FROM generate_series(1, $3) AS n`,
      [group, domains, rows],
    );
    await client.query("COMMIT");
  }
}
