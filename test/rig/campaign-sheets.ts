// Campaigns in whatever state a test wants them, and their sheets held against what the tables really have. Messages are moved
// as a dispatcher's settling moves them: row, event and books in one transaction.

import assert from "node:assert/strict";
import type { Pool } from "pg";
import { createCampaign, findCampaign, type CampaignRow } from "../../src/campaigns/campaign-store.ts";
import { makeMessages } from "../../src/campaigns/feed-store.ts";
import { addUp, beginImport, createList, finishImport } from "../../src/campaigns/list-store.ts";
import { startCampaign } from "../../src/campaigns/start-campaign.ts";
import { appendEvents } from "../../src/events/event-store.ts";
import type { CampaignId, LaneId, ListId, MessageId } from "../../src/mail/ids.ts";
import { isSettled, type State } from "../../src/mail/state.ts";
import type { Queryable } from "../../src/postgres/statement.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { recordStateChanges } from "../../src/queue/balance-store.ts";
import { reportCampaigns } from "../../src/reports/campaign-report.ts";
import { watchProblems } from "./lane-mail.ts";

export interface Recipient {
  readonly address: string;
  readonly timeZone?: string;
}

export interface DraftWish {
  readonly name: string;
  readonly recipients: readonly Recipient[];
  readonly lane?: string;
  /** Of a kept list, which is made. */
  readonly listName?: string;
}

const COLUMNS = [
  { name: "email", original: "email", type: "text", isAddress: true },
  { name: "first_name", original: "first_name", type: "text", isAddress: false },
] as const;

export async function makeDraft(pool: Pool, { name, recipients, lane = "bulk", listName }: DraftWish) {
  const listId = (await createList(pool, listName, COLUMNS))!;
  await addToList(pool, listId, recipients);
  return await draftOf(pool, { name, lane, listId });
}

/** Another campaign of the same list. */
export async function draftOf(
  pool: Pool,
  { name, lane = "bulk", listId }: { readonly name: string; readonly lane?: string; readonly listId: ListId },
): Promise<CampaignId> {
  const contentId = await insertContent(pool, "Hello {{ first_name }}!");
  return (await createCampaign(pool, { name, lane, listId, contentId, status: "draft", list: "news" }))!;
}

export async function insertContent(on: Queryable, text: string): Promise<number> {
  const body = { from: "News <news@news.example>", subject: "News", text };
  const { rows } = await on.query("INSERT INTO postlane.content (body) VALUES ($1) RETURNING id", [
    JSON.stringify(body),
  ]);
  return rows[0].id;
}

/** As an import adds them. */
export async function addToList(pool: Pool, listId: ListId, recipients: readonly Recipient[]): Promise<void> {
  await inTransaction(pool, async (client) => {
    const { id } = await beginImport(client, listId, `test, ${recipients.length} recipients`);
    await client.query(
      `INSERT INTO postlane.recipient (list_id, address, data, time_zone, import_id, line)
       SELECT $1, address, json_build_object('first_name', 'Ann'), time_zone, $2, 1 + n
       FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS given (address, time_zone, n) ORDER BY n`,
      [listId, id, recipients.map(({ address }) => address), recipients.map(({ timeZone }) => timeZone ?? null)],
    );
    await addUp(client, id, { added: recipients.length, doubled: 0, rejected: 0 });
    await finishImport(client, id);
  });
}

export async function startNow(pool: Pool, id: CampaignId): Promise<void> {
  const started = await startCampaign(pool, id, { when: { kind: "now" } });
  assert.equal(started.kind, "started");
}

/** As the feeder does. */
export async function makeNext(pool: Pool, id: CampaignId, rows: number): Promise<number> {
  return (await inTransaction(pool, (client) => makeMessages(client, id, rows))).taken;
}

export async function campaignRow(pool: Pool, id: CampaignId): Promise<CampaignRow> {
  return (await findCampaign(pool, "", id))!;
}

export interface Move {
  readonly attempt?: number;
  readonly version?: number;
  readonly reply?: string;
}

/** These recipients' messages of the campaign come into a state, from whichever they are in. */
export async function becomes(
  pool: Pool,
  id: CampaignId,
  addresses: readonly string[],
  state: State,
  { attempt = 1, version, reply = `250 is ${state}` }: Move = {},
): Promise<void> {
  await inTransaction(pool, async (client) => {
    for (const address of addresses) {
      const found = await client.query(
        `SELECT m.id, m.lane_id, (m.accepted_at AT TIME ZONE 'UTC')::date::text AS day, q.state AS queue_state, (
           SELECT kind FROM postlane.event WHERE message_id = m.id AND kind IN ('sent', 'delivered')
           ORDER BY at DESC LIMIT 1
         ) AS last_state
         FROM postlane.message AS m LEFT JOIN postlane.queue AS q ON q.message_id = m.id
         WHERE m.campaign_id = $1 AND lower(m.recipient) = lower($2)`,
        [id, address],
      );
      const [row] = found.rows;
      assert.ok(row !== undefined, `${address} has no message`);
      const messageId = row.id as MessageId;
      const from = (row.queue_state ?? row.last_state) as State;
      if (isSettled(state)) await client.query("DELETE FROM postlane.queue WHERE message_id = $1", [messageId]);
      else {
        const values = [messageId, state, attempt, state === "held" || state === "unknown" ? "infinity" : "now"];
        await client.query(
          "UPDATE postlane.queue SET state = $2, attempts = $3, due_at = $4::timestamptz WHERE message_id = $1",
          values,
        );
      }
      await appendEvents(client, [{ messageId, attempt, kind: state, reply, version }]);
      const laneId = row.lane_id as LaneId;
      await recordStateChanges(client, [{ laneId, campaignId: id, acceptedOn: row.day, from, to: state }]);
    }
  });
}

// ---- the sheets ------------------------------------------------------------------------------------------------------

// One statement and so one snapshot. For every lane, campaign and day: the books against messages and waves; for every wave
// against its rows; for every list its rows against what its imports say.
const PROBLEMS = `
  WITH booked AS (
    SELECT lane_id, campaign_id, accepted_on, sum(n) AS n,
      coalesce(sum(n) FILTER (WHERE state IN ('scheduled', 'queued', 'deferred', 'held', 'unknown')), 0) AS waiting
    FROM postlane.balance_sheet GROUP BY 1, 2, 3
  ), counted AS (
    SELECT lane_id, campaign_id, accepted_on, sum(n) AS n, sum(waiting) AS waiting FROM (
      SELECT lane_id, campaign_id, (accepted_at AT TIME ZONE 'UTC')::date AS accepted_on, count(*) AS n, 0 AS waiting
      FROM postlane.message GROUP BY 1, 2, 3
      UNION ALL
      SELECT lane_id, campaign_id, accepted_on, 0, count(*) FROM postlane.queue GROUP BY 1, 2, 3
      UNION ALL
      SELECT c.lane_id, c.id, w.accepted_on, sum(w.rows - w.made), sum(w.rows - w.made - w.withdrawn)
      FROM postlane.campaign_wave AS w JOIN postlane.campaign AS c ON c.id = w.campaign_id GROUP BY 1, 2, 3
    ) AS part GROUP BY 1, 2, 3 HAVING sum(n) <> 0
  ), accepted AS (
    SELECT w.campaign_id, sum(w.rows) AS n FROM postlane.campaign_wave AS w GROUP BY 1
  ), booked_of AS (
    SELECT campaign_id, sum(n) AS n FROM booked WHERE campaign_id <> 0 GROUP BY 1
  )
  SELECT concat('below zero: ', sheet) AS problem FROM postlane.balance_sheet AS sheet WHERE n < 0
  UNION ALL
  SELECT concat('booked ', booked, ', counted ', counted)
  FROM booked FULL JOIN counted USING (lane_id, campaign_id, accepted_on)
  WHERE (booked.n, booked.waiting) IS DISTINCT FROM (counted.n, counted.waiting)
  UNION ALL
  SELECT concat('accepted ', accepted, ', in the books ', booked_of)
  FROM accepted FULL JOIN booked_of USING (campaign_id) WHERE accepted.n IS DISTINCT FROM booked_of.n
  UNION ALL
  SELECT concat('list ', i.list_id, ': added ', i.added, ', recipients ', r.n, ', left out ', l.n)
  FROM (SELECT list_id, sum(added) AS added, sum(doubled + rejected) AS others FROM postlane.list_import GROUP BY 1) AS i
  CROSS JOIN LATERAL (SELECT count(*) AS n FROM postlane.recipient WHERE list_id = i.list_id) AS r
  CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM postlane.left_out WHERE import_id IN (SELECT id FROM postlane.list_import AS own WHERE own.list_id = i.list_id)
  ) AS l WHERE (i.added, i.others) IS DISTINCT FROM (r.n::numeric, l.n::numeric)`;

/** In words; none: every sheet adds up. */
export async function sheetProblems(pool: Pool): Promise<readonly string[]> {
  const { rows: counted } = await pool.query<{ problem: string }>(PROBLEMS);
  const { rows: ids } = await pool.query<{ id: CampaignId }>("SELECT id FROM postlane.campaign ORDER BY id");
  const campaigns = await Promise.all(ids.map(({ id }) => campaignRow(pool, id)));
  const reports = await reportCampaigns(pool, campaigns);
  const told = reports
    .filter(({ rows, rejected, doubled, not_accepted, unmade, books }) => {
      const sum = rejected + doubled + not_accepted + books.accepted;
      return sum !== rows || not_accepted < 0 || unmade < 0 || !books.adds_up;
    })
    .map((report) => `told: ${JSON.stringify(report)}`);
  return [...counted.map(({ problem }) => problem), ...told];
}

/** Looks at all sheets again and again. */
export function watchSheets(pool: Pool): { stop(): Promise<void> } {
  return watchProblems(pool, "a sheet", () => sheetProblems(pool));
}
