// Lanes as the database knows them, and what a dispatcher must know several times a second: is the lane paused, which
// of its campaigns run, who else serves it, and does the transactional lane wait.

import type { CampaignId, LaneId, LeaseId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import { countOf, rowsOf, statement, type Queryable } from "../postgres/statement.ts";
import type { Edition } from "./queue-store.ts";

export const SYNC = statement<unknown>(
  "lane_sync",
  `INSERT INTO postlane.lane AS known (name, is_bulk)
   SELECT name, is_bulk FROM unnest($1::text[], $2::boolean[]) AS wanted (name, is_bulk)
   WHERE (name, is_bulk) NOT IN (SELECT name, is_bulk FROM postlane.lane)
   ON CONFLICT (name) DO UPDATE SET is_bulk = excluded.is_bulk`,
);

/** Makes the lanes that the configuration names, and notes their priority. A lane is never removed: messages remember it. */
export async function syncLanes(
  on: Queryable,
  lanes: Readonly<Record<string, Pick<LaneSettings, "name" | "priority">>>,
): Promise<void> {
  const given = Object.values(lanes);
  await countOf(on, SYNC, [given.map(({ name }) => name), given.map(({ priority }) => priority === "bulk")]);
}

export interface LaneRow {
  readonly id: LaneId;
  readonly name: string;
  readonly paused_at: Date | null;
  /** Beside a person's pause. */
  readonly is_held_by_guard: boolean;
}

export const LIST = statement<LaneRow>(
  "lane_list",
  `SELECT id, name, paused_at, postlane.is_held_by_guard(is_bulk) AS is_held_by_guard FROM postlane.lane ORDER BY id`,
);

export async function listLanes(on: Queryable): Promise<readonly LaneRow[]> {
  return await rowsOf(on, LIST);
}

export const PAUSE = statement<unknown>(
  "lane_pause",
  `UPDATE postlane.lane SET paused_at = coalesce(paused_at, clock_timestamp()) WHERE name = $1`,
);
export const RESUME = statement<unknown>("lane_resume", `UPDATE postlane.lane SET paused_at = NULL WHERE name = $1`);

export const INTAKES = statement<{ readonly lane: string; readonly full_because: string | null }>(
  "lane_intakes",
  `SELECT name AS lane, full_because FROM postlane.lane ORDER BY id`,
);
export const SET_INTAKE = statement<unknown>(
  "lane_set_intake",
  `UPDATE postlane.lane SET full_because = $2 WHERE name = $1`,
);

/** Which lanes take mail, and why the others do not. */
export async function readIntakes(on: Queryable) {
  return await rowsOf(on, INTAKES);
}

/** Null: it takes mail again. */
export async function setIntake(on: Queryable, name: string, fullBecause: string | null): Promise<void> {
  await countOf(on, SET_INTAKE, [name, fullBecause]);
}

/** False: there is no such lane. */
export async function pauseLane(on: Queryable, name: string): Promise<boolean> {
  return (await countOf(on, PAUSE, [name])) === 1;
}
export async function resumeLane(on: Queryable, name: string): Promise<boolean> {
  return (await countOf(on, RESUME, [name])) === 1;
}

export interface LaneOrders {
  /** By a person, or held by the guard. */
  readonly is_paused: boolean;
  readonly database_ms: number;
  /** Running campaigns of the lane; messages of no campaign always run. */
  readonly campaign_ids: readonly CampaignId[];
  /** Of those that were edited. */
  readonly editions: readonly Edition[];
  /** The live leases of the lane, in the order of their ids. */
  readonly lease_ids: readonly LeaseId[];
  /** The longest p99 of waiting time that a live dispatcher of a transactional lane says it has lately. */
  readonly others_waiting_ms: number | null;
}

export const ORDERS = statement<LaneOrders>(
  "lane_orders",
  `SELECT lane.paused_at IS NOT NULL OR postlane.is_held_by_guard(lane.is_bulk) AS is_paused,
     (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS database_ms,
     ARRAY(SELECT id FROM postlane.campaign WHERE lane_id = $1 AND status = 'running' ORDER BY id) AS campaign_ids,
     (SELECT coalesce(json_agg(json_build_object('campaign_id', id, 'version', version, 'content_id', content_id)), '[]')
      FROM postlane.campaign WHERE lane_id = $1 AND status = 'running' AND version > 1) AS editions,
     ARRAY(SELECT id FROM postlane.lease WHERE lane_id = $1 AND deadline > clock_timestamp() ORDER BY id) AS lease_ids,
     (SELECT max((pulse ->> 'waiting_p99_ms')::float8) FROM postlane.lease
      WHERE pulse ->> 'priority' = 'transactional' AND deadline > clock_timestamp()) AS others_waiting_ms
   FROM postlane.lane WHERE id = $1`,
);

export async function readOrders(on: Queryable, laneId: LaneId): Promise<LaneOrders> {
  const [orders] = await rowsOf(on, ORDERS, [laneId]);
  return orders!;
}
