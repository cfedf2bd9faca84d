// Messages that had left the queue, or stay in it as unknown, and about which something came back. Whoever judges that
// has locked their message rows (returns/standing-store.ts), so nobody else brings one of them home meanwhile; here
// their rows in the queue are looked at, and put back. A row that a dispatcher has is never touched.

import { strict as assert } from "node:assert";
import type { ClientBase } from "pg";
import type { MessageId } from "../mail/ids.ts";
import { isSettled, mayBecome, type State, type WaitingState } from "../mail/state.ts";
import { numberArray, rowsOf, statement, textArray } from "../postgres/statement.ts";

// Skipped, not waited for: a claim that is under way has it, and two sessions that wait for rows of each other would
// deadlock. Unknown ones alone may be moved by what comes back.
export const LOCK_UNKNOWN = statement<{ readonly message_id: MessageId }>(
  "returned_lock_unknown",
  `SELECT message_id FROM postlane.queue
   WHERE message_id = ANY ($1::bigint[]) AND state = 'unknown' AND lease_id IS NULL FOR UPDATE SKIP LOCKED`,
);

export interface WaitingRow {
  readonly message_id: MessageId;
  readonly state: WaitingState;
  readonly attempts: number;
  readonly tries: number;
  readonly rescues: number;
  readonly is_claimed: boolean;
  /** Of its campaign's template, in the latest attempt; null: the first, or no campaign's. */
  readonly version: number | null;
}

export const READ = statement<WaitingRow>(
  "returned_read",
  `SELECT message_id, state, attempts, tries, rescues, lease_id IS NOT NULL AS is_claimed, version
   FROM postlane.queue WHERE message_id = ANY ($1::bigint[])`,
);

/**
 * Those of the messages that wait, with the unknown ones locked. A row that could not be locked counts as claimed:
 * somebody is about to move it.
 */
export async function lockWaiting(
  client: ClientBase,
  messageIds: readonly MessageId[],
): Promise<ReadonlyMap<MessageId, WaitingRow>> {
  const ids = numberArray(messageIds);
  const locked = new Set((await rowsOf(client, LOCK_UNKNOWN, [ids])).map((row) => row.message_id));
  const rows = await rowsOf(client, READ, [ids]);
  return new Map(
    rows.map((row) => {
      const isFree = row.state !== "unknown" || locked.has(row.message_id);
      return [row.message_id, { ...row, is_claimed: row.is_claimed || !isFree }];
    }),
  );
}

/** A message that comes home. */
export interface HomeRow {
  readonly messageId: MessageId;
  readonly fromState: State;
  readonly state: WaitingState;
  /** From the database's now on; null: until somebody decides. */
  readonly delayMs: number | null;
  readonly attempts: number;
  readonly tries: number;
}

// The day in the books is the day of acceptance in UTC, as at entry.
export const REQUEUE = statement<{ readonly message_id: MessageId }>(
  "returned_requeue",
  `INSERT INTO postlane.queue (message_id, due_at, campaign_id, accepted_on, lane_id, attempts, tries, state, destination)
   SELECT m.id, coalesce(clock_timestamp() + given.delay_ms * interval '1 millisecond', 'infinity'), m.campaign_id,
     (m.accepted_at AT TIME ZONE 'UTC')::date, m.lane_id, given.attempts, given.tries, given.state,
     postlane.destination_of(m.recipient)
   FROM unnest($1::bigint[], $2::float8[], $3::smallint[], $4::smallint[], $5::text[])
     AS given (message_id, delay_ms, attempts, tries, state)
   CROSS JOIN LATERAL (
     SELECT id, campaign_id, accepted_at, lane_id, recipient FROM postlane.message WHERE id = given.message_id OFFSET 0
   ) AS m
   RETURNING message_id`,
);

/** Each is a row again. A message that has one already is a mistake of the caller, and fails the transaction. */
export async function requeueReturned(client: ClientBase, rows: readonly HomeRow[]): Promise<void> {
  if (rows.length === 0) return;
  for (const { fromState, state } of rows) {
    assert(!isSettled(state) && mayBecome(fromState, state), `${fromState} cannot become ${state}`);
  }
  await rowsOf(client, REQUEUE, [
    numberArray(rows.map((row) => row.messageId)),
    numberArray(rows.map((row) => row.delayMs)),
    numberArray(rows.map((row) => row.attempts)),
    numberArray(rows.map((row) => row.tries)),
    textArray(rows.map((row) => row.state)),
  ]);
}
