// What `postlane status` asks. Reads only, and never scans the hot table: the counts come from the books, the rates and
// waiting times from what the dispatchers say of themselves, the oldest message from a bounded walk over an index.

import type { ClientBase } from "pg";
import type { LaneId, LeaseId } from "../mail/ids.ts";
import type { State } from "../mail/state.ts";
import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface SheetRow {
  readonly lane_id: LaneId;
  readonly state: State;
  readonly n: number;
}

export const SHEET = statement<SheetRow>(
  "status_sheet",
  `SELECT lane_id, state, sum(n)::bigint AS n FROM postlane.balance_sheet GROUP BY lane_id, state`,
);
export async function readLaneSheet(on: Queryable): Promise<readonly SheetRow[]> {
  return await rowsOf(on, SHEET);
}

export interface PulseRow {
  readonly id: LeaseId;
  readonly lane_id: LaneId;
  readonly is_alive: boolean;
  /** As `Dispatcher` writes it once a second; null in its first second. */
  readonly pulse: Readonly<Record<string, unknown>> | null;
}

export const PULSES = statement<PulseRow>(
  "status_pulses",
  `SELECT id, lane_id, deadline > clock_timestamp() AS is_alive, pulse FROM postlane.lease ORDER BY id`,
);
export async function readPulses(on: Queryable): Promise<readonly PulseRow[]> {
  return await rowsOf(on, PULSES);
}

export interface OldestRow {
  readonly lane_id: LaneId;
  /** How long the longest waiting message has been due; null: none is due. */
  readonly overdue_ms: number | null;
  /** A campaign has more destinations than were looked at. */
  readonly is_estimate: boolean;
}

// The first row of each destination in each running campaign, by the claim's own index: one descent for a destination,
// some 15 µs, however many rows it has. Rows of paused campaigns are never touched. What is due later and what is held
// stands behind what is due, so the first row is enough.
export const OLDEST = statement<OldestRow>(
  "status_oldest",
  `SELECT lane.id AS lane_id,
     (extract(epoch FROM clock_timestamp() - min(seen.due_at)) * 1000)::float8 AS overdue_ms,
     coalesce(bool_or(seen.destinations >= $1), false) AS is_estimate
   FROM postlane.lane
   LEFT JOIN LATERAL (
     SELECT 0 AS id UNION ALL SELECT id FROM postlane.campaign WHERE lane_id = lane.id AND status = 'running'
   ) AS campaign ON true
   LEFT JOIN LATERAL (
     WITH RECURSIVE walk AS (
       (SELECT destination, due_at FROM postlane.queue
        WHERE lane_id = lane.id AND campaign_id = campaign.id ORDER BY destination, due_at LIMIT 1)
       UNION ALL
       SELECT next.destination, next.due_at FROM walk CROSS JOIN LATERAL (
         SELECT destination, due_at FROM postlane.queue
         WHERE lane_id = lane.id AND campaign_id = campaign.id AND destination > walk.destination
         ORDER BY destination, due_at LIMIT 1
       ) AS next
     ), seen AS (SELECT due_at FROM walk LIMIT $1)
     SELECT min(due_at) FILTER (WHERE due_at <= clock_timestamp()) AS due_at, count(*) AS destinations FROM seen
   ) AS seen ON true
   GROUP BY lane.id`,
);
export async function readOldest(client: ClientBase, destinationsMax: number): Promise<readonly OldestRow[]> {
  return await rowsOf(client, OLDEST, [destinationsMax]);
}

export const LIMIT_TIME = statement<unknown>("status_limit_time", `SELECT set_config('statement_timeout', $1, true)`);
/** For the rest of the caller's transaction. */
export async function limitStatementTime(client: ClientBase, msMax: number): Promise<void> {
  await rowsOf(client, LIMIT_TIME, [String(msMax)]);
}

export interface CountRow {
  readonly lane_id: LaneId;
  readonly accepted_booked: number;
  readonly accepted_counted: number;
  readonly waiting_booked: number;
  readonly waiting_counted: number;
}

// One statement, so one snapshot: books and rows are of the same moment. Reads both tables whole. Who was accepted for a
// campaign and has no message is counted by the waves.
export const COUNT = statement<CountRow>(
  "status_count",
  `SELECT lane.id AS lane_id,
     coalesce((SELECT sum(n) FROM postlane.balance_sheet WHERE lane_id = lane.id), 0)::bigint AS accepted_booked,
     (coalesce(message.n, 0) + coalesce(unmade.n, 0))::bigint AS accepted_counted,
     coalesce((SELECT sum(n) FROM postlane.balance_sheet WHERE lane_id = lane.id
       AND state IN ('scheduled', 'queued', 'deferred', 'held', 'unknown')), 0)::bigint AS waiting_booked,
     (coalesce(queue.n, 0) + coalesce(unmade.waiting, 0))::bigint AS waiting_counted
   FROM postlane.lane
   LEFT JOIN (SELECT lane_id, count(*) AS n FROM postlane.message GROUP BY lane_id) AS message
     ON message.lane_id = lane.id
   LEFT JOIN (SELECT lane_id, count(*) AS n FROM postlane.queue GROUP BY lane_id) AS queue ON queue.lane_id = lane.id
   LEFT JOIN (
     SELECT c.lane_id, sum(w.rows - w.made) AS n, sum(w.rows - w.made - w.withdrawn) AS waiting
     FROM postlane.campaign_wave AS w JOIN postlane.campaign AS c ON c.id = w.campaign_id GROUP BY c.lane_id
   ) AS unmade ON unmade.lane_id = lane.id
   ORDER BY lane.id`,
);
export async function countAll(on: Queryable): Promise<readonly CountRow[]> {
  return await rowsOf(on, COUNT);
}
