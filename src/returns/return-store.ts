// What came back and waits to be judged (postlane.return). Whatever takes something in commits it here first and only
// then lets go of it; judging happens later, in batches. Lines of a log and evidence go when they are judged; notices
// stay for as long as the other side may report back, so that a repeated one is known.

import type { ClientBase } from "pg";
import { countOf, numberArray, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";

export type ReturnSource = "log" | "maildir" | "door" | "evidence";

export interface DueReturn {
  readonly id: number;
  readonly source: ReturnSource;
  readonly outlet: string | null;
  readonly body: unknown;
  readonly age_ms: number;
  /** By the database's clock. */
  readonly now_ms: number;
  readonly judge_us: number;
  readonly has_raw: boolean;
}

// The cursor spares the index entries of rows that were judged already and wait for vacuum. It is a hint: whoever passes
// one asks from 0 from time to time, since a slow transaction may commit behind it.
export const PICK = statement<DueReturn>(
  "return_pick",
  `SELECT id, source, outlet, body, (extract(epoch FROM clock_timestamp() - received_at) * 1000)::float8 AS age_ms,
     (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms,
     (extract(epoch FROM judge_at) * 1000000)::bigint AS judge_us, raw IS NOT NULL AS has_raw
   FROM postlane.return
   WHERE judged_at IS NULL AND judge_at >= 'epoch'::timestamptz + $1 * interval '1 microsecond'
     AND judge_at <= clock_timestamp()
   ORDER BY judge_at LIMIT $2 FOR UPDATE SKIP LOCKED`,
);

export async function pickDue(client: ClientBase, cursorUs: number, rowsMax: number): Promise<readonly DueReturn[]> {
  return await rowsOf(client, PICK, [cursorUs, rowsMax]);
}

export const RAW = statement<{ readonly id: number; readonly raw: Buffer }>(
  "return_raw",
  `SELECT id, raw FROM postlane.return WHERE id = ANY ($1::bigint[])`,
);

export async function readRaw(client: ClientBase, ids: readonly number[]): Promise<ReadonlyMap<number, Buffer>> {
  if (ids.length === 0) return new Map();
  return new Map((await rowsOf(client, RAW, [numberArray(ids)])).map(({ id, raw }) => [id, raw]));
}

export const POSTPONE = statement<unknown>(
  "return_postpone",
  `UPDATE postlane.return AS r SET judge_at = clock_timestamp() + given.delay_ms * interval '1 millisecond'
   FROM unnest($1::bigint[], $2::float8[]) AS given (id, delay_ms)
   WHERE r.id = ANY ($1::bigint[]) AND r.id = given.id`,
);

export async function postpone(
  client: ClientBase,
  rows: readonly { readonly id: number; readonly delayMs: number }[],
): Promise<void> {
  if (rows.length === 0) return;
  await countOf(client, POSTPONE, [
    numberArray(rows.map(({ id }) => id)),
    numberArray(rows.map(({ delayMs }) => delayMs)),
  ]);
}

export const FORGET = statement<unknown>("return_forget", `DELETE FROM postlane.return WHERE id = ANY ($1::bigint[])`);

export async function forget(client: ClientBase, ids: readonly number[]): Promise<void> {
  if (ids.length > 0) await countOf(client, FORGET, [numberArray(ids)]);
}

// What another process has judged meanwhile stays as it is. Not by a condition, which would let the planner walk the index
// of all that waits.
export const MARK = statement<unknown>(
  "return_mark",
  `UPDATE postlane.return AS r SET judged_at = coalesce(r.judged_at, clock_timestamp()),
     judgement = coalesce(r.judgement, given.judgement),
     raw = CASE WHEN given.is_kept OR r.judged_at IS NOT NULL THEN r.raw END
   FROM unnest($1::bigint[], $2::text[], $3::boolean[]) AS given (id, judgement, is_kept)
   WHERE r.id = ANY ($1::bigint[]) AND r.id = given.id`,
);

/** `isKept`: the mail itself, too. What names no attempt of ours is anybody's, and only counted. */
export async function markJudged(
  client: ClientBase,
  rows: readonly { readonly id: number; readonly judgement: string; readonly isKept: boolean }[],
): Promise<void> {
  if (rows.length === 0) return;
  await countOf(client, MARK, [
    numberArray(rows.map(({ id }) => id)),
    textArray(rows.map(({ judgement }) => judgement)),
    rows.map(({ isKept }) => isKept),
  ]);
}

export interface TakenMail {
  readonly raw: Buffer;
  readonly sender: string;
  readonly recipient: string;
  readonly client: string;
}

export const KEEP = statement<unknown>(
  "return_keep",
  `INSERT INTO postlane.return (source, raw, body)
   SELECT 'door', $1, jsonb_build_object('sender', $2::text, 'recipient', recipient, 'client', $3::text)
   FROM unnest($4::text[]) AS recipient`,
);

/** A mail that the returns door has taken: one row for each of its recipients. Durable when it answers. */
export async function keepReturn(
  on: Queryable,
  mail: Omit<TakenMail, "recipient"> & { readonly recipients: readonly string[] },
): Promise<void> {
  await countOf(on, KEEP, [mail.raw, mail.sender, mail.client, textArray(mail.recipients)]);
}

export interface AgentReturn {
  readonly outlet: string;
  readonly source: "log" | "maildir" | "evidence";
  /** Of a Maildir: the file's name. */
  readonly sourceKey?: string | undefined;
  readonly body: object;
  readonly raw?: Buffer | undefined;
}

// Without a target: the role of an agent may insert and read nothing.
export const KEEP_AGENTS = statement<unknown>(
  "return_keep_agents",
  `INSERT INTO postlane.return (outlet, source, source_key, body, raw)
   SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::bytea[]) ON CONFLICT DO NOTHING`,
);

/** What an agent brings, in the caller's transaction. A file of a Maildir that is here already is not taken twice. */
export async function keepFromAgent(client: ClientBase, returns: readonly AgentReturn[]): Promise<void> {
  if (returns.length === 0) return;
  await countOf(client, KEEP_AGENTS, [
    textArray(returns.map(({ outlet }) => outlet)),
    textArray(returns.map(({ source }) => source)),
    textArray(returns.map(({ sourceKey }) => sourceKey)),
    textArray(returns.map(({ body }) => JSON.stringify(body))),
    returns.map(({ raw }) => raw ?? null),
  ]);
}

// A slice at a time, the oldest first: by the primary key, which grows with the time.
export const PRUNE = statement<unknown>(
  "return_prune",
  `DELETE FROM postlane.return WHERE id = ANY (ARRAY(
     SELECT id FROM (SELECT id, judged_at FROM postlane.return WHERE id > 0 ORDER BY id LIMIT $2) AS oldest
     WHERE judged_at < clock_timestamp() - $1::float8 * interval '1 millisecond'
   ))`,
);

/** Judged notices that are older than the other side may report back. Answers how many went. */
export async function pruneJudged(on: Queryable, olderThanMs: number, rowsMax: number): Promise<number> {
  return await countOf(on, PRUNE, [olderThanMs, rowsMax]);
}

export interface ReturnCounts {
  readonly judgement: string;
  readonly n: number;
}

/** Notices that are counted at most; of a flood the newest. */
const COUNTED_MAX = 100_000;

// The newest judged ones by the primary key, newest first: bounded however many there are.
export const COUNTS = statement<ReturnCounts>(
  "return_counts",
  `SELECT judgement, count(*)::integer AS n FROM (
     SELECT judgement, judged_at FROM postlane.return WHERE id > 0 ORDER BY id DESC LIMIT ${COUNTED_MAX}
   ) AS newest
   WHERE judgement IS NOT NULL AND judged_at >= clock_timestamp() - $1::float8 * interval '1 millisecond'
   GROUP BY judgement ORDER BY judgement`,
);

export async function countJudged(on: Queryable, sinceMs: number): Promise<readonly ReturnCounts[]> {
  return await rowsOf(on, COUNTS, [sinceMs]);
}

export interface WaitingReturns {
  /** At most `WAITING_COUNTED_MAX`. */
  readonly waiting: number;
  /** Of the oldest that is due; null: none is. */
  readonly late_ms: number | null;
}

export const WAITING_COUNTED_MAX = 100_000;

export const WAITING = statement<WaitingReturns>(
  "return_waiting",
  `SELECT count(*)::integer AS waiting,
     greatest(0, (extract(epoch FROM clock_timestamp() - min(judge_at)) * 1000)::float8) AS late_ms
   FROM (
     SELECT judge_at FROM postlane.return WHERE judged_at IS NULL AND judge_at > '-infinity' ORDER BY judge_at
     LIMIT ${WAITING_COUNTED_MAX}
   ) AS unjudged`,
);

export async function countWaiting(on: Queryable): Promise<WaitingReturns> {
  const [row] = await rowsOf(on, WAITING);
  return row!;
}
