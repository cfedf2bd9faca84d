// The SQL of demo and fault runs: submissions as a site writes them, and at the end what the books say of each message.

import type pg from "pg";

export interface SiteEmail {
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly lane?: string;
  readonly scheduled_at?: string;
}

/** One transaction of its own; resolves after its COMMIT. */
export async function enqueueOne(client: pg.Client, email: SiteEmail): Promise<void> {
  await client.query({
    name: "enqueue_one",
    text: "SELECT postlane.enqueue($1::jsonb)",
    values: [JSON.stringify(email)],
  });
}

export async function enqueueMany(client: pg.Client, emails: readonly SiteEmail[]): Promise<void> {
  await client.query({
    name: "enqueue_many",
    text: "SELECT count(*) FROM postlane.enqueue_many($1::jsonb)",
    values: [JSON.stringify(emails)],
  });
}

/** Where one message stands, by the tables that say so. */
export interface BookEntry {
  readonly id: number;
  readonly recipient: string;
  readonly lane: string;
  readonly acceptedAtMs: number;
  /** The state of its row in the queue; null: it waits no longer. */
  readonly waiting: string | null;
  /** Settled states in its story, the oldest first. */
  readonly settled: readonly string[];
  /** Attempts in its story that were called unknown. */
  readonly unknownAttempts: number;
  /** Attempts in its story, whatever became of them. */
  readonly attempts: number;
}

export interface Books {
  readonly entries: readonly BookEntry[];
  /** The balance sheet over all lanes, campaigns and days. */
  readonly balance: Readonly<Record<string, number>>;
}

const ENTRIES_AT_ONCE = 20_000;

/** All of one moment: what moves meanwhile must not look like a contradiction. */
export async function readBooks(client: pg.Client): Promise<Books> {
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  const entries = await readEntries(client);
  const balance = await readBalance(client);
  await client.query("COMMIT");
  return { entries, balance };
}

async function readEntries(client: pg.Client): Promise<readonly BookEntry[]> {
  const entries: BookEntry[] = [];
  for (let after = 0; ; after = entries.at(-1)!.id) {
    const { rows } = await client.query({ name: "read_books", text: READ_BOOKS, values: [after, ENTRIES_AT_ONCE] });
    for (const row of rows as readonly BookEntry[]) entries.push({ ...row, id: Number(row.id) });
    if (rows.length < ENTRIES_AT_ONCE) return entries;
  }
}

const READ_BOOKS = `
  SELECT m.id, m.recipient, lane.name AS lane, (extract(epoch FROM m.accepted_at) * 1000)::float8 AS "acceptedAtMs",
    q.state AS waiting,
    ARRAY(SELECT e.kind FROM postlane.event AS e WHERE e.message_id = m.id
      AND e.kind IN ('sent', 'delivered', 'bounced', 'expired', 'canceled', 'suppressed') ORDER BY e.at) AS settled,
    story."unknownAttempts", story.attempts
  FROM (SELECT * FROM postlane.message WHERE id > $1 ORDER BY id LIMIT $2) AS m
  JOIN postlane.lane ON lane.id = m.lane_id
  LEFT JOIN postlane.queue AS q ON q.message_id = m.id
  CROSS JOIN LATERAL (
    SELECT (count(*) FILTER (WHERE e.kind = 'unknown'))::int AS "unknownAttempts", count(*)::int AS attempts
    FROM postlane.event AS e WHERE e.message_id = m.id AND (e.kind LIKE 'late%'
      OR e.kind IN ('sent', 'delivered', 'bounced', 'deferred', 'unknown', 'expired'))
  ) AS story
  ORDER BY m.id`;

export interface QueueDepth {
  /** May still go out: everything but unknown and held. */
  readonly moving: number;
  readonly claimed: number;
  readonly unknown: number;
}

export async function readDepth(client: pg.Client): Promise<QueueDepth> {
  const { rows } = await client.query(`
    SELECT count(*) FILTER (WHERE state NOT IN ('unknown', 'held'))::float8 AS moving,
      count(lease_id)::float8 AS claimed, count(*) FILTER (WHERE state = 'unknown')::float8 AS unknown
    FROM postlane.queue`);
  return rows[0] as QueueDepth;
}

/** Whether the guard holds anything; undefined while nobody has judged the timeline that this server writes. */
export async function isHeldByGuard(client: pg.Client): Promise<boolean | undefined> {
  const { rows } = await client.query(`
    SELECT held IS NOT NULL AS held FROM postlane.guard AS g, postlane.database_identity() AS seen
    WHERE g.timeline = seen.timeline`);
  return (rows as { held: boolean }[])[0]?.held;
}

export interface HotBytes {
  readonly total: number;
  /** Pages of indexes that hold nothing, and wait to be used again. */
  readonly emptyPages: number;
}

/** For `readHotBytes`, once. */
export async function prepareHotBytes(client: pg.Client): Promise<void> {
  await client.query("CREATE EXTENSION IF NOT EXISTS pgstattuple");
}

/** Of the tables that hold what moves, with their indexes, and nothing of the past. */
export async function readHotBytes(client: pg.Client): Promise<HotBytes> {
  const { rows } = await client.query(`
    SELECT sum(pg_total_relation_size(oid))::float8 AS total, sum((
        SELECT coalesce(sum((pgstatindex(indexrelid)).deleted_pages), 0) FROM pg_index WHERE indrelid = oid
      ) * current_setting('block_size')::integer)::float8 AS "emptyPages"
    FROM unnest(ARRAY['postlane.queue', 'postlane.claim_batch', 'postlane.lease', 'postlane.balance',
      'postlane.balance_delta']::regclass[]) AS oid`);
  return (rows as HotBytes[])[0]!;
}

/** Messages that are unknown right now, with the attempt that is: "message attempt". */
export async function readUnknown(client: pg.Client): Promise<readonly string[]> {
  const { rows } = await client.query(
    "SELECT message_id || ' ' || attempts AS attempt FROM postlane.queue WHERE state = 'unknown'",
  );
  return (rows as { attempt: string }[]).map(({ attempt }) => attempt);
}

/** Whether the message to this recipient may still move. */
export async function readWaiting(client: pg.Client, recipient: string): Promise<boolean> {
  const { rows } = await client.query({
    name: "read_waiting",
    text: `SELECT FROM postlane.message AS m JOIN postlane.queue AS q ON q.message_id = m.id
           WHERE m.recipient = $1 AND (q.state NOT IN ('unknown', 'held') OR q.lease_id IS NOT NULL)`,
    values: [recipient],
  });
  return rows.length > 0;
}

async function readBalance(client: pg.Client): Promise<Readonly<Record<string, number>>> {
  const { rows } = await client.query("SELECT state, sum(n)::float8 AS n FROM postlane.balance_sheet GROUP BY state");
  return Object.fromEntries((rows as { state: string; n: number }[]).map(({ state, n }) => [state, n]));
}

/** Where a message is and its story in a line, for a report that accuses. */
export async function readStory(
  client: pg.Client,
  message: { readonly id: number } | { readonly recipient: string },
): Promise<string> {
  const { rows } = await client.query(
    `SELECT 'msg_' || m.id || ': ' || concat_ws('; ',
       (SELECT q.state || coalesce(' until ' || to_char(q.due_at, 'HH24:MI:SS.MS'), '')
          || coalesce(' under lease ' || q.lease_id, '')
        FROM postlane.queue AS q WHERE q.message_id = m.id),
       (SELECT string_agg(to_char(e.at, 'HH24:MI:SS.MS') || ' attempt ' || e.attempt || ' ' || e.kind
          || coalesce(' ' || e.reply, ''), '; ' ORDER BY e.at) FROM postlane.event AS e WHERE e.message_id = m.id)) AS told
     FROM postlane.message AS m WHERE ${"id" in message ? "m.id" : "m.recipient"} = $1`,
    ["id" in message ? message.id : message.recipient],
  );
  return (rows as { told: string }[])[0]?.told ?? "nobody knows of it";
}

/** An attempt that was under way: claimed, and not settled. */
export interface ClaimedAttempt {
  readonly messageId: number;
  readonly attempt: number;
  readonly leaseId: number;
  readonly lane: string;
  readonly recipient: string;
}

/** Undefined while a session of Postlane's is still there: what it has asked for may yet be committed. */
export async function readClaimedOfDead(client: pg.Client): Promise<readonly ClaimedAttempt[] | undefined> {
  const sessions = await client.query("SELECT FROM pg_stat_activity WHERE application_name LIKE 'postlane %' LIMIT 1");
  if (sessions.rowCount !== 0) return undefined;
  const { rows } = await client.query(`
    SELECT q.message_id::float8 AS "messageId", q.attempts + 1 AS attempt, q.lease_id::float8 AS "leaseId", lane.name AS lane,
      m.recipient
    FROM postlane.queue AS q JOIN postlane.lane ON lane.id = q.lane_id JOIN postlane.message AS m ON m.id = q.message_id
    WHERE q.lease_id IS NOT NULL`);
  return rows as readonly ClaimedAttempt[];
}

export interface AttemptEnd {
  readonly messageId: number;
  readonly attempt: number;
  /** In order, as the story of the message tells them; the first is what it was settled or left with. */
  readonly kinds: readonly string[];
}

/** What became of attempts. */
export async function readAttemptEnds(
  client: pg.Client,
  attempts: readonly Pick<ClaimedAttempt, "messageId" | "attempt">[],
): Promise<readonly AttemptEnd[]> {
  const { rows } = await client.query(
    `SELECT given.message_id::float8 AS "messageId", given.attempt, ARRAY(
       SELECT e.kind FROM postlane.event AS e
       WHERE e.message_id = given.message_id AND e.attempt = given.attempt ORDER BY e.at
     ) AS kinds
     FROM unnest($1::bigint[], $2::int[]) AS given (message_id, attempt)`,
    [attempts.map(({ messageId }) => messageId), attempts.map(({ attempt }) => attempt)],
  );
  return rows as readonly AttemptEnd[];
}

/** The server begins another WAL file, for which it needs room. */
export async function switchWalFile(client: pg.Client): Promise<void> {
  await client.query(
    "SELECT pg_switch_wal() FROM (SELECT pg_logical_emit_message(false, 'postlane', 'fault')) AS written",
  );
}

/** The state of the message to this recipient; undefined: there is none. */
export async function readState(client: pg.Client, recipient: string): Promise<string | undefined> {
  const { rows } = await client.query(
    `SELECT coalesce(q.state, (SELECT e.kind FROM postlane.event AS e WHERE e.message_id = m.id ORDER BY e.at DESC LIMIT 1)) AS state
     FROM postlane.message AS m LEFT JOIN postlane.queue AS q ON q.message_id = m.id WHERE m.recipient = $1`,
    [recipient],
  );
  return (rows as { state: string }[])[0]?.state;
}

/** The server's, in milliseconds. */
export async function readClock(client: pg.Client): Promise<number> {
  const { rows } = await client.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms");
  return (rows as { ms: number }[])[0]!.ms;
}
