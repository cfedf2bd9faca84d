// What the alarm and the ageing of partitions ask the database.

import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface LaneProgress {
  readonly lane: string;
  readonly is_paused: boolean;
  /** Messages in state `queued` of no campaign or a running one, and in the queue: others wait for their pace. */
  readonly queued: number;
  readonly dispatchers: number;
  /** Of the live dispatcher that settled last. */
  readonly settled_ms_ago: number | null;
}

export const PROGRESS = statement<LaneProgress>(
  "upkeep_progress",
  `SELECT lane.name AS lane, lane.paused_at IS NOT NULL OR postlane.is_held_by_guard(lane.is_bulk) AS is_paused,
     coalesce((SELECT sum(sheet.n) FROM postlane.balance_sheet AS sheet
       LEFT JOIN postlane.campaign AS c ON c.id = sheet.campaign_id
       WHERE sheet.lane_id = lane.id AND sheet.state = 'queued' AND (c.id IS NULL OR c.status = 'running')), 0)::bigint
       - coalesce((SELECT sum(unmade.n) FROM postlane.campaign_unmade AS unmade
         JOIN postlane.campaign AS c ON c.id = unmade.campaign_id
         WHERE unmade.lane_id = lane.id AND unmade.state = 'queued' AND c.status = 'running'), 0)::bigint AS queued,
     (SELECT count(*) FROM postlane.lease WHERE lease.lane_id = lane.id AND deadline > clock_timestamp())::integer
       AS dispatchers,
     (SELECT min((pulse ->> 'settled_ms_ago')::float8) FROM postlane.lease
      WHERE lease.lane_id = lane.id AND deadline > clock_timestamp()) AS settled_ms_ago
   FROM postlane.lane ORDER BY lane.id`,
);

export interface QueueSize {
  readonly waiting: number;
  readonly database_bytes: number;
}

/** From the books, not from the queue, without what is not in it yet; and the files of the database. */
export const QUEUE_SIZE = statement<QueueSize>(
  "upkeep_queue_size",
  `SELECT coalesce(sum(n) FILTER (WHERE state IN ('scheduled', 'queued', 'deferred', 'held', 'unknown')), 0)::bigint
     - (SELECT coalesce(sum(n), 0) FROM postlane.campaign_unmade)::bigint AS waiting, pg_database_size(current_database())::bigint AS database_bytes FROM postlane.balance_sheet`,
);

export async function readQueueSize(on: Queryable): Promise<QueueSize> {
  const [size] = await rowsOf(on, QUEUE_SIZE);
  return size!;
}

export async function readProgress(on: Queryable): Promise<readonly LaneProgress[]> {
  return await rowsOf(on, PROGRESS);
}
