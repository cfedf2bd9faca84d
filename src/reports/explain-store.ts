// What explain and the metrics ask of the database, once a second: one statement, so one snapshot and one round trip. It
// reads the books, the pulses and the small tables beside the road, and never scans a hot table; counts of tables that
// may grow are capped. Everything comes as JSON, so that the driver has one row to read.

import type { ClientBase } from "pg";
import type { LaneId, LeaseId } from "../mail/ids.ts";
import type { State } from "../mail/state.ts";
import type { PausedBecause } from "../campaigns/campaign-store.ts";
import type { PauseKind } from "../queue/pause-store.ts";
import { rowsOf, statement, textArray } from "../postgres/statement.ts";

export interface EngineRow {
  readonly at_ms: number;
  readonly lanes: readonly {
    readonly id: LaneId;
    readonly name: string;
    readonly paused_at_ms: number | null;
    readonly is_held_by_guard: boolean;
    readonly full_because: string | null;
  }[];
  /** Null: the guard holds nothing. */
  readonly guard: { readonly held_at_ms: number; readonly reason: unknown } | null;
  readonly leases: readonly LeaseLine[];
  readonly books: readonly BookLine[];
  /** Those that are paused. */
  readonly campaigns: readonly {
    readonly id: number;
    readonly name: string;
    readonly lane_id: LaneId;
    readonly paused_because: PausedBecause | null;
  }[];
  readonly held_back: readonly HeldBackLine[];
  readonly pauses: readonly PauseLine[];
  readonly readings: readonly { readonly outlet: string; readonly age_ms: number; readonly body: unknown }[];
  readonly failing: number;
  readonly worst: readonly DestinationLine[];
  readonly unaccounted: readonly { readonly outlet: string; readonly messages: number }[];
  readonly unjudged: number;
  readonly unjudged_oldest_ms: number | null;
  readonly transaction: TransactionLine | null;
  /** How long the longest commit of those that wait for the disk has waited. */
  readonly commit_stuck_ms: number | null;
}

export interface LeaseLine {
  readonly id: LeaseId;
  readonly lane_id: LaneId;
  /** Past its deadline; negative while it holds. */
  readonly late_ms: number;
  readonly held_ms: number;
  readonly pulse: unknown;
}

export interface BookLine {
  readonly lane_id: LaneId;
  /** Null: of no campaign, or of one that is not paused. */
  readonly paused_campaign_id: number | null;
  readonly state: State;
  readonly n: number;
}

/** A running campaign with a pace or an undecided canary, and recipients whose time has come and who wait for that. */
export interface HeldBackLine {
  readonly name: string;
  readonly lane_id: LaneId;
  readonly unmade: number;
  readonly pace_per_s: number | null;
  /** Null: it has none, or it is decided. */
  readonly canary_rows: number | null;
}

export interface PauseLine {
  readonly kind: PauseKind;
  readonly name: string;
  readonly lane_id: LaneId;
  readonly paused_at_ms: number;
  readonly reason: unknown;
}

export interface DestinationLine {
  readonly name: string;
  readonly failures: number;
  readonly probe_in_ms: number | null;
  readonly error: string | null;
}

export interface TransactionLine {
  readonly pid: number;
  readonly open_ms: number;
  readonly application: string;
}

/** Counts go no further. More than that is "many" to any reader, and counting on would cost more each second. */
export const COUNT_MAX = 100_000;
/** As many as a pulse tells of. */
const WORST_MAX = 20;
const PAUSED_CAMPAIGNS_MAX = 50;
const PAUSES_MAX = 1000;

const MS_OF = (interval: string): string => `(extract(epoch FROM ${interval}) * 1000)::float8`;
const LIST_OF = (rows: string): string => `(SELECT coalesce(json_agg(line), '[]') FROM (${rows}) AS line)`;

// Of a transaction that only vacuum's horizon feels: one with a snapshot or an id of its own. Whoever may not read other
// roles' sessions sees null there, and so only those of its own role. A prepared transaction has no session any more.
// `walsync` and `walwrite` are what a session waits for that commits: the disk itself, or whoever is at it.
export const ENGINE = statement<EngineRow>(
  "explain_engine",
  `SELECT ${MS_OF("clock_timestamp()")} AS at_ms,
     ${LIST_OF(`SELECT id, name, ${MS_OF("paused_at")} AS paused_at_ms, full_because,
       postlane.is_held_by_guard(is_bulk) AS is_held_by_guard FROM postlane.lane ORDER BY id`)} AS lanes,
     (SELECT json_build_object('held_at_ms', ${MS_OF("held_at")}, 'reason', reason) FROM postlane.guard
       WHERE held IS NOT NULL) AS guard,
     ${LIST_OF(`SELECT id, lane_id, ${MS_OF("clock_timestamp() - deadline")} AS late_ms,
       ${MS_OF("clock_timestamp() - acquired_at")} AS held_ms, pulse FROM postlane.lease ORDER BY id`)} AS leases,
     ${LIST_OF(`SELECT sheet.lane_id, c.id AS paused_campaign_id, sheet.state, sum(sheet.n)::float8 AS n
       FROM postlane.balance_sheet AS sheet
       LEFT JOIN postlane.campaign AS c ON c.id = sheet.campaign_id AND c.status = 'paused' GROUP BY 1, 2, 3`)} AS books,
     ${LIST_OF(`SELECT id, name, lane_id, paused_because FROM postlane.campaign WHERE status = 'paused'
       ORDER BY id DESC LIMIT ${PAUSED_CAMPAIGNS_MAX}`)} AS campaigns,
     ${LIST_OF(`SELECT c.name, c.lane_id, unmade.n::float8 AS unmade, c.pace_per_s,
         CASE WHEN c.canary_state IN ('sending', 'watching') THEN c.canary_rows END AS canary_rows
       FROM postlane.campaign_unmade AS unmade JOIN postlane.campaign AS c ON c.id = unmade.campaign_id
       WHERE c.status = 'running' AND unmade.state = 'queued'
         AND (c.pace_per_s IS NOT NULL OR c.canary_state IN ('sending', 'watching'))`)} AS held_back,
     ${LIST_OF(`SELECT kind, name, lane_id, ${MS_OF("paused_at")} AS paused_at_ms, reason FROM postlane.pause
       ORDER BY paused_at LIMIT ${PAUSES_MAX}`)} AS pauses,
     ${LIST_OF(`SELECT outlet, ${MS_OF("clock_timestamp() - at")} AS age_ms, body FROM postlane.reading
       ORDER BY outlet`)} AS readings,
     (SELECT count(*)::integer FROM (SELECT FROM postlane.destination WHERE failures > 0 LIMIT ${COUNT_MAX}) AS counted)
       AS failing,
     ${LIST_OF(`SELECT name, failures, ${MS_OF("probe_at - clock_timestamp()")} AS probe_in_ms, error
       FROM postlane.destination WHERE failures > 0 ORDER BY failures DESC LIMIT ${WORST_MAX}`)} AS worst,
     ${LIST_OF(`SELECT outlet, count(*) AS messages
       FROM (SELECT outlet FROM postlane.unaccounted LIMIT ${COUNT_MAX}) AS counted GROUP BY outlet ORDER BY outlet`)}
       AS unaccounted,
     (SELECT count(*)::integer FROM (SELECT FROM postlane.return WHERE judged_at IS NULL LIMIT ${COUNT_MAX}) AS counted)
       AS unjudged,
     (SELECT ${MS_OF("clock_timestamp() - received_at")} FROM postlane.return WHERE judged_at IS NULL
       ORDER BY judge_at LIMIT 1) AS unjudged_oldest_ms,
     (SELECT row_to_json(longest) FROM (
       SELECT pid, open_ms, application FROM (
         SELECT pid, ${MS_OF("clock_timestamp() - xact_start")} AS open_ms, application_name AS application
         FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
           AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
         UNION ALL
         SELECT 0, ${MS_OF("clock_timestamp() - prepared")}, 'prepared transaction ' || gid
         FROM pg_prepared_xacts WHERE database = current_database()
       ) AS one WHERE open_ms IS NOT NULL ORDER BY open_ms DESC LIMIT 1
     ) AS longest) AS transaction,
     (SELECT ${MS_OF("clock_timestamp() - min(query_start)")} FROM pg_stat_activity
      WHERE datname = current_database() AND state = 'active' AND lower(wait_event) IN ('walsync', 'walwrite'))
       AS commit_stuck_ms`,
);
export async function readEngine(client: ClientBase): Promise<EngineRow> {
  const [row] = await rowsOf(client, ENGINE);
  return row!;
}

export interface WaitingForRow {
  readonly destination: string;
  readonly waiting: number;
  /** Somewhere the count was given up. */
  readonly is_more: boolean;
}

const CAMPAIGNS_COUNTED_MAX = 20;

// Over the claim's own index, with a limit for each destination in each campaign. Old campaigns that still run are left
// out beyond the newest twenty: then the count is too low, never too slow.
export const WAITING_FOR = statement<WaitingForRow>(
  "explain_waiting_for",
  `SELECT given.destination, sum(seen.n)::float8 AS waiting, bool_or(seen.n >= $2) AS is_more
   FROM unnest($1::text[]) AS given (destination) CROSS JOIN postlane.lane
   CROSS JOIN LATERAL (
     SELECT 0 AS id UNION ALL (
       SELECT id FROM postlane.campaign WHERE lane_id = lane.id AND status IN ('running', 'paused')
       ORDER BY id DESC LIMIT ${CAMPAIGNS_COUNTED_MAX})
   ) AS campaign
   CROSS JOIN LATERAL (
     SELECT count(*) AS n FROM (
       SELECT FROM postlane.queue
       WHERE lane_id = lane.id AND campaign_id = campaign.id AND destination = given.destination
       ORDER BY destination, due_at LIMIT $2
     ) AS row
   ) AS seen
   GROUP BY given.destination`,
);
export async function readWaitingFor(
  client: ClientBase,
  destinations: readonly string[],
  rowsMax: number,
): Promise<readonly WaitingForRow[]> {
  return await rowsOf(client, WAITING_FOR, [textArray(destinations), rowsMax]);
}

export interface DestinationRow {
  readonly successes: number;
  readonly failures: number;
  readonly probe_in_ms: number | null;
  readonly answered_at_ms: number | null;
  readonly error: string | null;
}

export const DESTINATION = statement<DestinationRow>(
  "explain_destination",
  `SELECT successes::integer AS successes, failures, ${MS_OF("probe_at - clock_timestamp()")} AS probe_in_ms,
     ${MS_OF("answered_at")} AS answered_at_ms, error
   FROM postlane.destination WHERE name = $1`,
);
export async function readDestination(client: ClientBase, name: string): Promise<DestinationRow | undefined> {
  const [row] = await rowsOf(client, DESTINATION, [name]);
  return row;
}

export const DESTINATION_OF = statement<{ readonly destination: string }>(
  "explain_destination_of",
  `SELECT destination FROM postlane.queue WHERE message_id = $1`,
);
/** Of a message that waits. */
export async function readDestinationOf(client: ClientBase, messageId: number): Promise<string | undefined> {
  const [row] = await rowsOf(client, DESTINATION_OF, [messageId]);
  return row?.destination;
}
