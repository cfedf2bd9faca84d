// What would be sent again: all that waits, by the database's own view, and was accepted before the guard looked. Whether it
// was sent in the time that the database lacks, only the world knows. Reads the whole queue, which for a question that is
// asked once after a restore is cheap enough: 1,000,000 rows take about a second.

import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface SendAgainRow {
  readonly lane: string;
  readonly is_bulk: boolean;
  /** Null: of no campaign. */
  readonly campaign: string | null;
  readonly status: string | null;
  readonly messages: number;
  /** Different addresses among them; of recipients whose messages are yet to be made, each is one. */
  readonly recipients: number;
  /** Of the messages that are made. */
  readonly oldest: Date | null;
  readonly newest: Date | null;
}

// What is held or unknown under `hold` waits for a person anyway. Recipients without a message count whole: in the time that
// is lacking, theirs may have been made and sent.
export const SEND_AGAIN = statement<SendAgainRow>(
  "guard_send_again",
  `WITH waiting AS (
     SELECT q.lane_id, q.campaign_id, count(*) AS messages, count(DISTINCT lower(m.recipient)) AS recipients,
       min(m.accepted_at) AS oldest, max(m.accepted_at) AS newest
     FROM postlane.queue AS q JOIN postlane.message AS m ON m.id = q.message_id
     WHERE m.accepted_at <= coalesce((SELECT held_at FROM postlane.guard), clock_timestamp())
       AND (q.state IN ('scheduled', 'queued', 'deferred') OR (q.state = 'unknown' AND q.due_at < 'infinity'))
     GROUP BY 1, 2
     UNION ALL
     SELECT lane_id, campaign_id, sum(n), sum(n), NULL, NULL FROM postlane.campaign_unmade GROUP BY 1, 2)
   SELECT lane.name AS lane, lane.is_bulk, c.name AS campaign, c.status, sum(waiting.messages)::bigint AS messages,
     sum(waiting.recipients)::bigint AS recipients, min(waiting.oldest) AS oldest, max(waiting.newest) AS newest
   FROM waiting JOIN postlane.lane ON lane.id = waiting.lane_id
   LEFT JOIN postlane.campaign AS c ON c.id = waiting.campaign_id
   WHERE c.status IS DISTINCT FROM 'canceled'
   GROUP BY lane.id, lane.name, lane.is_bulk, c.name, c.status ORDER BY lane.id, sum(waiting.messages) DESC, c.name`,
);

export async function readSendAgain(on: Queryable): Promise<readonly SendAgainRow[]> {
  return await rowsOf(on, SEND_AGAIN);
}
