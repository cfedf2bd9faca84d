// What the dispatchers of an outlet share: the latest reading of its relay, what the governor has learnt from the ones
// before, who else uses it, and what is stopped. One look answers all of it, several times a second.

import { countOf, rowsOf, statement, type Queryable } from "../postgres/statement.ts";
import type { LaneId, LeaseId } from "../mail/ids.ts";
import type { LanePriority } from "../mail/lane.ts";
import type { OutletPulse } from "../mail/pulse.ts";
import type { RelayReading } from "../mail/reading.ts";
import type { Reason } from "../mail/reasons.ts";

/** Times are milliseconds of the database's clock. */
export interface Surroundings {
  readonly outlets: readonly SharedOutlet[];
  readonly users: readonly OutletUser[];
  readonly pauses: readonly Pause[];
}

export interface SharedOutlet {
  readonly outlet: string;
  readonly reading: { readonly number: number; readonly at_ms: number; readonly body: RelayReading } | null;
  /** The step that was taken last; null: none yet. */
  readonly verdict: { readonly reading_number: number; readonly state: unknown } | null;
}

/** A live dispatcher, as its last pulse tells. */
export interface OutletUser {
  readonly lease_id: LeaseId;
  readonly priority: LanePriority;
  readonly pulse_at_ms: number;
  readonly outlets: readonly Partial<OutletPulse>[];
}

export interface Pause {
  readonly kind: "outlet" | "destination";
  readonly name: string;
  readonly since: string;
  /** Null: a person's. */
  readonly reason: Reason | null;
}

// A lease's deadline is `lease` behind its last renewal, which is when the pulse was written.
export const SURROUNDINGS = statement<Surroundings>(
  "verdict_surroundings",
  `SELECT
     (SELECT coalesce(json_agg(json_build_object(
        'outlet', used.name,
        'reading', CASE WHEN r.outlet IS NOT NULL THEN json_build_object(
          'number', r.number, 'at_ms', extract(epoch FROM r.at) * 1000, 'body', r.body - 'shape') END,
        'verdict', CASE WHEN v.outlet IS NOT NULL THEN json_build_object(
          'reading_number', v.reading_number, 'state', v.state) END)), '[]')
      FROM unnest($2::text[]) AS used (name)
      LEFT JOIN postlane.reading AS r ON r.outlet = used.name
      LEFT JOIN postlane.verdict AS v ON v.outlet = used.name) AS outlets,
     (SELECT coalesce(json_agg(json_build_object(
        'lease_id', id, 'priority', pulse ->> 'priority', 'outlets', coalesce(pulse -> 'outlets', '[]'),
        'pulse_at_ms', extract(epoch FROM deadline) * 1000 - $3::float8) ORDER BY id), '[]')
      FROM postlane.lease WHERE deadline > clock_timestamp() AND pulse IS NOT NULL) AS users,
     (SELECT coalesce(json_agg(json_build_object(
        'kind', kind, 'name', name, 'since', paused_at, 'reason', reason)), '[]')
      FROM postlane.pause WHERE lane_id IN (0, $1)) AS pauses`,
);

export async function readSurroundings(
  on: Queryable,
  given: { readonly laneId: LaneId; readonly outlets: readonly string[]; readonly leaseMs: number },
): Promise<Surroundings> {
  const [surroundings] = await rowsOf(on, SURROUNDINGS, [given.laneId, given.outlets, given.leaseMs]);
  return surroundings!;
}

/** What the governor learnt from a reading. */
export interface VerdictStep {
  readonly outlet: string;
  readonly readingNumber: number;
  readonly state: unknown;
}

// The first to take the step from a reading wins; a later reading's step is never undone.
export const KEEP = statement<unknown>(
  "verdict_keep",
  `INSERT INTO postlane.verdict AS kept (outlet, reading_number, at, state)
   VALUES ($1, $2, clock_timestamp(), $3::jsonb)
   ON CONFLICT (outlet) DO UPDATE SET reading_number = excluded.reading_number, at = excluded.at, state = excluded.state
   WHERE kept.reading_number < excluded.reading_number`,
);

/** False: another dispatcher was first. */
export async function keepVerdictOnce(on: Queryable, { outlet, readingNumber, state }: VerdictStep): Promise<boolean> {
  return (await countOf(on, KEEP, [outlet, readingNumber, JSON.stringify(state)])) === 1;
}
