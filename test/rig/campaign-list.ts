// Campaigns for tests and benchmarks, without a file: a list, its campaign, and recipients that become messages at once, by
// the functions that the importer and the feeder call.

import type { ClientBase, Pool } from "pg";
import { createFeeder } from "../../src/campaigns/feed-campaigns.ts";
import type { CampaignId } from "../../src/mail/ids.ts";
import { systemClock } from "../../src/platform/clock.ts";

export interface GivenCampaign {
  readonly name: string;
  readonly lane: string;
  readonly status: "running" | "paused" | "draft";
  readonly template: Readonly<Record<string, unknown>>;
  /** What people unsubscribe from. */
  readonly list?: string;
}

const COLUMNS = JSON.stringify([
  { name: "email", original: "email", type: "text", isAddress: true },
  { name: "first_name", original: "first_name", type: "text", isAddress: false },
]);

export async function insertCampaign(on: Pool | ClientBase, given: GivenCampaign): Promise<CampaignId> {
  const { name, lane, status, template, list = "" } = given;
  const { rows } = await on.query(
    `WITH said AS (INSERT INTO postlane.content (body) VALUES ($3) RETURNING id),
       kept AS (INSERT INTO postlane.list (columns) VALUES ($6) RETURNING id),
       made AS (INSERT INTO postlane.campaign (name, lane_id, content_id, status, list, list_id)
         SELECT $1, lane.id, said.id, $4, $5, kept.id FROM postlane.lane, said, kept WHERE lane.name = $2
         RETURNING id, content_id)
     INSERT INTO postlane.campaign_version (campaign_id, version, content_id) SELECT id, 1, content_id FROM made
     RETURNING campaign_id AS id`,
    [name, lane, JSON.stringify(template), status, list, COLUMNS],
  );
  return rows[0].id as CampaignId;
}

/**
 * The rows of a query (line, address, data) become recipients, and messages at once. Within the caller's transaction.
 * Answers how many.
 */
export async function makeRecipients(
  client: ClientBase,
  id: CampaignId,
  query: string,
  values: readonly unknown[] = [],
): Promise<number> {
  const { rows: before } = await client.query(
    `SELECT list_id, (SELECT coalesce(max(n), 0) FROM postlane.recipient AS r WHERE r.list_id = c.list_id) AS last_n
     FROM postlane.campaign AS c WHERE id = $1`,
    [id],
  );
  const { list_id, last_n } = before[0];
  const imported = await client.query(
    `INSERT INTO postlane.list_import (list_id, source, finished_at) VALUES ($1, 'test', now()) RETURNING id`,
    [list_id],
  );
  const importId = imported.rows[0].id;
  const added = await client.query(
    `INSERT INTO postlane.recipient (list_id, address, data, import_id, line)
     SELECT ${Number(list_id)}, given.address, given.data, ${Number(importId)}, given.line
     FROM (${query}) AS given (line, address, data) ON CONFLICT (list_id, lower(address)) DO NOTHING`,
    values as unknown[],
  );
  await client.query("UPDATE postlane.list_import SET added = $2 WHERE id = $1", [importId, added.rowCount]);
  const { rows: waves } = await client.query(
    `SELECT postlane.add_wave($1, 'everyone', NULL, clock_timestamp(), $2,
       (SELECT max(n) FROM postlane.recipient WHERE list_id = $3)) AS rows`,
    [id, last_n, list_id],
  );
  await client.query("SELECT * FROM postlane.make_messages($1, $2)", [id, waves[0].rows]);
  return waves[0].rows as number;
}

/** What the front does: until all messages that may be made are. */
export async function feedCampaigns(pool: Pool): Promise<void> {
  await createFeeder({ pool, clock: systemClock }).feed();
}
