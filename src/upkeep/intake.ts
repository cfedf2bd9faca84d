// When lanes take no more mail. The queue has limits (messages that wait, the database's size, free disk), and bulk is
// refused long before anything urgent is: what is left belongs to those who are waited for. A lane that was closed opens
// only when there is room again by a margin, so that it does not flap with every message. Pure.

import { printSize } from "../platform/quantities.ts";

export interface IntakeLimits {
  /** Messages that wait, over all lanes. */
  readonly waitingMax: number;
  readonly databaseBytesMax: number;
  /** Of the disk of an embedded database. */
  readonly freeDiskBytesMin: number;
}

export interface IntakeFigures {
  readonly waiting: number;
  readonly databaseBytes: number;
  /** Undefined: the database is on another machine, or its disk could not be asked. */
  readonly freeDiskBytes: number | undefined;
}

/** Bulk stops at this part of what may be used, and when free disk is so many times the least. */
const BULK_PART = 0.8;
const BULK_FREE_TIMES = 2;
/** A closed lane opens below this part of its limit. */
const REOPEN_PART = 0.95;

/** Why a lane takes no more mail; undefined: it does. */
export function whyFull(
  figures: IntakeFigures,
  limits: IntakeLimits,
  lane: { readonly isBulk: boolean; readonly isFull: boolean },
): string | undefined {
  const part = (lane.isBulk ? BULK_PART : 1) * (lane.isFull ? REOPEN_PART : 1);
  const { waiting, databaseBytes, freeDiskBytes } = figures;
  if (waiting >= limits.waitingMax * part) {
    return `${count(waiting)} messages wait, of ${count(limits.waitingMax)} (queue.max_waiting)`;
  }
  if (databaseBytes >= limits.databaseBytesMax * part) {
    return `the database has ${printSize(databaseBytes)}, of ${printSize(limits.databaseBytesMax)} (queue.max_size)`;
  }
  const freeMin = (limits.freeDiskBytesMin * (lane.isBulk ? BULK_FREE_TIMES : 1)) / (lane.isFull ? REOPEN_PART : 1);
  if (freeDiskBytes !== undefined && freeDiskBytes < freeMin) {
    return `${printSize(freeDiskBytes)} are free on the database's disk (queue.min_free_disk)`;
  }
  return undefined;
}

const count = (n: number): string => n.toLocaleString("en");

export interface LaneIntake {
  readonly lane: string;
  readonly full_because: string | null;
}

/** What changes: a lane that stays full keeps the reason that it was closed with. */
export function intakeChanges(
  lanes: readonly LaneIntake[],
  bulkLanes: ReadonlySet<string>,
  figures: IntakeFigures,
  limits: IntakeLimits,
): readonly LaneIntake[] {
  return lanes.flatMap(({ lane, full_because }) => {
    const why = whyFull(figures, limits, { isBulk: bulkLanes.has(lane), isFull: full_because !== null });
    return (why === undefined) === (full_because === null) ? [] : [{ lane, full_because: why ?? null }];
  });
}
