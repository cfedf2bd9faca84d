// The row of an outlet's reading: who writes it, the latest reading, and how far the relay's log has been followed. One
// agent writes it at a time: each statement compares the holder, so that an agent that was away and replaced finds out
// by its next write, and its returns roll back with it. All of it is within the rights of the role postlane_agent.

import type { ClientBase } from "pg";
import type { RelayReading } from "../mail/reading.ts";
import { countOf, rowsOf, statement, type Queryable } from "../postgres/statement.ts";
import type { LogPosition } from "./log-position.ts";

/** What an agent says of itself: the column `agent`, with the position in the log beside it. */
export interface AgentIdentity {
  readonly host: string;
  readonly pid: number;
  /** Of this process, in the kernel's own units: tells it from another one with the same pid. */
  readonly process_start: string;
  readonly started_at: string;
}

export interface AgentState extends AgentIdentity {
  /** How the queue is counted: "spool", "postqueue" or "command". */
  readonly uses: string | null;
}

export interface AgentRow {
  readonly silent_ms: number;
  readonly holder: string | null;
  readonly agent: Partial<AgentState> & { readonly log?: LogPosition | null; readonly ended_at?: string | null };
}

export const READ_AGENT = statement<AgentRow>(
  "reading_agent",
  `SELECT extract(epoch FROM clock_timestamp() - greatest(at, (agent ->> 'taken_at')::timestamptz))::float8 * 1000
     AS silent_ms, agent ->> 'holder' AS holder, agent
   FROM postlane.reading WHERE outlet = $1`,
);

export async function readAgent(on: Queryable, outlet: string): Promise<AgentRow | undefined> {
  const [row] = await rowsOf(on, READ_AGENT, [outlet]);
  return row;
}

// Compares with the holder that was seen, so that of two agents that both find the row free one gets it. The last
// reading stays as old as it is: nothing was measured yet. The position is what stands there now, and not what was seen:
// a step of the holder that was killed may still have been committed in between.
export const TAKE = statement<{ readonly log: LogPosition | null }>(
  "reading_take",
  `INSERT INTO postlane.reading AS r (outlet, number, at, body, agent)
   VALUES ($1, 0, clock_timestamp(), '{}', $2::jsonb || jsonb_build_object('taken_at', clock_timestamp()))
   ON CONFLICT (outlet) DO UPDATE SET agent = r.agent || excluded.agent
     WHERE r.agent ->> 'holder' IS NOT DISTINCT FROM $3
   RETURNING agent -> 'log' AS log`,
);

/** Answers how far the log was followed before; undefined: another agent was quicker. */
export async function takeReadingIfHeldBy(
  on: Queryable,
  given: { readonly outlet: string; readonly state: AgentState; readonly seenHolder: string | null },
): Promise<{ readonly log: LogPosition | null } | undefined> {
  const agent = { ...given.state, holder: holderOf(given.state), ended_at: null };
  const [row] = await rowsOf(on, TAKE, [given.outlet, JSON.stringify(agent), given.seenHolder]);
  return row;
}

export const WRITE = statement<{ readonly at: Date }>(
  "reading_write",
  `UPDATE postlane.reading
   SET number = number + 1, at = clock_timestamp(), body = $3::jsonb, agent = agent || $4::jsonb
   WHERE outlet = $1 AND agent ->> 'holder' = $2 RETURNING at`,
);

/** The time by the database's clock; undefined: another agent has taken the outlet over. */
export async function writeReadingIfHeld(
  on: Queryable,
  given: { readonly outlet: string; readonly state: AgentState; readonly body: RelayReading },
): Promise<Date | undefined> {
  const [row] = await rowsOf(on, WRITE, [
    given.outlet,
    holderOf(given.state),
    JSON.stringify(given.body),
    JSON.stringify({ uses: given.state.uses }),
  ]);
  return row?.at;
}

export const ADVANCE = statement<unknown>(
  "reading_advance",
  `UPDATE postlane.reading SET agent = agent || jsonb_build_object('log', $3::jsonb)
   WHERE outlet = $1 AND agent ->> 'holder' = $2
     AND coalesce((agent #>> '{log,number}')::bigint, 0) = ($3::jsonb ->> 'number')::bigint - 1`,
);

/**
 * The log has been followed to there. False: another agent has taken the outlet over, or this very step was taken
 * already, by a transaction whose COMMIT was not confirmed.
 */
export async function advanceLogIfNext(
  client: ClientBase,
  given: { readonly outlet: string; readonly identity: AgentIdentity; readonly position: LogPosition },
): Promise<boolean> {
  const values = [given.outlet, holderOf(given.identity), JSON.stringify(given.position)];
  return (await countOf(client, ADVANCE, values)) === 1;
}

export const LEAVE = statement<unknown>(
  "reading_leave",
  `UPDATE postlane.reading SET agent = agent || jsonb_build_object('ended_at', clock_timestamp())
   WHERE outlet = $1 AND agent ->> 'holder' = $2`,
);

/** The next agent may take over at once. */
export async function leaveReading(on: Queryable, outlet: string, identity: AgentIdentity): Promise<void> {
  await countOf(on, LEAVE, [outlet, holderOf(identity)]);
}

export function holderOf({ host, pid, started_at }: AgentIdentity): string {
  return `${host} ${pid} ${started_at}`;
}
