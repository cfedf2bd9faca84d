// Hand-overs to relays that report back, of which nothing was heard in the time that the relay had (postlane.unaccounted),
// and up to when each outlet's hand-overs were looked through for them (postlane.accounted). Nothing is assumed of them:
// they stay `sent` until something comes back after all, or a person decides.

import type { ClientBase } from "pg";
import type { MessageId } from "../mail/ids.ts";
import { countOf, numberArray, rowsOf, statement, type Queryable } from "../postgres/statement.ts";

/** What tells where a `sent` message went on to. A relay's deferral does not: it has it still, or had. */
export const CONFIRMING_KINDS = [
  "delivered",
  "relayed",
  "bounced",
  "deferred",
  "unknown",
  "expired",
  "held",
  "canceled",
] as const;
const CONFIRMING = CONFIRMING_KINDS.map((kind) => `'${kind}'`).join(", ");

// The first look begins with what gets old enough from now on: of earlier hand-overs nobody promised to hear.
export const BEGIN = statement<unknown>(
  "unaccounted_begin",
  `INSERT INTO postlane.accounted (outlet, until)
   VALUES ($1, clock_timestamp() - $2::float8 * interval '1 millisecond') ON CONFLICT (outlet) DO NOTHING`,
);

/** How much time one look covers: in a minute at full speed there are a million hand-overs, and usually a few thousand. */
const SLICE = "interval '1 minute'";

// Whoever has the row looks; another process leaves it to that one.
export const NEXT_SLICE = statement<{ readonly from_at: string; readonly to_at: string; readonly is_last: boolean }>(
  "unaccounted_next_slice",
  `SELECT until::text AS from_at, least(until + ${SLICE}, due)::text AS to_at, until + ${SLICE} >= due AS is_last
   FROM (
     SELECT until, clock_timestamp() - $2::float8 * interval '1 millisecond' AS due
     FROM postlane.accounted WHERE outlet = $1 FOR UPDATE SKIP LOCKED
   ) AS mark
   WHERE until < due`,
);

export interface Slice {
  readonly from_at: string;
  readonly to_at: string;
  readonly is_last: boolean;
}

/** The next piece of time in which this outlet's hand-overs have had all their time; undefined: there is none now. */
export async function nextSlice(client: ClientBase, outlet: string, graceMs: number): Promise<Slice | undefined> {
  await countOf(client, BEGIN, [outlet, graceMs]);
  const [slice] = await rowsOf(client, NEXT_SLICE, [outlet, graceMs]);
  return slice;
}

// The slice by the index on the time, then each message's story by the index on the message; nothing of it is older than
// the slice.
export const FIND = statement<unknown>(
  "unaccounted_find",
  `INSERT INTO postlane.unaccounted (message_id, attempt, outlet, sent_at)
   SELECT DISTINCT ON (sent.message_id) sent.message_id, sent.attempt, sent.outlet, sent.at
   FROM postlane.event AS sent
   WHERE sent.at >= $2::timestamptz AND sent.at < $3::timestamptz AND sent.kind = 'sent' AND sent.outlet = $1
     AND NOT EXISTS (
       SELECT FROM (
         SELECT attempt, kind, at FROM postlane.event
         WHERE message_id = sent.message_id AND at >= $2::timestamptz - interval '1 hour' OFFSET 0
       ) AS told
       WHERE told.attempt > sent.attempt
         OR (told.attempt = sent.attempt AND told.kind IN (${CONFIRMING}) AND told.at > sent.at)
     )
   ORDER BY sent.message_id, sent.attempt DESC
   ON CONFLICT (message_id) DO NOTHING`,
);

// The planner may know a day's partition as it was when it was empty. Never a whole day for the sake of a minute.
const BY_INDEX = `SET LOCAL enable_seqscan = off`;

export async function planByIndex(client: ClientBase): Promise<void> {
  await client.query(BY_INDEX);
}

export async function findUnaccounted(client: ClientBase, outlet: string, { from_at, to_at }: Slice): Promise<number> {
  await planByIndex(client);
  return await countOf(client, FIND, [outlet, from_at, to_at]);
}

export const ADVANCE = statement<unknown>(
  "unaccounted_advance",
  `UPDATE postlane.accounted SET until = $2::timestamptz WHERE outlet = $1`,
);

export async function advanceTo(client: ClientBase, outlet: string, { to_at }: Slice): Promise<void> {
  await countOf(client, ADVANCE, [outlet, to_at]);
}

export const CONFIRM = statement<unknown>(
  "unaccounted_confirm",
  `DELETE FROM postlane.unaccounted WHERE message_id = ANY ($1::bigint[])`,
);

/** Something came back after all, or a person decided. */
export async function accountFor(client: ClientBase, ids: readonly MessageId[]): Promise<void> {
  if (ids.length > 0) await countOf(client, CONFIRM, [numberArray(ids)]);
}

export const COUNTS = statement<{ readonly outlet: string; readonly n: number }>(
  "unaccounted_counts",
  `SELECT outlet, count(*)::integer AS n FROM postlane.unaccounted GROUP BY outlet ORDER BY outlet`,
);

export async function countUnaccounted(on: Queryable): Promise<readonly { outlet: string; n: number }[]> {
  return await rowsOf(on, COUNTS);
}

export interface UnaccountedRow {
  readonly message_id: MessageId;
  readonly attempt: number;
  readonly outlet: string;
  readonly recipient: string;
  readonly sent_at: Date;
  readonly found_at: Date;
}

export const LIST = statement<UnaccountedRow>(
  "unaccounted_list",
  `SELECT u.message_id, u.attempt, u.outlet, m.recipient, u.sent_at, u.found_at
   FROM (
     SELECT * FROM postlane.unaccounted WHERE message_id > $2 AND ($1::text IS NULL OR outlet = $1)
     ORDER BY message_id LIMIT $3
   ) AS u CROSS JOIN LATERAL (SELECT recipient FROM postlane.message WHERE id = u.message_id OFFSET 0) AS m
   ORDER BY u.message_id`,
);

/** In the order of their ids, from behind `after` on. */
export async function listUnaccounted(
  on: Queryable,
  question: { readonly outlet: string | undefined; readonly after: number; readonly rowsMax: number },
): Promise<readonly UnaccountedRow[]> {
  return await rowsOf(on, LIST, [question.outlet ?? null, question.after, question.rowsMax]);
}

export const NAMED = statement<{ readonly message_id: MessageId; readonly attempt: number; readonly outlet: string }>(
  "unaccounted_named",
  `SELECT message_id, attempt, outlet FROM postlane.unaccounted WHERE message_id = ANY ($1::bigint[])`,
);

export async function unaccountedAmong(
  client: ClientBase,
  ids: readonly MessageId[],
): Promise<readonly { message_id: MessageId; attempt: number; outlet: string }[]> {
  return await rowsOf(client, NAMED, [numberArray(ids)]);
}

export const LIFETIMES = statement<{ readonly outlet: string; readonly lifetime_s: number }>(
  "unaccounted_lifetimes",
  `SELECT outlet, (body ->> 'queue_lifetime_s')::float8 AS lifetime_s FROM postlane.reading
   WHERE jsonb_typeof(body -> 'queue_lifetime_s') = 'number'`,
);

/** How long each relay keeps trying, where its agent says so. */
export async function relayLifetimes(on: Queryable): Promise<ReadonlyMap<string, number>> {
  return new Map((await rowsOf(on, LIFETIMES)).map(({ outlet, lifetime_s }) => [outlet, lifetime_s * 1000]));
}
