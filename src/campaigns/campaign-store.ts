// Campaigns: their name, template, status. Pausing, resuming and canceling write one row, however many messages wait.

import type { ClientBase } from "pg";
import type { CampaignId, LaneId } from "../mail/ids.ts";
import { countOf, numberArray, rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export type CampaignStatus = "importing" | "running" | "paused" | "canceled" | "finished";

export interface CampaignRow {
  readonly id: CampaignId;
  readonly name: string;
  readonly lane_id: LaneId;
  readonly lane: string;
  readonly content_id: number;
  readonly status: CampaignStatus;
  readonly rejected: number;
  readonly created_at: Date;
  readonly started_at: Date | null;
  readonly canceled_at: Date | null;
  readonly swept_at: Date | null;
  /** Empty: none. */
  readonly list: string;
  /** Why it has no way to unsubscribe, on a person's word; null: it has one. */
  readonly no_unsubscribe: string | null;
}

const COLUMNS = `c.id, c.name, c.lane_id, lane.name AS lane, c.content_id, c.status, c.rejected, c.created_at,
  c.started_at, c.canceled_at, c.swept_at, c.list, c.no_unsubscribe`;

export const CREATE = statement<{ readonly id: CampaignId }>(
  "campaign_create",
  `INSERT INTO postlane.campaign (name, lane_id, content_id, status, list, no_unsubscribe)
   SELECT $1, id, $3, 'importing', $4, $5 FROM postlane.lane WHERE name = $2
   ON CONFLICT (name) DO NOTHING RETURNING id`,
);

/** Undefined: the name is taken, or there is no such lane. */
export async function createCampaign(
  on: Queryable,
  name: string,
  lane: string,
  contentId: number,
  list: string,
  noUnsubscribe: string | undefined,
): Promise<CampaignId | undefined> {
  const [row] = await rowsOf(on, CREATE, [name, lane, contentId, list, noUnsubscribe ?? null]);
  return row?.id;
}

export const FIND = statement<CampaignRow>(
  "campaign_find",
  `SELECT ${COLUMNS} FROM postlane.campaign AS c JOIN postlane.lane ON lane.id = c.lane_id
   WHERE c.name = $1 OR c.id = $2`,
);

export async function findCampaign(
  on: Queryable,
  name: string,
  id: number | undefined,
): Promise<CampaignRow | undefined> {
  const [row] = await rowsOf(on, FIND, [name, id ?? null]);
  return row;
}

export const LIST = statement<CampaignRow>(
  "campaign_list",
  `SELECT ${COLUMNS} FROM postlane.campaign AS c JOIN postlane.lane ON lane.id = c.lane_id ORDER BY c.id DESC LIMIT $1`,
);

export async function listCampaigns(on: Queryable, rowsMax: number): Promise<readonly CampaignRow[]> {
  return await rowsOf(on, LIST, [rowsMax]);
}

export const MOVE = statement<unknown>(
  "campaign_move",
  `UPDATE postlane.campaign SET status = $2,
     started_at = CASE WHEN $2 = 'running' THEN coalesce(started_at, clock_timestamp()) ELSE started_at END,
     canceled_at = CASE WHEN $2 = 'canceled' THEN clock_timestamp() ELSE canceled_at END
   WHERE id = $1 AND status = ANY ($3::text[])`,
);

/** From one of these statuses to another; false when it was in none of them. */
export async function moveCampaignIfIn(
  on: Queryable,
  id: CampaignId,
  to: CampaignStatus,
  from: readonly CampaignStatus[],
): Promise<boolean> {
  return (await countOf(on, MOVE, [id, to, from])) === 1;
}

export const ADD_REJECTED = statement<unknown>(
  "campaign_set_rejected",
  `UPDATE postlane.campaign SET rejected = $2 WHERE id = $1`,
);

export async function setRejected(on: Queryable, id: CampaignId, rejected: number): Promise<void> {
  await countOf(on, ADD_REJECTED, [id, rejected]);
}

export const UNSWEPT = statement<{ readonly id: CampaignId; readonly lane_id: LaneId }>(
  "campaign_unswept",
  `SELECT id, lane_id FROM postlane.campaign WHERE status = 'canceled' AND swept_at IS NULL`,
);
export async function unsweptCampaigns(on: Queryable): Promise<readonly { id: CampaignId; lane_id: LaneId }[]> {
  return await rowsOf(on, UNSWEPT);
}

export const MARK_SWEPT = statement<unknown>(
  "campaign_mark_swept",
  `UPDATE postlane.campaign SET swept_at = clock_timestamp() WHERE id = $1`,
);
export async function markSwept(client: ClientBase, id: CampaignId): Promise<void> {
  await countOf(client, MARK_SWEPT, [id]);
}

// One descent of the claim index: a join would be free to read all of it.
const FIRST_WAITING = `SELECT FROM (
       SELECT FROM postlane.queue WHERE lane_id = c.lane_id AND campaign_id = c.id ORDER BY destination, due_at LIMIT 1
     ) AS first`;

// A finished campaign is asked for no more; the list that dispatchers read five times a second stays short.
export const FINISH = statement<{ readonly id: CampaignId; readonly name: string }>(
  "campaign_finish",
  `UPDATE postlane.campaign AS c SET status = 'finished'
   WHERE status = 'running' AND NOT EXISTS (${FIRST_WAITING})
   RETURNING id, name`,
);

export async function finishCampaigns(on: Queryable): Promise<readonly { id: CampaignId; name: string }[]> {
  return await rowsOf(on, FINISH);
}

// A canceled one is swept once more: what comes home into it is withdrawn.
const REOPENED = `status = CASE status WHEN 'finished' THEN 'running' ELSE status END, swept_at = NULL`;

export const REOPEN = statement<unknown>(
  "campaign_reopen",
  `UPDATE postlane.campaign SET ${REOPENED} WHERE id = ANY ($1::integer[]) AND status IN ('finished', 'canceled')`,
);

/** Of messages that came home: a finished campaign runs again, until it is empty. */
export async function reopenCampaigns(client: ClientBase, ids: readonly CampaignId[]): Promise<void> {
  if (ids.length > 0) await countOf(client, REOPEN, [numberArray(ids)]);
}

// One that was called finished in the very moment in which a message came home.
export const REOPEN_WAITING = statement<unknown>(
  "campaign_reopen_waiting",
  `UPDATE postlane.campaign AS c SET ${REOPENED}
   WHERE (status = 'finished' OR (status = 'canceled' AND swept_at IS NOT NULL)) AND EXISTS (${FIRST_WAITING})`,
);

/** Those that have messages waiting and are taken for empty. */
export async function reopenWaitingCampaigns(on: Queryable): Promise<void> {
  await countOf(on, REOPEN_WAITING);
}
