// Where is mail stuck? What waits here by destination and age, in the columns of Postfix's qshape, and what waits in each
// relay by its last reading. Reads only. The shape is what `postlane queue shape --json` prints, so its keys are a contract.
//
// Cost: an index descent for a destination (15 µs) and two row reads for a message. It looks at 2,000 rows of each of
// 50,000 destinations, and when that takes longer than it may, at fewer of each: then it is a sample, and says so
// (measured: 600,000 messages to 20,000 destinations in 1.5 s).

import type { Pool } from "pg";
import type { LaneId } from "../mail/ids.ts";
import type { ShapeRow } from "../mail/reading.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { readSnapshot, type ReadingView } from "./engine-snapshot.ts";
import { readShape, type ShapeLimits, type ShapeLine } from "./queue-shape-store.ts";
import { limitStatementTime } from "./status-store.ts";

export interface QueueShape {
  readonly here: {
    /** Rows or destinations were left out: what is counted is the least that there is. */
    readonly is_sample: boolean;
    readonly rows_per_destination_max: number;
    readonly destinations: readonly DestinationShape[];
    readonly total: Omit<DestinationShape, "destination" | "is_more">;
  };
  readonly relays: readonly RelayShape[];
}

export interface DestinationShape {
  readonly destination: string;
  readonly messages: number;
  readonly is_more: boolean;
  /** As many as `AGE_BOUNDS_MIN` and one more: younger than the first bound, than the second, …, older than the last. */
  readonly ages: readonly number[];
}

export interface RelayShape {
  readonly outlet: string;
  readonly reading_age_s: number;
  readonly queue: number | null;
  readonly deferred: number | null;
  readonly oldest_age_s: number | null;
  readonly destinations: readonly ShapeRow[];
}

/** In minutes, as qshape has them. */
export const AGE_BOUNDS_MIN: readonly number[] = [5, 10, 20, 40, 80, 160, 320, 640, 1280];

/** The first that answers in time is it. */
const TRIES: readonly (Omit<ShapeLimits, "laneId"> & { readonly msMax: number })[] = [
  { destinationsMax: 50_000, rowsMax: 2000, msMax: 5000 },
  { destinationsMax: 50_000, rowsMax: 50, msMax: 5000 },
  { destinationsMax: 2000, rowsMax: 20, msMax: 5000 },
];

export async function readQueueShape(pool: Pool, laneId: LaneId | undefined): Promise<QueueShape> {
  const { readings } = await readSnapshot(pool);
  for (const { msMax, ...limits } of TRIES) {
    const lines = await linesInTime(pool, { laneId, ...limits }, msMax);
    if (lines !== undefined) return { here: shapeHere(lines, limits.rowsMax), relays: readings.map(shapeRelay) };
  }
  throw new Error(
    "The queue's index could not be walked in time: vacuum may be far behind. See `postlane explain` for what holds it up.",
  );
}

async function linesInTime(pool: Pool, limits: ShapeLimits, msMax: number): Promise<readonly ShapeLine[] | undefined> {
  try {
    return await inTransaction(pool, async (client) => {
      await limitStatementTime(client, msMax);
      return await readShape(client, limits, AGE_BOUNDS_MIN);
    });
  } catch (error) {
    if ((error as { readonly code?: string }).code === QUERY_CANCELED) return undefined;
    throw error;
  }
}

const QUERY_CANCELED = "57014";

/** Destinations with the most messages first. */
export function shapeHere(lines: readonly ShapeLine[], rowsMax: number): QueueShape["here"] {
  const byDestination = new Map<string, ShapeLine[]>();
  for (const line of lines) {
    const of = byDestination.get(line.destination);
    if (of === undefined) byDestination.set(line.destination, [line]);
    else of.push(line);
  }
  const destinations = Array.from(byDestination, ([destination, of]) => ({
    destination,
    messages: messagesOf(of),
    is_more: of.some(({ is_more }) => is_more),
    ages: agesOf(of),
  })).toSorted((one, other) => other.messages - one.messages);
  return {
    is_sample: lines.some(({ is_more, is_cut }) => is_more || is_cut),
    rows_per_destination_max: rowsMax,
    destinations,
    total: { messages: messagesOf(lines), ages: agesOf(lines) },
  };
}

function messagesOf(lines: readonly ShapeLine[]): number {
  return lines.reduce((sum, { messages }) => sum + messages, 0);
}

function agesOf(lines: readonly ShapeLine[]): readonly number[] {
  return Array.from({ length: AGE_BOUNDS_MIN.length + 1 }, (_, bucket) =>
    messagesOf(lines.filter((line) => line.bucket === bucket)),
  );
}

function shapeRelay({ outlet, ageMs, reading }: ReadingView): RelayShape {
  return {
    outlet,
    reading_age_s: Math.round(ageMs / 1000),
    queue: reading.queue ?? null,
    deferred: reading.deferred ?? null,
    oldest_age_s: reading.oldest_age_s ?? null,
    destinations: reading.shape ?? [],
  };
}
