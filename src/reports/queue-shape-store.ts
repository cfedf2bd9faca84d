// What `postlane queue shape` asks: how many messages wait for each destination, by age. A walk over the claim's index
// from destination to destination, and a few rows of each: bounded by both counts, and by the caller's statement timeout.

import type { ClientBase } from "pg";
import type { LaneId } from "../mail/ids.ts";
import { rowsOf, statement } from "../postgres/statement.ts";

export interface ShapeLine {
  readonly destination: string;
  /** 0: younger than the first bound; as many as bounds: older than the last. */
  readonly bucket: number;
  readonly messages: number;
  /** Of this destination not all rows were looked at. */
  readonly is_more: boolean;
  /** Of this lane not all destinations were looked at. */
  readonly is_cut: boolean;
}

export interface ShapeLimits {
  readonly laneId: LaneId | undefined;
  readonly destinationsMax: number;
  readonly rowsMax: number;
}

// The rows of a destination come in the order of their due times, so a part of them is the part that is tried first. What
// is held is behind them, and is looked at, too. Of a canceled campaign nothing waits any more.
export const SHAPE = statement<ShapeLine>(
  "queue_shape",
  `SELECT walked.destination, seen.bucket, sum(seen.n)::float8 AS messages, bool_or(seen.total >= $3) AS is_more,
     bool_or(walked.place >= $2) AS is_cut
   FROM postlane.lane
   CROSS JOIN LATERAL (
     SELECT 0 AS id UNION ALL
     SELECT id FROM postlane.campaign WHERE lane_id = lane.id AND status IN ('importing', 'running', 'paused')
   ) AS campaign
   CROSS JOIN LATERAL (
     WITH RECURSIVE walk AS (
       (SELECT destination, 1 AS place FROM postlane.queue
        WHERE lane_id = lane.id AND campaign_id = campaign.id ORDER BY destination LIMIT 1)
       UNION ALL
       SELECT next.destination, walk.place + 1 FROM walk CROSS JOIN LATERAL (
         SELECT destination FROM postlane.queue
         WHERE lane_id = lane.id AND campaign_id = campaign.id AND destination > walk.destination
         ORDER BY destination LIMIT 1
       ) AS next WHERE walk.place < $2
     )
     SELECT destination, place FROM walk
   ) AS walked
   CROSS JOIN LATERAL (
     SELECT bucket, count(*) AS n, sum(count(*)) OVER () AS total FROM (
       SELECT width_bucket(extract(epoch FROM clock_timestamp() - accepted.accepted_at)::float8 / 60, $4::float8[])
         AS bucket
       FROM (
         SELECT message_id FROM postlane.queue
         WHERE lane_id = lane.id AND campaign_id = campaign.id AND destination = walked.destination
         ORDER BY destination, due_at LIMIT $3
       ) AS row
       CROSS JOIN LATERAL (SELECT accepted_at FROM postlane.message WHERE id = row.message_id OFFSET 0) AS accepted
     ) AS aged GROUP BY bucket
   ) AS seen
   WHERE $1::smallint IS NULL OR lane.id = $1
   GROUP BY walked.destination, seen.bucket`,
);
export async function readShape(
  client: ClientBase,
  { laneId, destinationsMax, rowsMax }: ShapeLimits,
  boundsMin: readonly number[],
): Promise<readonly ShapeLine[]> {
  return await rowsOf(client, SHAPE, [laneId ?? null, destinationsMax, rowsMax, boundsMin]);
}
