// What relays' logs and notices have told of destinations (written by `returns`), as a dispatcher reads it: at first
// sight of a destination, and then only what changed. Reads only.

import { BEFORE_FIRST_LOOK, cursorOf, type SnapshotCursor } from "../postgres/snapshot-cursor.ts";
import { rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";

export interface HealthRow {
  readonly name: string;
  /** Deliveries since the last failure, as far as they are counted. */
  readonly successes: number;
  /** Waves of failure since the last delivery. */
  readonly failures: number;
  readonly answered_ago_ms: number | null;
  /** Until its next probe; negative: it is due. */
  readonly probe_in_ms: number | null;
  readonly error: string | null;
}

const COLUMNS = `name, successes, failures,
     (extract(epoch FROM clock_timestamp() - answered_at) * 1000)::float8 AS answered_ago_ms,
     (extract(epoch FROM probe_at - clock_timestamp()) * 1000)::float8 AS probe_in_ms, error`;

export const HEALTH = statement<HealthRow>(
  "health_of",
  `SELECT ${COLUMNS} FROM postlane.destination WHERE name = ANY ($1::text[])`,
);

/** Of these destinations; those of which nothing was told are left out. */
export async function readHealth(on: Queryable, names: readonly string[]): Promise<readonly HealthRow[]> {
  return await rowsOf(on, HEALTH, [textArray(names)]);
}

// As arrivals are found (queue-store.ts): each change is seen once, as soon as it is committed.
export const CHANGED = statement<Omit<HealthRow, "name"> & { readonly snapshot: string; readonly name: string | null }>(
  "health_changed",
  `WITH changed AS MATERIALIZED (
     SELECT * FROM postlane.destination WHERE tx >= $1::xid8
     UNION ALL
     SELECT * FROM postlane.destination WHERE tx = ANY ($2::xid8[])
   )
   SELECT pg_current_snapshot()::text AS snapshot, ${COLUMNS} FROM (SELECT) AS always LEFT JOIN changed ON true`,
);

/** What changed since the last look; without a cursor only a cursor to begin with. */
export async function readHealthChanges(
  on: Queryable,
  cursor: SnapshotCursor = BEFORE_FIRST_LOOK,
): Promise<{ readonly cursor: SnapshotCursor; readonly changed: readonly HealthRow[] }> {
  const rows = await rowsOf(on, CHANGED, [cursor.xmax, cursor.open]);
  return {
    cursor: cursorOf(rows[0]!.snapshot),
    changed: rows.filter((row) => row.name !== null) as readonly HealthRow[],
  };
}
