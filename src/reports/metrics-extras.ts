// What the metrics know beside the snapshot: the oldest message of each lane, returns by judgement, the database's fsyncs.
// Each is a bounded look of its own; the last answers are kept for ten seconds, so that scraping often costs nothing.

import type { ClientBase, Pool } from "pg";
import type { LaneId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { listLanes } from "../queue/lane-store.ts";
import { readDeadRows, readJudged, readWalFsyncs, type JudgedRow } from "./metrics-store.ts";
import { limitStatementTime, readOldest } from "./status-store.ts";

export interface MetricsExtras {
  /** By lane: how long the message that waits longest has been due, in seconds. */
  readonly oldestS: Readonly<Record<string, number>>;
  readonly judged: readonly JudgedRow[];
  readonly walFsyncs?: number;
  readonly deadRows?: number;
}

const NO_EXTRAS: MetricsExtras = { oldestS: {}, judged: [] };

const KEPT_MS = 10_000;
const LOOK_MS_MAX = 500;
/** Some 15 µs each; of more destinations the oldest is an estimate from these. */
const OLDEST_DESTINATIONS_MAX = 2000;

export interface ExtrasReader {
  /** What is known; looks again when that is old and the database answers. What cannot be read is left out. */
  read(nowMs: number, isSilent: boolean): Promise<MetricsExtras>;
}

export function createExtrasReader(pool: Pool): ExtrasReader {
  let kept: { readonly extras: MetricsExtras; readonly atMs: number } | undefined;
  let looking: Promise<MetricsExtras> | undefined;
  return {
    async read(nowMs, isSilent) {
      if (isSilent) return kept?.extras ?? NO_EXTRAS;
      if (kept !== undefined && nowMs - kept.atMs < KEPT_MS) return kept.extras;
      looking ??= look(pool).finally(() => (looking = undefined));
      const extras = await looking;
      kept = { extras, atMs: nowMs };
      return extras;
    },
  };
}

async function look(pool: Pool): Promise<MetricsExtras> {
  const oldestS = await orNothing(pool, readOldestByLane);
  const judged = await orNothing(pool, readJudged);
  const walFsyncs = await orNothing(pool, readWalFsyncs);
  const deadRows = await orNothing(pool, readDeadRows);
  return {
    oldestS: oldestS ?? {},
    judged: judged ?? [],
    ...(walFsyncs === undefined ? {} : { walFsyncs }),
    ...(deadRows === undefined ? {} : { deadRows }),
  };
}

async function orNothing<T>(pool: Pool, read: (client: ClientBase) => Promise<T>): Promise<T | undefined> {
  try {
    return await inTransaction(pool, async (client) => {
      await limitStatementTime(client, LOOK_MS_MAX);
      return await read(client);
    });
  } catch {
    return undefined;
  }
}

async function readOldestByLane(client: ClientBase): Promise<Readonly<Record<string, number>>> {
  const lanes = await listLanes(client);
  const rows = await readOldest(client, OLDEST_DESTINATIONS_MAX);
  const nameOf = (id: LaneId): string => lanes.find((lane) => lane.id === id)?.name ?? String(id);
  return Object.fromEntries(
    rows.map(({ lane_id, overdue_ms }) => [nameOf(lane_id), Math.max(0, overdue_ms ?? 0) / 1000]),
  );
}
