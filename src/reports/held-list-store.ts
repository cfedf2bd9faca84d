// Which messages a rule has held: those of a destination or an outlet that refused by policy. By the partial index over
// what has stopped. A rule's hold is told by its event, which names the outlet that the refusal came by; a person's hold
// and a message that could not be composed have none.

import type { LaneId, MessageId } from "../mail/ids.ts";
import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface HeldQuestion {
  /** Undefined: every lane. */
  readonly laneId?: LaneId | undefined;
  readonly destination?: string | undefined;
  readonly outlet?: string | undefined;
}

export interface HeldRow {
  readonly message_id: MessageId;
  readonly is_by_rule: boolean;
}

export const LIST = statement<HeldRow>(
  "held_list",
  `SELECT found.message_id,
     coalesce(last.outlet IS NOT NULL AND ($3::text IS NULL OR last.outlet = $3), false) AS is_by_rule
   FROM (
     SELECT q.message_id FROM postlane.lane CROSS JOIN LATERAL (
       SELECT message_id FROM postlane.queue
       WHERE lane_id = lane.id AND state = 'held' AND lease_id IS NULL AND message_id > $4
         AND ($2::text IS NULL OR destination = $2)
       ORDER BY message_id LIMIT $5
     ) AS q WHERE $1::smallint IS NULL OR lane.id = $1 ORDER BY q.message_id LIMIT $5
   ) AS found
   LEFT JOIN LATERAL (
     SELECT outlet FROM postlane.event WHERE message_id = found.message_id AND kind = 'held' ORDER BY at DESC LIMIT 1
   ) AS last ON true
   ORDER BY found.message_id`,
);

/** From behind `after` on, in the order of their ids: a page of what is held, and which of it the rule has held. */
export async function listHeld(
  on: Queryable,
  { laneId, destination, outlet }: HeldQuestion,
  { after, rowsMax }: { readonly after: number; readonly rowsMax: number },
): Promise<readonly HeldRow[]> {
  return await rowsOf(on, LIST, [laneId ?? null, destination ?? null, outlet ?? null, after, rowsMax]);
}
