// What a dispatcher has claimed, as the tables say, and what became of it.

import type pg from "pg";

export interface Claims {
  readonly leaseId: number;
  readonly messages: readonly ClaimedMessage[];
}

export interface ClaimedMessage {
  readonly id: number;
  readonly recipient: string;
  /** Of the hand-over it was claimed for. */
  readonly attempt: number;
}

/** Of the process that serves; undefined: it has no lease. */
export async function readClaims(client: pg.Client, pid: number): Promise<Claims | undefined> {
  const { rows } = await client.query(
    `SELECT lease.id AS "leaseId", q.message_id AS id, m.recipient, q.attempts + 1 AS attempt
     FROM postlane.lease LEFT JOIN postlane.queue AS q ON q.lease_id = lease.id
     LEFT JOIN postlane.message AS m ON m.id = q.message_id WHERE lease.holder LIKE '% ' || $1::text`,
    [pid],
  );
  const found = rows as readonly { leaseId: number; id: number | null; recipient: string; attempt: number }[];
  if (found[0] === undefined) return undefined;
  const messages = found.flatMap(({ id, recipient, attempt }) => (id === null ? [] : [{ id, recipient, attempt }]));
  return { leaseId: found[0].leaseId, messages };
}

export async function isLeaseThere(client: pg.Client, leaseId: number): Promise<boolean> {
  const { rowCount } = await client.query("SELECT FROM postlane.lease WHERE id = $1", [leaseId]);
  return rowCount === 1;
}

export interface Fate {
  readonly id: number;
  /** Its state in the queue; null: it has left it. */
  readonly state: string | null;
  /** Written down since a moment: of this attempt what came late, and what was settled by it. */
  readonly lateEvents: number;
}

export async function readFates(client: pg.Client, messages: readonly ClaimedMessage[]): Promise<readonly Fate[]> {
  const { rows } = await client.query(
    `SELECT given.id, q.state, (SELECT count(*)::float8 FROM postlane.event AS e WHERE e.message_id = given.id
       AND e.attempt = given.attempt AND e.kind <> 'unknown') AS "lateEvents"
     FROM unnest($1::bigint[], $2::int[]) AS given (id, attempt)
     LEFT JOIN postlane.queue AS q ON q.message_id = given.id`,
    [messages.map(({ id }) => id), messages.map(({ attempt }) => attempt)],
  );
  return rows as readonly Fate[];
}
