// The guard's one row, and what the server says of itself. Every statement is a transaction of its own: a process that
// freezes in the middle holds no lock that a heartbeat or another start would wait for.

import type { ClientBase } from "pg";
import type { Reason } from "../mail/reasons.ts";
import { countOf, rowsOf, statement, type Queryable } from "../postgres/statement.ts";
import { N_STEP, type Held, type Identity, type Sight } from "./judge-guard.ts";

export const SIGHT = statement<{ readonly sight: Sight }>("guard_read_sight", `SELECT postlane.guard_sight() AS sight`);

export async function readSight(on: Queryable): Promise<Sight> {
  const [row] = await rowsOf(on, SIGHT);
  return row!.sight;
}

// Before the schema is up to date, and for roles that may read no table of ours: so without our own functions.
export const IDENTITY = statement<Identity>(
  "guard_read_identity",
  `SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system_id,
     (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database_id,
     CASE WHEN pg_is_in_recovery() THEN NULL
     ELSE ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint END AS timeline`,
);

/** Undefined: our role may not ask. */
export async function readIdentity(client: ClientBase): Promise<Identity | undefined> {
  try {
    const [row] = await rowsOf(client, IDENTITY);
    return row!;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === INSUFFICIENT_PRIVILEGE) return undefined;
    throw error;
  }
}

const INSUFFICIENT_PRIVILEGE = "42501";

export const HEARTBEATS = statement<{ readonly n: number }>("guard_read_heartbeats", `SELECT n FROM postlane.guard`);

/** Undefined: the row cannot be read, or is not there yet. */
export async function readHeartbeats(client: ClientBase): Promise<number | undefined> {
  try {
    const [row] = await rowsOf(client, HEARTBEATS);
    return row?.n;
  } catch (error) {
    if (NO_ROW_CODES.has(String((error as { readonly code?: unknown }).code))) return undefined;
    throw error;
  }
}

/** The table or its schema is not there, or our role may not read it. */
const NO_ROW_CODES: ReadonlySet<string> = new Set(["42P01", "3F000", INSUFFICIENT_PRIVILEGE]);

// Of a bulk dispatcher that did not end its lease, while mail of its lane was due: rows that it had claimed are still due,
// and recipients whose messages were yet to be made count as well. What came due behind the last heartbeat may have gone
// out as long as the lease lasted. What is paused does not go out, and so was not sent. The look at the queue stops at the
// first row; it is only asked for behind a gap.
export const BULK_IN_FLIGHT = statement<{ readonly was_in_flight: boolean }>(
  "guard_bulk_in_flight",
  `SELECT EXISTS (
     SELECT FROM postlane.lane
     WHERE lane.is_bulk AND lane.paused_at IS NULL
       AND EXISTS (SELECT FROM postlane.lease WHERE lease.lane_id = lane.id)
       AND (
         EXISTS (
           SELECT FROM postlane.queue AS q
           WHERE q.lane_id = lane.id AND q.state IN ('queued', 'deferred', 'scheduled')
             AND q.due_at <= (SELECT max(deadline) FROM postlane.lease WHERE lease.lane_id = lane.id)
             AND (q.campaign_id = 0 OR EXISTS (
               SELECT FROM postlane.campaign AS c WHERE c.id = q.campaign_id AND c.status = 'running'))
         ) OR EXISTS (
           SELECT FROM postlane.campaign_unmade AS unmade JOIN postlane.campaign AS c ON c.id = unmade.campaign_id
           WHERE unmade.lane_id = lane.id AND unmade.state = 'queued' AND c.status = 'running'
         )
       )
   ) AS was_in_flight`,
);

export async function wasBulkInFlight(on: Queryable): Promise<boolean> {
  const [row] = await rowsOf(on, BULK_IN_FLIGHT);
  return row!.was_in_flight;
}

// The heartbeat of whoever has judged: so nobody else finds the same gap behind what is claimed from now on. Of a row that
// another has judged otherwise meanwhile it leaves everything.
export const RENEW = statement<{ readonly sight: Sight }>(
  "guard_renew",
  `WITH renewed AS (
     UPDATE postlane.guard SET system_id = $1, database_id = $2, timeline = $3, n = n + 1, beat_at = clock_timestamp()
     WHERE n < $4 RETURNING n, beat_at)
   SELECT jsonb_set(postlane.guard_sight(), '{n}', to_jsonb(n))
     || jsonb_build_object('beat_at_ms', (extract(epoch FROM beat_at) * 1000)::float8) AS sight FROM renewed`,
);

/** Undefined: another was first, and has held something. */
export async function renewGuard(on: Queryable, judged: Sight): Promise<Sight | undefined> {
  const { seen, n } = judged;
  const [row] = await rowsOf(on, RENEW, [seen.system_id, seen.database_id, seen.timeline, n + N_STEP / 2]);
  return row?.sight;
}

/** More messages than can have been accepted since a backup that anybody would restore. */
const IDS_SKIPPED = 1_000_000_000;

const SKIP = `setval(name, nextval(name) + ${IDS_SKIPPED}) FROM unnest(
  ARRAY['postlane.message_id_seq', 'postlane.content_id_seq']::regclass[]) AS name`;

// A database that was set back would give the ids of lost messages to new ones, and a late notice, or a journal, would settle
// the wrong one. Content ids are those of submissions, too.
export const SKIP_IDS = statement<unknown>("guard_skip_ids", `SELECT ${SKIP}`);

export async function skipIds(on: Queryable): Promise<void> {
  await countOf(on, SKIP_IDS);
}

// From now on the row is this database's, and what it remembers counts from above all that anybody can remember.
export const HOLD = statement<unknown>(
  "guard_hold",
  `WITH held AS (UPDATE postlane.guard SET system_id = $1, database_id = $2, timeline = $3, n = greatest(n, $5) + ${N_STEP},
     held = CASE WHEN held = 'all' THEN held ELSE $6 END, held_at = clock_timestamp(), reason = $7::jsonb
   WHERE n < $4 RETURNING n)
   SELECT ${SKIP} CROSS JOIN held`,
);

/** False: another was first. */
export async function holdIfNotHeldSince(
  on: Queryable,
  judged: Sight,
  given: {
    readonly held: Held;
    readonly reason: Pick<Reason, "code" | "evidence">;
    /** The most that anybody is known to remember. */
    readonly nKnown: number;
  },
): Promise<boolean> {
  const { seen, n } = judged;
  const values = [seen.system_id, seen.database_id, seen.timeline, n + N_STEP / 2];
  const { held, reason, nKnown } = given;
  return (await countOf(on, HOLD, [...values, nKnown, held, JSON.stringify(reason)])) > 0;
}

export const CONFIRM = statement<{ readonly held: Held | null }>(
  "guard_confirm",
  `WITH before AS (SELECT held FROM postlane.guard FOR UPDATE),
   confirmed AS (
     UPDATE postlane.guard SET system_id = $1, database_id = $2, timeline = $3, n = greatest(n, $4) + ${N_STEP},
       beat_at = clock_timestamp(), held = NULL, held_at = NULL, reason = NULL,
       confirmed_at = clock_timestamp(), confirmed_by = $5)
   SELECT held FROM before`,
);

/** What was held until now; null: nothing. */
export async function confirmGuard(
  on: Queryable,
  seen: Identity,
  given: { readonly nKnown: number; readonly by: string },
): Promise<Held | null> {
  const [row] = await rowsOf(on, CONFIRM, [seen.system_id, seen.database_id, seen.timeline, given.nKnown, given.by]);
  return row!.held;
}

export interface GuardRow {
  readonly held: Held | null;
  readonly held_at: Date | null;
  readonly reason: unknown;
  readonly confirmed_at: Date | null;
  readonly confirmed_by: string | null;
}

export const ROW = statement<GuardRow>(
  "guard_read_row",
  `SELECT held, held_at, reason, confirmed_at, confirmed_by FROM postlane.guard`,
);

export async function readGuard(on: Queryable): Promise<GuardRow> {
  const [row] = await rowsOf(on, ROW);
  return row!;
}
