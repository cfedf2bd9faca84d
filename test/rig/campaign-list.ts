// Campaigns for tests and benchmarks, without a file: a list, its campaign, and recipients that become messages at once, by
// the functions that the importer and the feeder call.

import type { ClientBase, Pool } from "pg";
import { createFeeder } from "../../src/campaigns/feed-campaigns.ts";
import type { CampaignId } from "../../src/mail/ids.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
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

/** The rows of a query (line, address, data, time_zone) become recipients of its list, as an import would. Answers how many. */
export async function fillList(
  on: Pool | ClientBase,
  id: CampaignId,
  query: string,
  values: readonly unknown[] = [],
): Promise<number> {
  const { rows } = await on.query(
    `WITH import AS (
       INSERT INTO postlane.list_import (list_id, source, finished_at)
       SELECT list_id, 'test', now() FROM postlane.campaign WHERE id = ${Number(id)} RETURNING id, list_id
     ), added AS (
       INSERT INTO postlane.recipient (list_id, address, data, time_zone, import_id, line)
       SELECT import.list_id, given.address, given.data, given.time_zone, import.id, given.line
       FROM import, (${query}) AS given (line, address, data, time_zone)
       ON CONFLICT (list_id, lower(address)) DO NOTHING RETURNING 1
     )
     SELECT import.id, (SELECT count(*) FROM added) AS added FROM import`,
    values as unknown[],
  );
  await on.query("UPDATE postlane.list_import SET added = $2 WHERE id = $1", [rows[0].id, rows[0].added]);
  return Number(rows[0].added);
}

/**
 * The rows of a query (line, address, data) become recipients, and messages at once. Within the caller's transaction, and
 * once in it: what is fed is kept until its end. Answers how many.
 */
export async function makeRecipients(
  client: ClientBase,
  id: CampaignId,
  query: string,
  values: readonly unknown[] = [],
): Promise<number> {
  const { list_id, last_n } = await listRecipients(client, id, query, values);
  const { rows: waves } = await client.query(
    `SELECT postlane.add_wave($1, 'everyone', NULL, clock_timestamp(), $2,
       (SELECT max(n) FROM postlane.recipient WHERE list_id = $3)) AS rows`,
    [id, last_n, list_id],
  );
  await client.query("SELECT * FROM postlane.make_messages($1, $2)", [id, waves[0].rows]);
  return waves[0].rows as number;
}

/** Onto the campaign's list, and no further. Answers the list, and up to which recipient it was there before. */
export async function listRecipients(
  client: ClientBase,
  id: CampaignId,
  query: string,
  values: readonly unknown[] = [],
): Promise<{ readonly list_id: number; readonly last_n: number }> {
  const { rows: before } = await client.query(
    `SELECT list_id, (SELECT coalesce(max(n), 0) FROM postlane.recipient AS r WHERE r.list_id = c.list_id) AS last_n
     FROM postlane.campaign AS c WHERE id = $1`,
    [id],
  );
  const { list_id, last_n } = before[0];
  await fillList(client, id, `SELECT given.*, NULL FROM (${query}) AS given (line, address, data)`, values);
  return { list_id, last_n };
}

/** A draft `march` in lane bulk, well but for what `template` says otherwise, to `p<n>@d<n>.example`. */
export async function draftNewsletter(
  pool: Pool,
  people: number,
  template: Readonly<Record<string, unknown>> = {},
): Promise<CampaignId> {
  const whole = { from: "News <news@shop.example>", subject: "News", text: "Hello {{ first_name }}!", ...template };
  const id = await insertCampaign(pool, { name: "march", lane: "bulk", status: "draft", template: whole });
  const query = `SELECT n, 'p' || n || '@d' || n || '.example', json_build_object('first_name', 'Ann' || n)
    FROM generate_series(1, $1::integer) AS n`;
  await inTransaction(pool, (client) => listRecipients(client, id, query, [people]));
  return id;
}

/** What the front does: until all messages that may be made are. */
export async function feedCampaigns(pool: Pool): Promise<void> {
  await createFeeder({ pool, clock: systemClock }).feed();
}
