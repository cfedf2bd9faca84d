// The only SQL on the hot table: look for arrivals, discover destinations, claim, give back, settle. Claiming is one
// statement that checks the lease itself; settling runs inside a transaction that its caller opened and in which it has
// taken the lease (lease-store.ts). It never notifies anyone and never locks a row that a site's transaction waits for.
//
// Claims go per destination over the index (lane, campaign, destination, due time): what is not asked for, a throttled
// destination or a paused campaign, is never touched, however many rows it has.

import { strict as assert } from "node:assert";
import type { ClientBase } from "pg";
import type { CampaignId, LaneId, LeaseId, MessageId } from "../mail/ids.ts";
import { mayBecome, type WaitingState } from "../mail/state.ts";
import { BEFORE_FIRST_LOOK, cursorOf, type SnapshotCursor } from "../postgres/snapshot-cursor.ts";
import { countOf, numberArray, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";

export interface Want {
  readonly campaignId: CampaignId;
  readonly destination: string;
  readonly rowsMax: number;
  /** Rows due before this are known to be taken: microseconds since the epoch. A hint that spares dead index entries. */
  readonly cursorUs: number;
}

/** The version in force of a campaign's template, where it is not the first. */
export interface Edition {
  readonly campaign_id: CampaignId;
  readonly version: number;
  readonly content_id: number;
}

export interface ClaimedRow {
  readonly message_id: MessageId;
  readonly campaign_id: CampaignId;
  readonly destination: string;
  readonly due_us: number;
  readonly attempts: number;
  readonly tries: number;
  readonly rescues: number;
  readonly state: WaitingState;
  readonly accepted_on: string;
  readonly accepted_ms: number;
  readonly expires_ms: number | null;
  readonly recipient: string;
  readonly data: Readonly<Record<string, unknown>> | null;
  /** Of a campaign's message: of the template's version in force when it was claimed. */
  readonly content_id: number;
  /** That version; null: the first, or no campaign's. */
  readonly version: number | null;
  /** Null for a campaign's message: its template is read once, by `content_id`. */
  readonly content: Readonly<Record<string, unknown>> | null;
  /** The octets of a mail that came by SMTP; `content` is then what is to be known for it. */
  readonly raw: Buffer | null;
}

export interface DestinationRow {
  readonly campaign_id: CampaignId;
  readonly destination: string;
  readonly due_us: number;
}

/** An unclaim: the row keeps its due time, and so its place. */
export const KEEP_DUE = -1;

/** A claimed message that goes back to wait. */
export interface BackRow {
  readonly messageId: MessageId;
  readonly fromState: WaitingState;
  readonly state: WaitingState;
  /** From the database's now on; null: until somebody decides; `KEEP_DUE`: when it was due anyway. */
  readonly delayMs: number | null;
  readonly attempts: number;
  readonly tries: number;
  readonly rescues: number;
}

// A plan is kept for long and may have been made while the tables were empty: then a scan of a whole index looks as
// cheap as a descent, and stays in use when a million rows have come (measured: a settle of 20 rows took 39 s). So no
// statement here leaves the choice: the rows are named by `= ANY`, by ctid, or by a subquery that OFFSET 0 or LIMIT keeps
// apart. A test explains them all on empty tables.

// LIMIT and SKIP LOCKED stand in the innermost select, so that each destination costs one descent of the index and as
// many rows as are taken. The update finds its rows by ctid: they are locked by this very statement.
export const CLAIM = statement<ClaimedRow>(
  "queue_claim",
  `WITH held AS MATERIALIZED (
     SELECT FROM postlane.lease
     WHERE id = $1 AND deadline > clock_timestamp() AND timeline = postlane.timeline() FOR SHARE
   ), want AS MATERIALIZED (
     SELECT * FROM unnest($3::integer[], $4::text[], $5::integer[], $6::bigint[])
       AS w (campaign_id, destination, rows_max, cursor_us)
   ), picked AS MATERIALIZED (
     SELECT row.tid FROM held, want CROSS JOIN LATERAL (
       SELECT q.ctid AS tid FROM postlane.queue AS q
       WHERE q.lane_id = $2 AND q.campaign_id = want.campaign_id AND q.destination = want.destination
         AND q.due_at >= 'epoch'::timestamptz + want.cursor_us * interval '1 microsecond'
         AND q.due_at <= now() AND q.lease_id IS NULL
       ORDER BY q.due_at LIMIT want.rows_max FOR UPDATE SKIP LOCKED
     ) AS row
   ), claimed AS (
     UPDATE postlane.queue AS q SET lease_id = $1,
       version = ($10::smallint[])[array_position($9::integer[], q.campaign_id)]
     WHERE q.ctid = ANY (ARRAY(SELECT tid FROM picked))
     RETURNING q.message_id, q.campaign_id, q.destination, q.due_at, q.attempts, q.tries, q.rescues, q.state,
       q.accepted_on, q.version
   ), remembered AS (
     INSERT INTO postlane.claim_batch (lease_id, batch_id, message_ids)
     SELECT $1, $7, array_agg(message_id) FROM claimed HAVING count(*) > 0
   ), forgotten AS (
     DELETE FROM postlane.claim_batch WHERE lease_id = $1 AND batch_id = ANY ($8::integer[])
   )
   SELECT c.message_id, c.campaign_id, c.destination,
     (extract(epoch FROM c.due_at) * 1000000)::bigint AS due_us, c.attempts, c.tries, c.rescues, c.state,
     c.accepted_on::text AS accepted_on, (extract(epoch FROM m.accepted_at) * 1000)::float8 AS accepted_ms,
     (extract(epoch FROM m.expires_at) * 1000)::float8 AS expires_ms, m.recipient, m.data,
     coalesce(($11::bigint[])[array_position($9::integer[], c.campaign_id)], m.content_id) AS content_id, c.version,
     said.body AS content, said.raw
   FROM claimed AS c CROSS JOIN LATERAL (
     SELECT accepted_at, expires_at, recipient, data, content_id FROM postlane.message WHERE id = c.message_id OFFSET 0
   ) AS m LEFT JOIN LATERAL (
     SELECT body, raw FROM postlane.content WHERE id = m.content_id AND c.campaign_id = 0 OFFSET 0
   ) AS said ON true`,
);

export async function claim(
  on: Queryable,
  given: {
    readonly leaseId: LeaseId;
    readonly laneId: LaneId;
    readonly wants: readonly Want[];
    readonly batchId: number;
    readonly finishedBatchIds: readonly number[];
    /** Of the campaigns that were edited. */
    readonly editions: readonly Edition[];
  },
): Promise<readonly ClaimedRow[]> {
  return await rowsOf(on, CLAIM, [
    given.leaseId,
    given.laneId,
    numberArray(given.wants.map((want) => want.campaignId)),
    textArray(given.wants.map((want) => want.destination)),
    numberArray(given.wants.map((want) => want.rowsMax)),
    numberArray(given.wants.map((want) => want.cursorUs)),
    given.batchId,
    numberArray(given.finishedBatchIds),
    numberArray(given.editions.map(({ campaign_id }) => campaign_id)),
    numberArray(given.editions.map(({ version }) => version)),
    numberArray(given.editions.map(({ content_id }) => content_id)),
  ]);
}

/** Microseconds of a later time are no safe integer (2^53 is reached in 2255); "until somebody decides" is later. */
const LATEST_DUE = "'2200-01-01 00:00:00+00'::timestamptz";

// One snapshot for both the rows and the cursor that is kept: a row is either in this answer or in a later one. Each
// transaction is one descent of its own, and the due time is asked in a way that no index has: planned while the table was
// small, an array of transactions seemed to cost more than a walk through the lane by the claim's index, and the plan
// stayed (measured: 51,000 pages a look beside 50,000 dead rows, and 15 with this).
export const LOOK = statement<{
  readonly snapshot: string;
  readonly campaign_id: CampaignId | null;
  readonly destination: string | null;
  readonly due_us: number | null;
}>(
  "queue_look",
  `WITH arrived AS MATERIALIZED (
     SELECT campaign_id, destination, min(due_at) AS due_at FROM (
       SELECT campaign_id, destination, due_at FROM postlane.queue
       WHERE lane_id = $1 AND tx >= $2::xid8 AND lease_id IS NULL AND isfinite(due_at)
       UNION ALL
       SELECT late.* FROM unnest($3::xid8[]) AS open (tx) CROSS JOIN LATERAL (
         SELECT campaign_id, destination, due_at FROM postlane.queue
         WHERE lane_id = $1 AND tx = open.tx AND lease_id IS NULL AND isfinite(due_at) OFFSET 0
       ) AS late
     ) AS row GROUP BY campaign_id, destination
   )
   SELECT pg_current_snapshot()::text AS snapshot, campaign_id, destination,
     (extract(epoch FROM least(due_at, ${LATEST_DUE})) * 1000000)::bigint AS due_us
   FROM (SELECT) AS always LEFT JOIN arrived ON true`,
);

/** Destinations whose rows became claimable since the last look; without a cursor only a cursor to begin with. */
export async function lookForArrivals(
  on: Queryable,
  laneId: LaneId,
  cursor: SnapshotCursor = BEFORE_FIRST_LOOK,
): Promise<{ readonly cursor: SnapshotCursor; readonly arrivals: readonly DestinationRow[] }> {
  const rows = await rowsOf(on, LOOK, [laneId, cursor.xmax, cursor.open]);
  return {
    cursor: cursorOf(rows[0]!.snapshot),
    arrivals: rows.filter((row) => row.destination !== null) as readonly DestinationRow[],
  };
}

// A loose scan: from each destination the index is descended to the next one, whatever the number of rows between.
export const DISCOVER = statement<DestinationRow>(
  "queue_discover",
  `WITH RECURSIVE walk AS (
     (SELECT destination, due_at FROM postlane.queue
      WHERE lane_id = $1 AND campaign_id = $2 AND destination > $3 ORDER BY destination, due_at LIMIT 1)
     UNION ALL
     SELECT next.destination, next.due_at FROM walk CROSS JOIN LATERAL (
       SELECT destination, due_at FROM postlane.queue
       WHERE lane_id = $1 AND campaign_id = $2 AND destination > walk.destination ORDER BY destination, due_at LIMIT 1
     ) AS next
   )
   SELECT $2::integer AS campaign_id, destination,
     (extract(epoch FROM least(due_at, ${LATEST_DUE})) * 1000000)::bigint AS due_us
   FROM walk LIMIT $4`,
);

export async function discoverDestinations(
  on: Queryable,
  given: { readonly laneId: LaneId; readonly campaignId: CampaignId; readonly after: string; readonly rowsMax: number },
): Promise<readonly DestinationRow[]> {
  return await rowsOf(on, DISCOVER, [given.laneId, given.campaignId, given.after, given.rowsMax]);
}

export const NEXT_DUE = statement<DestinationRow>(
  "queue_next_due",
  `SELECT want.campaign_id, want.destination,
     (extract(epoch FROM least(row.due_at, ${LATEST_DUE})) * 1000000)::bigint AS due_us
   FROM unnest($2::integer[], $3::text[]) AS want (campaign_id, destination) CROSS JOIN LATERAL (
     SELECT q.due_at FROM postlane.queue AS q
     WHERE q.lane_id = $1 AND q.campaign_id = want.campaign_id AND q.destination = want.destination
       AND q.lease_id IS NULL AND q.due_at < 'infinity'
     ORDER BY q.due_at LIMIT 1
   ) AS row`,
);

/** When the next row of each of these destinations is due; those without a row are left out. */
export async function nextDue(
  on: Queryable,
  laneId: LaneId,
  wants: readonly Pick<Want, "campaignId" | "destination">[],
): Promise<readonly DestinationRow[]> {
  return await rowsOf(on, NEXT_DUE, [
    laneId,
    numberArray(wants.map((want) => want.campaignId)),
    wants.map((want) => want.destination),
  ]);
}

export const SETTLE = statement<{ readonly message_id: MessageId }>(
  "queue_settle",
  `DELETE FROM postlane.queue WHERE message_id = ANY ($2::bigint[]) AND lease_id = $1 RETURNING message_id`,
);

/** Ends the claims of messages that wait no longer. Answers those that were still claimed under this lease. */
export async function settleIfClaimed(
  client: ClientBase,
  leaseId: LeaseId,
  messageIds: readonly MessageId[],
): Promise<readonly MessageId[]> {
  const rows = await rowsOf(client, SETTLE, [leaseId, numberArray(messageIds)]);
  return rows.map((row) => row.message_id);
}

/** Rows that one statement brings forward: a second's work at most. */
const FORWARD_ROWS_MAX = 10_000;

// `queued` is due since it was accepted, so what lies ahead is the trace of a clock that has gone back. No index has that
// order: it reads the lane's part of the queue, and is for that case alone.
export const BRING_FORWARD = statement<unknown>(
  "queue_bring_forward",
  `UPDATE postlane.queue SET due_at = clock_timestamp(), tx = pg_current_xact_id()
   WHERE message_id IN (
     SELECT message_id FROM postlane.queue
     WHERE lane_id = $1 AND state = 'queued' AND lease_id IS NULL AND due_at > clock_timestamp() AND due_at < 'infinity'
     LIMIT ${FORWARD_ROWS_MAX} FOR UPDATE SKIP LOCKED
   )`,
);

/** After the database's clock has gone back: what was never tried is due now, not when the clock is there again. */
export async function bringQueuedForward(on: Queryable, laneId: LaneId): Promise<number> {
  for (let brought = 0; ;) {
    const count = await countOf(on, BRING_FORWARD, [laneId]);
    brought += count;
    if (count < FORWARD_ROWS_MAX) return brought;
  }
}

// A new tx makes the row an arrival again, for every dispatcher of the lane.
export const GIVE_BACK = statement<{ readonly message_id: MessageId }>(
  "queue_give_back",
  `UPDATE postlane.queue AS q
   SET lease_id = NULL, tx = pg_current_xact_id(), state = given.state, attempts = given.attempts,
     tries = given.tries, rescues = given.rescues,
     due_at = CASE WHEN given.delay_ms < 0 THEN q.due_at
       ELSE coalesce(clock_timestamp() + given.delay_ms * interval '1 millisecond', 'infinity') END
   FROM unnest($2::bigint[], $3::text[], $4::float8[], $5::smallint[], $6::smallint[], $7::smallint[])
     AS given (message_id, state, delay_ms, attempts, tries, rescues)
   WHERE q.message_id = ANY ($2::bigint[]) AND q.message_id = given.message_id AND q.lease_id = $1
   RETURNING q.message_id`,
);

/** Ends the claims of messages that go on waiting: deferred, held, unknown, or as they were (an unclaim). */
export async function giveBackIfClaimed(
  client: ClientBase,
  leaseId: LeaseId,
  rows: readonly BackRow[],
): Promise<readonly MessageId[]> {
  for (const row of rows) {
    const isUnclaim = row.state === row.fromState;
    assert(isUnclaim || mayBecome(row.fromState, row.state), `${row.fromState} cannot become ${row.state}`);
  }
  const given = await rowsOf(client, GIVE_BACK, [
    leaseId,
    numberArray(rows.map((row) => row.messageId)),
    textArray(rows.map((row) => row.state)),
    numberArray(rows.map((row) => row.delayMs)),
    numberArray(rows.map((row) => row.attempts)),
    numberArray(rows.map((row) => row.tries)),
    numberArray(rows.map((row) => row.rescues)),
  ]);
  return given.map((row) => row.message_id);
}
