// The SQL of campaign runs: all sheets of one moment, and at the end where each message stands and which text each version
// of a template is.

import type pg from "pg";
import { listCampaigns } from "../src/campaigns/campaign-store.ts";
import { reportCampaigns } from "../src/reports/campaign-report.ts";
import type { MessageFate, SheetEntry, SheetSample } from "./campaign-check.ts";

const CAMPAIGNS_MAX = 100;

export interface Sample extends SheetSample {
  /** By name. */
  readonly statuses: ReadonlyMap<string, string>;
}

/** One snapshot for all of it. */
export async function readSample(client: pg.Client): Promise<Sample> {
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  const reports = await reportCampaigns(client, await listCampaigns(client, CAMPAIGNS_MAX));
  const booked = await rowsOf<SheetEntry>(client, BOOKED);
  const counted = await rowsOf<SheetEntry>(client, COUNTED);
  const accepted = await rowsOf<SheetSample["accepted"][number]>(client, ACCEPTED);
  await client.query("COMMIT");
  return { reports, booked, counted, accepted, statuses: new Map(reports.map(({ name, status }) => [name, status])) };
}

async function rowsOf<Row>(client: pg.Client, text: string): Promise<readonly Row[]> {
  return (await client.query(text)).rows as readonly Row[];
}

const NAMED = `lane.name AS lane, c.name AS campaign`;
const NAMES = `JOIN postlane.lane ON lane.id = entry.lane_id JOIN postlane.campaign AS c ON c.id = entry.campaign_id`;

const BOOKED = `
  SELECT ${NAMED}, accepted_on::text AS day, state, n::float8 FROM postlane.balance_sheet AS entry ${NAMES}`;

const COUNTED = `
  SELECT ${NAMED}, day, state, n::float8 FROM (
    SELECT lane_id, campaign_id, accepted_on::text AS day, state, count(*) AS n FROM postlane.queue GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT c.lane_id, w.campaign_id, w.accepted_on::text, w.state, sum(w.rows - w.made - w.withdrawn)
    FROM postlane.campaign_wave AS w JOIN postlane.campaign AS c ON c.id = w.campaign_id GROUP BY 1, 2, 3, 4
  ) AS entry ${NAMES}`;

const ACCEPTED = `
  SELECT ${NAMED}, sum(rows)::float8 AS n, sum(withdrawn)::float8 AS withdrawn FROM (
    SELECT c.lane_id, w.campaign_id, w.rows, w.withdrawn
    FROM postlane.campaign_wave AS w JOIN postlane.campaign AS c ON c.id = w.campaign_id
  ) AS entry ${NAMES} GROUP BY 1, 2`;

const FATES_AT_ONCE = 20_000;

/** Of every message, when nothing moves any more. */
export async function readFates(client: pg.Client): Promise<readonly MessageFate[]> {
  const fates: MessageFate[] = [];
  for (let after = 0; ;) {
    const { rows } = await client.query({ name: "read_fates", text: FATES, values: [after, FATES_AT_ONCE] });
    for (const { id, ...fate } of rows as readonly (MessageFate & { readonly id: number })[]) {
      after = id;
      fates.push(fate);
    }
    if (rows.length < FATES_AT_ONCE) return fates;
  }
}

// By indexes, whatever the planner thinks of tables that nobody has analyzed yet.
const FATES = `
  SELECT m.id::float8 AS id, m.recipient, c.name AS campaign, q.state AS waiting, ended.kind AS settled, ended.version
  FROM (SELECT id, recipient, campaign_id FROM postlane.message WHERE id > $1 ORDER BY id LIMIT $2) AS m
  JOIN postlane.campaign AS c ON c.id = m.campaign_id
  LEFT JOIN LATERAL (SELECT state FROM postlane.queue WHERE message_id = m.id OFFSET 0) AS q ON true
  LEFT JOIN LATERAL (
    SELECT kind, version FROM (SELECT kind, version, at FROM postlane.event WHERE message_id = m.id OFFSET 0) AS told
    WHERE kind IN ('sent', 'delivered', 'bounced', 'expired', 'canceled', 'suppressed') ORDER BY at DESC LIMIT 1
  ) AS ended ON true
  ORDER BY m.id`;

/** `campaign version` → the words of its text that the sink notes. */
export async function readTexts(client: pg.Client, words: string): Promise<ReadonlyMap<string, string>> {
  const rows = await rowsOf<{ readonly name: string; readonly said: string }>(client, TEXTS);
  return new Map(rows.map(({ name, said }) => [name, [...new Set(said.match(new RegExp(words, "g")))].join("+")]));
}

const TEXTS = `
  SELECT c.name || ' ' || v.version AS name, said.body::text AS said
  FROM postlane.campaign_version AS v JOIN postlane.campaign AS c ON c.id = v.campaign_id
  JOIN postlane.content AS said ON said.id = v.content_id`;
