// The append-only story of every message, partitioned by day.

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
}

export const APPEND = statement<unknown>(
  "event_append",
  `INSERT INTO postlane.event (message_id, attempt, kind, outlet, host, reply, queue_id, client_port, at)
   SELECT message_id, attempt, kind, outlet, host, reply, queue_id, client_port,
     clock_timestamp() - ago_ms * interval '1 millisecond'
   FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
       $9::float8[])
     AS given (message_id, attempt, kind, outlet, host, reply, queue_id, client_port, ago_ms)`,
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
  ]);
}

// What the story tells already is not told again: a journal that comes back holds replies that were settled long ago.
export const APPEND_LATE = statement<unknown>(
  "event_append_late",
  `INSERT INTO postlane.event (message_id, attempt, kind, outlet, host, reply, queue_id, client_port)
   SELECT message_id, attempt, 'late_' || kind, outlet, host, reply, queue_id, client_port
   FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[])
     AS given (message_id, attempt, kind, outlet, host, reply, queue_id, client_port)
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
