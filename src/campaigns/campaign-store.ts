// Campaigns: their name, list, template, status. Pausing, resuming and canceling write one row, however many messages wait.

import type { ClientBase } from "pg";
import type { CampaignId, LaneId, ListId } from "../mail/ids.ts";
import type { SettledState } from "../mail/state.ts";
import { countOf, numberArray, rowsOf, statement, type Queryable } from "../postgres/statement.ts";

/**
 * `importing`: `campaign send` reads its file; `draft`: ready, and nobody has started it; `scheduled`: its time has not come;
 * `finished`: nobody of it waits any more.
 */
export type CampaignStatus = "importing" | "draft" | "scheduled" | "running" | "paused" | "canceled" | "finished";

export interface CampaignRow {
  readonly id: CampaignId;
  readonly name: string;
  readonly lane_id: LaneId;
  readonly lane: string;
  /** Of the version in force. */
  readonly content_id: number;
  readonly version: number;
  readonly status: CampaignStatus;
  readonly created_at: Date;
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
  readonly canceled_at: Date | null;
  readonly swept_at: Date | null;
  /** What people unsubscribe from. Empty: none. */
  readonly list: string;
  /** Why it has no way to unsubscribe, on a person's word; null: it has one. */
  readonly no_unsubscribe: string | null;
  readonly list_id: ListId;
  /** Of the kept list; null: of a file. */
  readonly list_name: string | null;
  /** The campaign whose rest it sends: always one that is no rest itself. */
  readonly rest_of: CampaignId | null;
  /** How those whom a rest sends to stood when it was made. */
  readonly rest_stood: Readonly<Partial<Record<RestStanding, number>>> | null;
  /** Recipients of its list up to here are its own or its rests'. */
  readonly rest_upto_n: number;
  /** Which rule stopped it; null: a person, or it is not paused. */
  readonly paused_because: PausedBecause | null;
  readonly pace_per_s: number | null;
  readonly canary_rows: number | null;
  readonly canary_wait_ms: number | null;
  readonly canary_limit: number | null;
  readonly canary_state: CanaryState | null;
  readonly canary_tried_at: Date | null;
}

/** `not_accepted`: on the list, and of no campaign yet. */
export type RestStanding = SettledState | "unknown" | "not_accepted";

export type CanaryState = "sending" | "watching" | "passed" | "stopped";

/** The canary's failures: what was counted when it was stopped, and the share of its rows that may fail. */
export interface PausedBecause {
  readonly code: "canary_failed";
  readonly evidence: {
    readonly rows: number;
    readonly tried: number;
    readonly deferred: number;
    readonly bounced: number;
    readonly held: number;
    readonly expired: number;
    readonly limit: number;
  };
}

const COLUMNS = `c.id, c.name, c.lane_id, lane.name AS lane, c.content_id, c.version, c.status, c.created_at, c.started_at,
  c.finished_at, c.canceled_at, c.swept_at, c.list, c.no_unsubscribe, c.list_id, kept.name AS list_name, c.rest_of,
  c.rest_stood, c.rest_upto_n,
  c.paused_because, c.pace_per_s, c.canary_rows, c.canary_wait_ms, c.canary_limit, c.canary_state, c.canary_tried_at`;
const TABLES = `postlane.campaign AS c JOIN postlane.lane ON lane.id = c.lane_id
   JOIN postlane.list AS kept ON kept.id = c.list_id`;

export interface NewCampaign {
  readonly name: string;
  readonly lane: string;
  readonly listId: ListId;
  readonly contentId: number;
  readonly status: "importing" | "draft";
  /** What people unsubscribe from. */
  readonly list: string;
  readonly noUnsubscribe?: string | undefined;
  readonly restOf?: CampaignId | undefined;
}

export const CREATE = statement<{ readonly id: CampaignId }>(
  "campaign_create",
  `WITH made AS (
     INSERT INTO postlane.campaign (name, lane_id, content_id, status, list, no_unsubscribe, list_id, rest_of)
     SELECT $1, id, $3, $4, $5, $6, $7, $8 FROM postlane.lane WHERE name = $2
     ON CONFLICT (name) DO NOTHING RETURNING id, version, content_id
   ), first_version AS (
     INSERT INTO postlane.campaign_version (campaign_id, version, content_id) SELECT id, version, content_id FROM made
   )
   SELECT id FROM made`,
);

/** Undefined: the name is taken, or there is no such lane. */
export async function createCampaign(on: Queryable, given: NewCampaign): Promise<CampaignId | undefined> {
  const [row] = await rowsOf(on, CREATE, [
    given.name,
    given.lane,
    given.contentId,
    given.status,
    given.list,
    given.noUnsubscribe ?? null,
    given.listId,
    given.restOf ?? null,
  ]);
  return row?.id;
}

export const FIND = statement<CampaignRow>(
  "campaign_find",
  `SELECT ${COLUMNS} FROM ${TABLES} WHERE c.name = $1 OR c.id = $2`,
);

export async function findCampaign(
  on: Queryable,
  name: string,
  id: number | undefined,
): Promise<CampaignRow | undefined> {
  const [row] = await rowsOf(on, FIND, [name, id ?? null]);
  return row;
}

export const LOCK = statement<{ readonly id: CampaignId }>(
  "campaign_lock",
  `SELECT id FROM postlane.campaign WHERE id = $1 FOR NO KEY UPDATE`,
);

/** As it stands, locked for the caller's transaction. */
export async function lockCampaign(client: ClientBase, id: CampaignId): Promise<CampaignRow> {
  // Two statements: what another transaction has changed meanwhile is seen by the second.
  await rowsOf(client, LOCK, [id]);
  const row = await findCampaign(client, "", id);
  if (row === undefined) throw new Error(`campaign ${id} is not in the database`);
  return row;
}

export const LIST = statement<CampaignRow>(
  "campaign_list",
  `SELECT ${COLUMNS} FROM ${TABLES} WHERE c.id < $2 ORDER BY c.id DESC LIMIT $1`,
);

/** The newest first, from before `before` on. */
export async function listCampaigns(
  on: Queryable,
  rowsMax: number,
  before: number = 2 ** 31 - 1,
): Promise<readonly CampaignRow[]> {
  return await rowsOf(on, LIST, [rowsMax, before]);
}

export const RESTS = statement<CampaignRow>(
  "campaign_rests",
  `SELECT ${COLUMNS} FROM ${TABLES} WHERE c.rest_of = $1 ORDER BY c.id`,
);
/** What was made to send its rest, the oldest first. */
export async function listRests(on: Queryable, id: CampaignId): Promise<readonly CampaignRow[]> {
  return await rowsOf(on, RESTS, [id]);
}

export const MOVE = statement<unknown>(
  "campaign_move",
  `UPDATE postlane.campaign SET status = $2,
     started_at = CASE WHEN $2 IN ('running', 'scheduled') THEN coalesce(started_at, clock_timestamp())
       ELSE started_at END,
     canceled_at = CASE WHEN $2 = 'canceled' THEN clock_timestamp() ELSE canceled_at END,
     paused_because = CASE WHEN $2 = 'paused' THEN $4::jsonb END
   WHERE id = $1 AND status = ANY ($3::text[])`,
);

/** From one of these statuses to another; false when it was in none of them. */
export async function moveCampaignIfIn(
  on: Queryable,
  id: CampaignId,
  to: CampaignStatus,
  from: readonly CampaignStatus[],
  because?: PausedBecause,
): Promise<boolean> {
  return (await countOf(on, MOVE, [id, to, from, because === undefined ? null : JSON.stringify(because)])) === 1;
}

export const SET_PACE = statement<unknown>(
  "campaign_set_pace",
  `UPDATE postlane.campaign SET pace_per_s = $2, pace_left = 0, fed_at = NULL WHERE id = $1`,
);
export async function setPace(on: Queryable, id: CampaignId, perS: number | undefined): Promise<void> {
  await countOf(on, SET_PACE, [id, perS ?? null]);
}

export interface Canary {
  /** The first so many recipients. */
  readonly rows: number;
  readonly waitMs: number;
  /** Share of them that may fail, 0 to 1. */
  readonly limit: number;
}

export const SET_CANARY = statement<unknown>(
  "campaign_set_canary",
  `UPDATE postlane.campaign SET canary_rows = $2, canary_wait_ms = $3, canary_limit = $4, canary_state = 'sending',
     canary_tried_at = NULL
   WHERE id = $1`,
);
export async function setCanary(on: Queryable, id: CampaignId, { rows, waitMs, limit }: Canary): Promise<void> {
  await countOf(on, SET_CANARY, [id, rows, waitMs, limit]);
}

export const MOVE_CANARY = statement<unknown>(
  "campaign_move_canary",
  `UPDATE postlane.campaign SET canary_state = $2,
     canary_tried_at = CASE WHEN $2 = 'watching' THEN clock_timestamp() ELSE canary_tried_at END
   WHERE id = $1`,
);
export async function moveCanary(on: Queryable, id: CampaignId, to: CanaryState): Promise<void> {
  await countOf(on, MOVE_CANARY, [id, to]);
}

// ---- versions --------------------------------------------------------------------------------------------------------

export const ADD_VERSION = statement<{ readonly version: number }>(
  "campaign_add_version",
  `WITH edited AS (
     UPDATE postlane.campaign SET version = version + 1, content_id = $2 WHERE id = $1
     RETURNING id, version, content_id
   )
   INSERT INTO postlane.campaign_version (campaign_id, version, content_id) SELECT id, version, content_id FROM edited
   RETURNING version`,
);
/** From now on this is what those get who were not handed over yet. Within the transaction that has locked the campaign. */
export async function addCampaignVersion(client: ClientBase, id: CampaignId, contentId: number): Promise<number> {
  const [row] = await rowsOf(client, ADD_VERSION, [id, contentId]);
  return row!.version;
}

export interface CampaignVersionRow {
  readonly version: number;
  readonly content_id: number;
  readonly created_at: Date;
}

export const VERSIONS = statement<CampaignVersionRow>(
  "campaign_versions",
  `SELECT version, content_id, created_at FROM postlane.campaign_version WHERE campaign_id = $1 ORDER BY version`,
);
export async function listCampaignVersions(on: Queryable, id: CampaignId): Promise<readonly CampaignVersionRow[]> {
  return await rowsOf(on, VERSIONS, [id]);
}

// ---- the end ---------------------------------------------------------------------------------------------------------

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
const UNMADE = `SELECT FROM postlane.campaign_wave AS w WHERE w.campaign_id = c.id AND w.made + w.withdrawn < w.rows`;

// A finished campaign is asked for no more; the list that dispatchers read five times a second stays short. That all are
// made is looked at first: what is made after that look is in the queue, or was settled.
export const FINISH = statement<{ readonly id: CampaignId; readonly name: string }>(
  "campaign_finish",
  `UPDATE postlane.campaign AS c SET status = 'finished', finished_at = clock_timestamp()
   WHERE status = 'running' AND NOT EXISTS (${UNMADE}) AND NOT EXISTS (${FIRST_WAITING})
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
