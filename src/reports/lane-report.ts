// The balance sheet of a lane: all of it, and by the day on which its messages were accepted (UTC). Reads only. The shape is
// what `--json` prints.

import type { Pool } from "pg";
import type { LaneRow } from "../queue/lane-store.ts";
import { readLaneDays } from "./campaign-report-store.ts";
import { totalsOf, type SheetTotals } from "./status-report.ts";

export interface LaneReport {
  readonly lane: string;
  /** Of all days, or of the one that was asked for. */
  readonly books: SheetTotals;
  /** The latest first. */
  readonly days: readonly { readonly day: string; readonly books: SheetTotals }[];
  /** Are not among the days. */
  readonly earlier_days: number;
}

export async function reportLane(
  pool: Pool,
  lane: LaneRow,
  { day, daysMax }: { readonly day: string | undefined; readonly daysMax: number },
): Promise<LaneReport> {
  const rows = await readLaneDays(pool, lane.id, day);
  const names = [...new Set(rows.map((row) => row.day))];
  const shown = names.slice(0, daysMax);
  return {
    lane: lane.name,
    books: totalsOf(rows),
    days: shown.map((one) => ({ day: one, books: totalsOf(rows.filter((row) => row.day === one)) })),
    earlier_days: names.length - shown.length,
  };
}
