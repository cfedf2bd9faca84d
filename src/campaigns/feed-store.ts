// Which campaigns may get messages made now, and making them. A campaign is locked while its messages are made: whoever
// pauses or cancels it waits for one chunk, and not for more.

import type { ClientBase } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import { countOf, rowsOf, statement, type Queryable } from "../postgres/statement.ts";

// One whose lane is full waits until it is not.
export const FEEDABLE = statement<{ readonly id: CampaignId }>(
  "feed_feedable",
  `SELECT c.id FROM postlane.campaign AS c JOIN postlane.lane ON lane.id = c.lane_id
   WHERE c.status IN ('running', 'scheduled') AND lane.full_because IS NULL
     AND EXISTS (SELECT FROM postlane.campaign_wave AS w
       WHERE w.campaign_id = c.id AND w.made + w.withdrawn < w.rows AND w.due_at <= clock_timestamp())
   ORDER BY c.id`,
);
export async function feedableCampaigns(on: Queryable): Promise<readonly CampaignId[]> {
  return (await rowsOf(on, FEEDABLE)).map(({ id }) => id);
}

export const BEGIN = statement<unknown>(
  "feed_begin",
  `UPDATE postlane.campaign SET status = 'running' WHERE id = $1 AND status = 'scheduled'`,
);
/** Its time has come. */
export async function beginScheduled(client: ClientBase, id: CampaignId): Promise<void> {
  await countOf(client, BEGIN, [id]);
}

export interface FeedState {
  /** It takes no more mail for now. */
  readonly lane_is_full: boolean;
  /** Messages made of it, and recipients whose time has come and who have none yet. */
  readonly made: number;
  readonly due: number;
  /** Messages of it in the queue that were never tried. */
  readonly waiting: number;
  readonly pace_per_s: number | null;
  readonly pace_left: number;
  /** Since the pace was counted last; null: it never was. */
  readonly fed_ms_ago: number | null;
  /** So many may be made at all for now: those of the canary; null: all. */
  readonly rows_max: number | null;
}

export interface FeedStanding extends FeedState {
  /** A time of it has come that the campaign, or the books, do not know of yet. */
  readonly is_beginning: boolean;
}

export const STATE = statement<FeedStanding>(
  "feed_state",
  `SELECT c.status = 'scheduled' OR waves.has_come AS is_beginning, lane.full_because IS NOT NULL AS lane_is_full, waves.made, waves.due,
     greatest(0, coalesce((SELECT sum(n) FROM postlane.balance_sheet
       WHERE lane_id = c.lane_id AND campaign_id = c.id AND state = 'queued'), 0) - waves.counted)::bigint AS waiting,
     c.pace_per_s, c.pace_left, (extract(epoch FROM clock_timestamp() - c.fed_at) * 1000)::float8 AS fed_ms_ago,
     CASE WHEN c.canary_state IN ('sending', 'watching') THEN c.canary_rows END AS rows_max
   FROM postlane.campaign AS c JOIN postlane.lane ON lane.id = c.lane_id CROSS JOIN LATERAL (
     SELECT coalesce(sum(w.made), 0)::bigint AS made,
       coalesce(sum(w.rows - w.made - w.withdrawn) FILTER (WHERE w.due_at <= clock_timestamp()), 0)::bigint AS due,
       coalesce(sum(w.rows - w.made - w.withdrawn) FILTER (WHERE w.state = 'queued'), 0)::bigint AS counted,
       coalesce(bool_or(w.state = 'scheduled' AND w.due_at <= clock_timestamp() AND w.made + w.withdrawn < w.rows), false)
         AS has_come
     FROM postlane.campaign_wave AS w WHERE w.campaign_id = c.id
   ) AS waves WHERE c.id = $1`,
);
/** What is made by it is decided anew within the transaction that has locked the campaign. */
export async function readFeedState(on: Queryable, id: CampaignId): Promise<FeedStanding> {
  return (await rowsOf(on, STATE, [id]))[0]!;
}

/** Recipients that got a message, and how many of these wait: who is suppressed does not. */
export interface Made {
  readonly taken: number;
  readonly queued: number;
}

export const MAKE = statement<Made>("feed_make", `SELECT taken, queued FROM postlane.make_messages($1, $2)`);
/** Of the next recipients that are due. Fewer than asked: the next wave is another call's. */
export async function makeMessages(client: ClientBase, id: CampaignId, rowsMax: number): Promise<Made> {
  return (await rowsOf(client, MAKE, [id, rowsMax]))[0]!;
}

export const NOTE_PACE = statement<unknown>(
  "feed_note_pace",
  `UPDATE postlane.campaign SET pace_left = $2, fed_at = clock_timestamp() WHERE id = $1`,
);
export async function notePace(client: ClientBase, id: CampaignId, left: number): Promise<void> {
  await countOf(client, NOTE_PACE, [id, left]);
}
