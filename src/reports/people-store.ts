// The people behind the numbers of a balance sheet, in pages: a campaign's by their place on its list, a lane's by their
// messages. Reads only, each page in a snapshot of its own: one for all of it would keep the hot tables from being cleaned
// for as long as somebody reads.
//
// A message stands where its row in the queue says, else where the last event that settled it does; a recipient without a
// message as its wave is counted in the books. So the lines of an export are as many as the number in the sheet says.

import type { CampaignId, LaneId, ListId, MessageId } from "../mail/ids.ts";
import { SETTLED_STATES, type State } from "../mail/state.ts";
import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface PersonRow {
  /** Of the file; null: not looked for, or it came from none. */
  readonly line: number | null;
  readonly address: string;
  /** Null: it waits no longer, and its history is older than what is kept; or it was not accepted. */
  readonly state: State | null;
  /** When it came into this state, so far as it is still known. */
  readonly since: Date | null;
  readonly reply: string | null;
  readonly attempts: number;
  readonly message_id: MessageId | null;
  /** Of the template, in the latest attempt; null: there was none, or the message is of no campaign. */
  readonly version: number | null;
}

const SETTLED = SETTLED_STATES.map((state) => `'${state}'`).join(", ");
// An attempt's later events may not know its version: the highest that any of them tells is it.
const TRIED = "'sent', 'deferred', 'bounced', 'unknown', 'delivered'";

// Of message m: its row in the queue, and what its events say. One that was never tried has none that matter.
const standingSince = (since: string): string => `LEFT JOIN LATERAL (
     SELECT state, attempts FROM postlane.queue WHERE message_id = m.id OFFSET 0
   ) AS q ON true LEFT JOIN LATERAL (
     SELECT (array_agg(told.kind ORDER BY told.at DESC, told.attempt DESC) FILTER (WHERE told.is_state))[1] AS kind,
       max(told.at) FILTER (WHERE told.is_state) AS at,
       (array_agg(told.reply ORDER BY told.at DESC, told.attempt DESC) FILTER (WHERE told.is_state))[1] AS reply,
       max(told.attempt) AS attempts,
       (array_agg(coalesce(told.version, 1) ORDER BY told.attempt DESC, told.version DESC NULLS LAST)
         FILTER (WHERE told.attempt > 0 AND told.kind IN (${TRIED})))[1] AS version
     FROM (
       SELECT at, attempt, kind, reply, version,
         CASE WHEN q.state IS NULL THEN kind IN (${SETTLED}) ELSE kind = q.state END AS is_state
       FROM postlane.event
       WHERE message_id = CASE WHEN q.state IN ('queued', 'scheduled') AND q.attempts = 0 THEN NULL ELSE m.id END
         AND at >= ${since} OFFSET 0
     ) AS told
   ) AS story ON m.id IS NOT NULL`;

export interface ListStretch {
  readonly campaignId: CampaignId;
  readonly listId: ListId;
  /** Recipients behind the first, up to the second. */
  readonly afterN: number;
  readonly uptoN: number;
  /** No event of the campaign is older. */
  readonly since: Date;
}

// Recipients r of a stretch of the list, with message m and the wave that covers those without one: $1 campaign, $2 list,
// $3 and $4 the stretch, $5 since when.
const OF_LIST = `(
     SELECT n, line, address, time_zone FROM postlane.recipient WHERE list_id = $2 AND n > $3 AND n <= $4 OFFSET 0
   ) AS r LEFT JOIN LATERAL (
     SELECT id, accepted_at FROM postlane.message
     WHERE campaign_id = $1 AND campaign_id <> 0 AND lower(recipient) = lower(r.address) OFFSET 0
   ) AS m ON true ${standingSince("$5")} LEFT JOIN LATERAL (
     SELECT CASE WHEN w.made + w.withdrawn < w.rows THEN w.state ELSE 'canceled' END AS state, w.accepted_on
     FROM postlane.campaign_wave AS w
     WHERE m.id IS NULL AND w.campaign_id = $1 AND r.n > w.after_n AND r.n <= w.upto_n
       AND CASE w.scope WHEN 'zone' THEN r.time_zone = w.time_zone WHEN 'no_zone' THEN r.time_zone IS NULL ELSE true END
     ORDER BY w.made + w.withdrawn < w.rows DESC LIMIT 1
   ) AS wave ON true CROSS JOIN LATERAL (
     SELECT coalesce(q.state, story.kind, wave.state) AS state, m.id IS NOT NULL OR wave.state IS NOT NULL AS is_accepted
   ) AS stands`;

export type PeopleOfList =
  | { readonly kind: "accepted" | "not_accepted" }
  | { readonly kind: "state"; readonly state: State }
  | { readonly kind: "version"; readonly version: number }
  /** Without a message, and accepted on this day; undefined: on any. */
  | { readonly kind: "unmade"; readonly state: State; readonly day: string | undefined };

export const OF_CAMPAIGN = statement<PersonRow>(
  "people_of_campaign",
  `SELECT nullif(r.line, 0) AS line, r.address, stands.state, coalesce(story.at, m.accepted_at) AS since, story.reply,
     coalesce(greatest(q.attempts, story.attempts), 0) AS attempts, m.id AS message_id, story.version
   FROM ${OF_LIST}
   WHERE CASE $6 WHEN 'accepted' THEN stands.is_accepted WHEN 'not_accepted' THEN NOT stands.is_accepted
       WHEN 'state' THEN stands.state = $7 WHEN 'version' THEN story.version = $8
       WHEN 'unmade' THEN m.id IS NULL AND wave.state = $7 AND ($9::date IS NULL OR wave.accepted_on = $9) END
   ORDER BY r.n`,
);

export async function readPeopleOfList(
  on: Queryable,
  { campaignId, listId, afterN, uptoN, since }: ListStretch,
  wanted: PeopleOfList,
): Promise<readonly PersonRow[]> {
  return await rowsOf(on, OF_CAMPAIGN, [
    campaignId,
    listId,
    afterN,
    uptoN,
    since,
    wanted.kind,
    wanted.kind === "state" || wanted.kind === "unmade" ? wanted.state : null,
    wanted.kind === "version" ? wanted.version : null,
    wanted.kind === "unmade" ? (wanted.day ?? null) : null,
  ]);
}

export interface CountedPeople {
  /** Of a version, or suppressed for a reason (told without its date). */
  readonly version: number | null;
  readonly reason: string | null;
  readonly n: number;
  readonly first_at: Date | null;
  readonly last_at: Date | null;
}

export const COUNT = statement<CountedPeople>(
  "people_count",
  `SELECT story.version,
     CASE WHEN stands.state = 'suppressed' THEN regexp_replace(story.reply, ' since \\d{4}-\\d{2}-\\d{2}', '') END AS reason,
     count(*) AS n,
     min(story.at) AS first_at, max(story.at) AS last_at
   FROM ${OF_LIST}
   WHERE m.id IS NOT NULL AND (story.version IS NOT NULL OR stands.state = 'suppressed') GROUP BY 1, 2`,
);
/** Of a stretch: how many got which version, and were suppressed why. */
export async function countPeopleOfList(
  on: Queryable,
  { campaignId, listId, afterN, uptoN, since }: ListStretch,
): Promise<readonly CountedPeople[]> {
  return await rowsOf(on, COUNT, [campaignId, listId, afterN, uptoN, since]);
}

export const LIST_PAGE = statement<{ readonly upto_n: number | null }>(
  "people_list_page",
  `SELECT max(n) AS upto_n FROM (
     SELECT n FROM postlane.recipient WHERE list_id = $1 AND n > $2 ORDER BY n LIMIT $3
   ) AS page`,
);
/** Undefined: nobody is behind `afterN`. */
export async function endOfListPage(
  on: Queryable,
  listId: ListId,
  afterN: number,
  rowsMax: number,
): Promise<number | undefined> {
  return (await rowsOf(on, LIST_PAGE, [listId, afterN, rowsMax]))[0]?.upto_n ?? undefined;
}

// ---- rows that became no recipient -----------------------------------------------------------------------------------

export interface LeftOutRow {
  readonly import_id: number;
  readonly line: number;
  readonly raw: string;
  readonly reason: string;
  /** The file. */
  readonly source: string;
}

export const LEFT_OUT = statement<LeftOutRow>(
  "people_left_out",
  `SELECT l.import_id, l.line, l.raw, l.reason, i.source
   FROM postlane.list_import AS i CROSS JOIN LATERAL (
     SELECT import_id, line, raw, reason FROM postlane.left_out
     WHERE import_id = i.id AND kind = $2 AND (i.id > $3 OR line > $4) ORDER BY line LIMIT $5
   ) AS l
   WHERE i.list_id = $1 AND i.id >= $3 ORDER BY l.import_id, l.line LIMIT $5`,
);
export async function readLeftOut(
  on: Queryable,
  listId: ListId,
  kind: "rejected" | "double",
  after: Pick<LeftOutRow, "import_id" | "line">,
  rowsMax: number,
): Promise<readonly LeftOutRow[]> {
  return await rowsOf(on, LEFT_OUT, [listId, kind, after.import_id, after.line, rowsMax]);
}

// ---- a lane's --------------------------------------------------------------------------------------------------------

export interface LaneStretch {
  readonly laneId: LaneId;
  /** Accepted on this day (UTC); undefined: on any. */
  readonly day: string | undefined;
  readonly afterId: number;
  readonly uptoId: number;
}

// Messages have no index by day: all of a stretch are looked at. No event is older than its message.
export const OF_LANE = statement<PersonRow>(
  "people_of_lane",
  `SELECT NULL::bigint AS line, m.recipient AS address, stands.state, coalesce(story.at, m.accepted_at) AS since, story.reply,
     coalesce(greatest(q.attempts, story.attempts), 0) AS attempts, m.id AS message_id,
     CASE WHEN m.campaign_id <> 0 THEN story.version END AS version
   FROM (
     SELECT id, recipient, accepted_at, campaign_id FROM postlane.message
     WHERE id > $2 AND id <= $3 AND lane_id = $1
       AND ($4::date IS NULL OR (accepted_at AT TIME ZONE 'UTC')::date = $4) OFFSET 0
   ) AS m ${standingSince("coalesce($4::date::timestamp AT TIME ZONE 'UTC' - interval '1 hour', '-infinity')")}
   CROSS JOIN LATERAL (SELECT coalesce(q.state, story.kind) AS state) AS stands
   WHERE stands.state = $5 ORDER BY m.id`,
);
export async function readPeopleOfLane(
  on: Queryable,
  { laneId, day, afterId, uptoId }: LaneStretch,
  state: State,
): Promise<readonly PersonRow[]> {
  return await rowsOf(on, OF_LANE, [laneId, afterId, uptoId, day ?? null, state]);
}

export const MESSAGE_PAGE = statement<{ readonly upto_id: number | null }>(
  "people_message_page",
  `SELECT max(id) AS upto_id FROM (SELECT id FROM postlane.message WHERE id > $1 ORDER BY id LIMIT $2) AS page`,
);
export async function endOfMessagePage(on: Queryable, afterId: number, rowsMax: number): Promise<number | undefined> {
  return (await rowsOf(on, MESSAGE_PAGE, [afterId, rowsMax]))[0]?.upto_id ?? undefined;
}

export const UNMADE_CAMPAIGNS = statement<CampaignToWalk>(
  "people_unmade_campaigns",
  `SELECT c.id, c.list_id, coalesce(c.started_at, c.created_at) AS started_at, min(w.after_n) AS after_n, max(w.upto_n) AS upto_n
   FROM postlane.campaign AS c JOIN postlane.campaign_wave AS w ON w.campaign_id = c.id
   WHERE c.lane_id = $1 AND w.made < w.rows AND ($2::date IS NULL OR w.accepted_on = $2)
   GROUP BY c.id ORDER BY c.id`,
);
export interface CampaignToWalk {
  readonly id: CampaignId;
  readonly list_id: ListId;
  readonly started_at: Date;
  readonly after_n: number;
  readonly upto_n: number;
}
/** Those of a lane that have accepted recipients without a message. */
export async function unmadeCampaigns(
  on: Queryable,
  laneId: LaneId,
  day: string | undefined,
): Promise<readonly CampaignToWalk[]> {
  return await rowsOf(on, UNMADE_CAMPAIGNS, [laneId, day ?? null]);
}
