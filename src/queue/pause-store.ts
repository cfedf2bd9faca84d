// Outlets and destinations that are stopped, by a person or by a rule that needs one to go on. Each is one row, in force
// when it is committed; dispatchers look for them several times a second, so the look is the table as it stands. A rule's
// row keeps its reason. Never touches a message: what waits, waits.

import type { LaneId } from "../mail/ids.ts";
import type { Reason } from "../mail/reasons.ts";
import { countOf, rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export type PauseKind = "outlet" | "destination";

/** The lane of a pause that holds for all of them. */
export const EVERY_LANE = 0 as LaneId;

export interface PauseTarget {
  readonly kind: PauseKind;
  readonly name: string;
  readonly laneId: LaneId;
}

export interface PauseRow {
  readonly kind: PauseKind;
  readonly name: string;
  readonly lane_id: LaneId;
  readonly paused_at: Date;
  /** Null: a person's. */
  readonly reason: Reason | null;
}

export const PAUSE = statement<unknown>(
  "pause_add",
  `INSERT INTO postlane.pause (kind, name, lane_id, reason) VALUES ($1, $2, $3, $4::jsonb)
   ON CONFLICT (kind, name, lane_id) DO NOTHING`,
);

/** A person's without a reason, a rule's with one. False: it is paused already, and stays so for its first reason. */
export async function pauseTarget(
  on: Queryable,
  { kind, name, laneId }: PauseTarget,
  reason?: Reason,
): Promise<boolean> {
  const values = [kind, name, laneId, reason === undefined ? null : JSON.stringify(reason)];
  return (await countOf(on, PAUSE, values)) === 1;
}

const COLUMNS = "kind, name, lane_id, paused_at, reason";

export const RESUME = statement<PauseRow>(
  "pause_remove",
  `DELETE FROM postlane.pause WHERE kind = $1 AND name = $2 AND ($3::smallint = 0 OR lane_id = $3) RETURNING ${COLUMNS}`,
);

/** Of `EVERY_LANE`, also what is paused for single lanes. Answers what was in force until now. */
export async function resumeTarget(on: Queryable, { kind, name, laneId }: PauseTarget): Promise<readonly PauseRow[]> {
  return await rowsOf(on, RESUME, [kind, name, laneId]);
}

export const LIST = statement<PauseRow>("pause_list", `SELECT ${COLUMNS} FROM postlane.pause`);

export async function listPauses(on: Queryable): Promise<readonly PauseRow[]> {
  return await rowsOf(on, LIST);
}
