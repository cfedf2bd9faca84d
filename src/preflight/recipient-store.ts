// Recipients of a list as preflight, previews and tests read them: one, the first few, and long stretches in chunks by their
// number, each chunk a descent of an index; and what else of the database a preflight looks at. Reads only.

import type { CampaignId, LaneId, ListId } from "../mail/ids.ts";
import type { OutletPulse } from "../mail/pulse.ts";
import { numberArray, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";

export interface ListedRecipient {
  readonly n: number;
  readonly address: string;
  /** JSON. */
  readonly data: string;
  /** Of its file; 0: it came from none. */
  readonly line: number;
}

const COLUMNS = "r.n, r.address, r.data, r.line";

export const BY_ADDRESS = statement<ListedRecipient>(
  "preflight_recipients_by_address",
  `SELECT ${COLUMNS} FROM unnest($2::text[]) WITH ORDINALITY AS given (address, place)
   JOIN postlane.recipient AS r ON r.list_id = $1 AND lower(r.address) = lower(given.address COLLATE "C")
   ORDER BY given.place`,
);
/** In the order in which they are named; who is not on the list is not among them. */
export async function recipientsNamed(on: Queryable, listId: ListId, addresses: readonly string[]) {
  return await rowsOf(on, BY_ADDRESS, [listId, textArray(addresses)]);
}

// Lines have no index: a person asks for one now and then.
export const BY_LINE = statement<ListedRecipient>(
  "preflight_recipient_by_line",
  `SELECT ${COLUMNS} FROM postlane.recipient AS r WHERE r.list_id = $1 AND r.line = $2 ORDER BY r.n LIMIT 1`,
);
export async function recipientOfLine(
  on: Queryable,
  listId: ListId,
  line: number,
): Promise<ListedRecipient | undefined> {
  return (await rowsOf(on, BY_LINE, [listId, line]))[0];
}

export const FIRST = statement<ListedRecipient>(
  "preflight_first_recipients",
  `SELECT ${COLUMNS} FROM postlane.recipient AS r WHERE r.list_id = $1 ORDER BY r.list_id, r.n LIMIT $2`,
);
export async function firstRecipients(on: Queryable, listId: ListId, rowsMax: number) {
  return await rowsOf(on, FIRST, [listId, rowsMax]);
}

// ---- stretches -------------------------------------------------------------------------------------------------------

/** Recipients of a list behind one number, up to another. */
export interface Stretch {
  readonly scope: "everyone" | "zone" | "no_zone";
  readonly time_zone: string | null;
  readonly after_n: number;
  readonly upto_n: number;
  readonly rows: number;
}

/** What waves have still to make messages of. */
export const UNMADE = statement<Stretch>(
  "preflight_unmade",
  `SELECT scope, time_zone, after_n, upto_n, rows - made - withdrawn AS rows FROM postlane.campaign_wave
   WHERE campaign_id = $1 AND made + withdrawn < rows ORDER BY due_at, n`,
);
export async function unmadeStretches(on: Queryable, id: CampaignId): Promise<readonly Stretch[]> {
  return await rowsOf(on, UNMADE, [id]);
}

// As make_messages reads them: a zone by its own index.
const WITHIN = "r.list_id = $1 AND r.n > $2 AND r.n <= $3";
const OF_ZONE = `${WITHIN} AND r.time_zone = $4`;
const OF_NO_ZONE = `${WITHIN} AND r.time_zone IS NULL`;

export const CHUNK = statement<ListedRecipient>(
  "preflight_chunk",
  `SELECT ${COLUMNS} FROM postlane.recipient AS r WHERE ${WITHIN} AND $4::text IS NULL ORDER BY r.list_id, r.n LIMIT $5`,
);
export const ZONE_CHUNK = statement<ListedRecipient>(
  "preflight_zone_chunk",
  `SELECT ${COLUMNS} FROM postlane.recipient AS r WHERE ${OF_ZONE} ORDER BY r.n LIMIT $5`,
);
export const NO_ZONE_CHUNK = statement<ListedRecipient>(
  "preflight_no_zone_chunk",
  `SELECT ${COLUMNS} FROM postlane.recipient AS r WHERE ${OF_NO_ZONE} AND $4::text IS NULL
   ORDER BY r.list_id, r.n LIMIT $5`,
);
const CHUNKS = { everyone: CHUNK, zone: ZONE_CHUNK, no_zone: NO_ZONE_CHUNK } as const;

/** The next of a stretch, behind `afterN`. */
export async function recipientsOf(
  on: Queryable,
  listId: ListId,
  { scope, time_zone, upto_n }: Stretch,
  afterN: number,
  rowsMax: number,
): Promise<readonly ListedRecipient[]> {
  return await rowsOf(on, CHUNKS[scope], [listId, afterN, upto_n, time_zone, rowsMax]);
}

// Every so many rows one, by position: numbers of one list have gaps where other lists were imported in between.
const spread = (name: string, where: string) =>
  statement<{ readonly n: number }>(
    name,
    `SELECT n FROM (
       SELECT r.n, row_number() OVER (ORDER BY r.n) AS place FROM postlane.recipient AS r WHERE ${where}
     ) AS placed WHERE floor(place * $5::float8) > floor((place - 1) * $5::float8) ORDER BY n`,
  );
export const SPREAD = spread("preflight_spread", `${WITHIN} AND $4::text IS NULL`);
export const ZONE_SPREAD = spread("preflight_zone_spread", OF_ZONE);
export const NO_ZONE_SPREAD = spread("preflight_no_zone_spread", `${OF_NO_ZONE} AND $4::text IS NULL`);
const SPREADS = { everyone: SPREAD, zone: ZONE_SPREAD, no_zone: NO_ZONE_SPREAD } as const;

/** The numbers of an evenly spread sample. `share`: of the stretch, up to 1. */
export async function spreadOver(
  on: Queryable,
  listId: ListId,
  { scope, time_zone, after_n, upto_n }: Stretch,
  share: number,
): Promise<readonly number[]> {
  const rows = await rowsOf(on, SPREADS[scope], [listId, after_n, upto_n, time_zone, share]);
  return rows.map(({ n }) => n);
}

export const NUMBERED = statement<ListedRecipient>(
  "preflight_numbered",
  `SELECT ${COLUMNS} FROM postlane.recipient AS r WHERE r.list_id = $1 AND r.n = ANY ($2::bigint[]) ORDER BY r.n`,
);
export async function recipientsNumbered(on: Queryable, listId: ListId, numbers: readonly number[]) {
  return await rowsOf(on, NUMBERED, [listId, numberArray(numbers)]);
}

// ---- what else is known ------------------------------------------------------------------------------------------------

export interface LeftOutRow {
  readonly line: number;
  readonly raw: string;
  readonly reason: string;
}

export const LEFT_OUT = statement<LeftOutRow>(
  "preflight_left_out",
  `SELECT o.line, o.raw, o.reason FROM postlane.list_import AS i
   JOIN postlane.left_out AS o ON o.import_id = i.id AND o.kind = $2
   WHERE i.list_id = $1 ORDER BY i.id, o.line LIMIT $3`,
);
/** Rows of the list's files that became no recipients, the first few. */
export async function firstLeftOut(on: Queryable, listId: ListId, kind: "rejected" | "double", rowsMax: number) {
  return await rowsOf(on, LEFT_OUT, [listId, kind, rowsMax]);
}

export interface MeasuredRate {
  readonly name: string;
  readonly rate_per_s: number;
}

// Not of campaigns that something else than the road has slowed down: a pace, a canary, or times.
export const MEASURED_RATE = statement<MeasuredRate>(
  "preflight_measured_rate",
  `SELECT c.name, sums.rows / greatest(1, extract(epoch FROM c.finished_at - c.started_at))::float8 AS rate_per_s
   FROM postlane.campaign AS c CROSS JOIN LATERAL (
     SELECT coalesce(sum(w.rows), 0)::float8 AS rows, bool_or(w.due_at > c.started_at + interval '1 minute') AS is_late
     FROM postlane.campaign_wave AS w WHERE w.campaign_id = c.id
   ) AS sums
   WHERE c.lane_id = $1 AND c.status = 'finished' AND c.started_at IS NOT NULL AND c.pace_per_s IS NULL
     AND c.canary_rows IS NULL AND sums.rows >= $2 AND NOT sums.is_late
   ORDER BY c.finished_at DESC LIMIT 1`,
);
/** Messages per second of the lane's latest campaign that is large enough to tell. */
export async function measuredRate(on: Queryable, laneId: LaneId, rowsMin: number): Promise<MeasuredRate | undefined> {
  return (await rowsOf(on, MEASURED_RATE, [laneId, rowsMin]))[0];
}

export const PULSES = statement<{ readonly outlets: readonly Partial<OutletPulse>[] | null }>(
  "preflight_pulses",
  `SELECT pulse -> 'outlets' AS outlets FROM postlane.lease
   WHERE lane_id = $1 AND deadline > clock_timestamp() AND pulse IS NOT NULL`,
);
/** What the live dispatchers of a lane say of their outlets. */
export async function outletPulses(on: Queryable, laneId: LaneId): Promise<readonly Partial<OutletPulse>[]> {
  return (await rowsOf(on, PULSES, [laneId])).flatMap(({ outlets }) => outlets ?? []);
}
