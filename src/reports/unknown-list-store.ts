// Which messages are unknown, by the partial index over what has stopped: its size is theirs, not the queue's.

import type { CampaignId, MessageId } from "../mail/ids.ts";
import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface UnknownListRow {
  readonly message_id: MessageId;
  readonly lane: string;
  readonly campaign: string | null;
  readonly recipient: string;
  readonly attempts: number;
  /** When it is sent again by itself; null: a person or evidence decides. */
  readonly due_ms: number | null;
  /** Of the attempt that ended without a reply; null when the history is older than what is kept. */
  readonly at: Date | null;
  readonly outlet: string | null;
  readonly host: string | null;
  readonly reply: string | null;
}

export interface UnknownQuestion {
  /** Of no campaign in particular: undefined. */
  readonly campaignId: CampaignId | undefined;
  readonly after: number;
  readonly rowsMax: number;
}

export const LIST = statement<UnknownListRow>(
  "unknown_list",
  `SELECT found.message_id, lane.name AS lane, c.name AS campaign, m.recipient, found.attempts,
     CASE WHEN found.due_at < 'infinity' THEN (extract(epoch FROM found.due_at) * 1000)::float8 END AS due_ms,
     last.at, last.outlet, last.host, last.reply
   FROM postlane.lane CROSS JOIN LATERAL (
     SELECT q.message_id, q.campaign_id, q.attempts, q.due_at FROM postlane.queue AS q
     WHERE q.lane_id = lane.id AND q.state = 'unknown' AND q.message_id > $2
       AND ($1::integer IS NULL OR q.campaign_id = $1)
     ORDER BY q.message_id LIMIT $3
   ) AS found
   JOIN postlane.message AS m ON m.id = found.message_id
   LEFT JOIN postlane.campaign AS c ON c.id = found.campaign_id
   LEFT JOIN LATERAL (
     SELECT at, outlet, host, reply FROM postlane.event
     WHERE message_id = found.message_id AND kind = 'unknown' ORDER BY at DESC LIMIT 1
   ) AS last ON true
   ORDER BY found.message_id LIMIT $3`,
);

/** In the order of their ids, from behind `after` on. */
export async function listUnknown(on: Queryable, question: UnknownQuestion): Promise<readonly UnknownListRow[]> {
  return await rowsOf(on, LIST, [question.campaignId ?? null, question.after, question.rowsMax]);
}

export const IDS = statement<{ readonly message_id: MessageId }>(
  "unknown_list_ids",
  `SELECT found.message_id FROM postlane.lane CROSS JOIN LATERAL (
     SELECT q.message_id FROM postlane.queue AS q
     WHERE q.lane_id = lane.id AND q.state = 'unknown' AND q.message_id > $2
       AND ($1::integer IS NULL OR q.campaign_id = $1)
     ORDER BY q.message_id LIMIT $3
   ) AS found ORDER BY found.message_id LIMIT $3`,
);
export async function listUnknownIds(on: Queryable, question: UnknownQuestion): Promise<readonly MessageId[]> {
  const rows = await rowsOf(on, IDS, [question.campaignId ?? null, question.after, question.rowsMax]);
  return rows.map((row) => row.message_id);
}

export const COUNT = statement<{ readonly n: number }>(
  "unknown_count",
  `SELECT coalesce(sum(n), 0)::bigint AS n FROM postlane.balance_sheet
   WHERE state = 'unknown' AND ($1::integer IS NULL OR campaign_id = $1)`,
);
export async function countUnknown(on: Queryable, campaignId: CampaignId | undefined): Promise<number> {
  const [row] = await rowsOf(on, COUNT, [campaignId ?? null]);
  return row!.n;
}
