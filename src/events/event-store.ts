// The append-only story of every message, partitioned by day. The statement that appends is the one place where a story
// goes on, so it also fills the outboxes of those who are told: webhooks, and submitters who are owed a notice.

import type { ClientBase } from "pg";
import type { MessageId } from "../mail/ids.ts";
import { countOf, numberArray, statement, textArray, type Queryable } from "../postgres/statement.ts";

export interface MessageEvent {
  readonly messageId: MessageId;
  readonly attempt: number;
  /** A state that the message reached, or something that happened to it: `late_sent`, `rescued`, `released` … */
  readonly kind: string;
  readonly outlet?: string | undefined;
  readonly host?: string | undefined;
  /** The server's reply, or in words what happened instead. */
  readonly reply?: string | undefined;
  /** The relay's own name of the message, from its reply to the final dot: ties its log and its notices to the attempt. */
  readonly queueId?: string | undefined;
  /** Our side of the connection: ties an attempt without a reply to the relay's session. */
  readonly clientPort?: number | undefined;
  /** How long ago it happened, when that was not just now. */
  readonly agoMs?: number | undefined;
  /** Of an attempt: the version of its campaign's template, where it was not the first. */
  readonly version?: number | null | undefined;
}

// What is given, as rows. One look at the clock for all that is said of an event, here and in the outboxes; within it, in
// their order, a microsecond apart. Not a WITH of its own: to keep the rows a second time would cost more than to read
// them again for the few that somebody is told of.
const TOLD = `(
     SELECT message_id, attempt, kind, outlet, host, reply, queue_id, client_port, version,
       (SELECT at FROM clock) + (n - cardinality($1::bigint[])) * interval '1 microsecond'
         - ago_ms * interval '1 millisecond' AS at
     FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
         $9::float8[], $10::smallint[]) WITH ORDINALITY
       AS given (message_id, attempt, kind, outlet, host, reply, queue_id, client_port, ago_ms, version, n)
   ) AS told`;

// Who is told of them is looked up by a nested loop over an index, or in tables that are nearly always empty: a plan made
// then stays right.
// - Webhooks are a few rows. Only one that wants certain lanes looks at the message.
// - A notice of failure is owed for few events; only then is the message looked at, and its submission when it has one.
//   (That it has one must not be asked of the message itself: another index, of all that have one, would be read whole.)
// - One of success is owed to those who asked for it. The first success ends the question, and so does every other end.
// With nobody to tell it costs 0.4 µs of the server's CPU for each event, of 7; a row of an outbox costs 5.
export const APPEND = statement<unknown>(
  "event_append",
  `WITH clock AS MATERIALIZED (
     SELECT clock_timestamp() AS at
   ), hooked AS (
     INSERT INTO postlane.webhook_delivery (webhook_id, message_id, attempt, kind, at, due_at)
     SELECT hook.id, told.message_id, told.attempt, told.kind, told.at, told.at
     FROM postlane.webhook AS hook CROSS JOIN ${TOLD}
     WHERE hook.disabled_at IS NULL AND hook.removed_at IS NULL AND told.kind = ANY (hook.kinds)
       AND (hook.lane_ids IS NULL
         OR (SELECT m.lane_id FROM postlane.message AS m WHERE m.id = told.message_id) = ANY (hook.lane_ids))
   ), answered AS (
     DELETE FROM postlane.success_asked WHERE ctid = ANY (ARRAY(
       SELECT asked.tid FROM ${TOLD} CROSS JOIN LATERAL (
         SELECT s.ctid AS tid FROM postlane.success_asked AS s WHERE s.message_id = told.message_id OFFSET 0
       ) AS asked
       WHERE EXISTS (SELECT FROM postlane.success_asked)
         AND told.kind IN ('sent', 'delivered', 'bounced', 'expired', 'canceled', 'suppressed')
     )) RETURNING message_id
   ), owed AS (
     INSERT INTO postlane.owed_notice (message_id, kind, attempt, at, host, reply)
     SELECT told.message_id, told.kind, told.attempt, told.at, told.host, told.reply
     FROM ${TOLD} CROSS JOIN LATERAL (
       SELECT m.submission_id FROM postlane.message AS m WHERE m.id = told.message_id OFFSET 0
     ) AS message CROSS JOIN LATERAL (
       SELECT FROM postlane.submission AS s
       WHERE s.id = message.submission_id AND s.door IN ('smtp', 'sendmail') OFFSET 0
     ) AS submission
     WHERE $3::text[] && ARRAY['bounced', 'expired'] AND told.kind IN ('bounced', 'expired')
     UNION ALL
     (SELECT DISTINCT ON (told.message_id) told.message_id, told.kind, told.attempt, told.at, told.host, told.reply
      FROM answered JOIN ${TOLD} ON told.message_id = answered.message_id AND told.kind IN ('sent', 'delivered')
      ORDER BY told.message_id, told.kind)
     ON CONFLICT DO NOTHING
   )
   INSERT INTO postlane.event (message_id, attempt, kind, outlet, host, reply, queue_id, client_port, version, at)
   SELECT message_id, attempt, kind, outlet, host, reply, queue_id, client_port, version, at FROM ${TOLD}`,
);

export async function appendEvents(client: ClientBase, events: readonly MessageEvent[]): Promise<void> {
  if (events.length === 0) return;
  await countOf(client, APPEND, [
    numberArray(events.map((event) => event.messageId)),
    numberArray(events.map((event) => event.attempt)),
    textArray(events.map((event) => event.kind)),
    textArray(events.map((event) => event.outlet)),
    textArray(events.map((event) => event.host)),
    textArray(events.map((event) => event.reply)),
    textArray(events.map((event) => event.queueId)),
    numberArray(events.map((event) => event.clientPort ?? null)),
    numberArray(events.map((event) => Math.round(event.agoMs ?? 0))),
    numberArray(events.map((event) => event.version ?? null)),
  ]);
}

// What the story tells already is not told again: a journal that comes back holds replies that were settled long ago. It
// does not know which version was sent; what was told of the same attempt does.
export const APPEND_LATE = statement<unknown>(
  "event_append_late",
  `INSERT INTO postlane.event (message_id, attempt, kind, outlet, host, reply, queue_id, client_port, version)
   SELECT message_id, attempt, 'late_' || kind, outlet, host, reply, queue_id, client_port, coalesce(version, (
     SELECT told.version FROM postlane.event AS told WHERE told.message_id = given.message_id
       AND told.attempt = given.attempt AND told.version IS NOT NULL LIMIT 1
   ))
   FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
       $9::smallint[])
     AS given (message_id, attempt, kind, outlet, host, reply, queue_id, client_port, version)
   WHERE NOT EXISTS (
     SELECT FROM postlane.event AS told WHERE told.message_id = given.message_id AND told.attempt = given.attempt
       AND told.kind IN (given.kind, 'late_' || given.kind)
   )`,
);

/** Replies that came too late to change the state of their message. They stay evidence: `late_sent`, `late_bounced` … */
export async function appendLateEvents(client: ClientBase, events: readonly MessageEvent[]): Promise<void> {
  if (events.length === 0) return;
  await countOf(client, APPEND_LATE, [
    numberArray(events.map((event) => event.messageId)),
    numberArray(events.map((event) => event.attempt)),
    textArray(events.map((event) => event.kind)),
    textArray(events.map((event) => event.outlet)),
    textArray(events.map((event) => event.host)),
    textArray(events.map((event) => event.reply)),
    textArray(events.map((event) => event.queueId)),
    numberArray(events.map((event) => event.clientPort ?? null)),
    numberArray(events.map((event) => event.version ?? null)),
  ]);
}

// Days are UTC. Rows that went to the default partition because the day's was missing stay there: they are found by the
// same index, and the day then has no partition of its own. Mail may be quicker than the first round of upkeep; the days
// ahead must be made all the same, or each of them would find rows in the default one in its turn.
export const CREATE_PARTITION = `
  DO $$
  DECLARE
    day date := (now() AT TIME ZONE 'UTC')::date + OFFSET_DAYS;
    name text := 'event_' || to_char(day, 'YYYYMMDD');
  BEGIN
    IF to_regclass('postlane.' || name) IS NULL AND NOT EXISTS (
      SELECT FROM postlane.event_default
      WHERE at >= day::timestamp AT TIME ZONE 'UTC' AND at < (day + 1)::timestamp AT TIME ZONE 'UTC') THEN
      EXECUTE format('CREATE TABLE postlane.%I PARTITION OF postlane.event FOR VALUES FROM (%L) TO (%L)', name,
        day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
  EXCEPTION WHEN check_violation THEN
    NULL; -- The first row of that day came in between.
  END $$`;

/** The partitions of today and the next days, made ahead of time, but for a day of which there are rows already. */
export async function createPartitionsAhead(on: Queryable, days: number): Promise<void> {
  for (let offset = 0; offset <= days; offset++) {
    await on.query(CREATE_PARTITION.replace("OFFSET_DAYS", String(offset)));
  }
}
