// The suppression list as CSV that can be imported again: one line at a time, however long it is. Whose address was erased is
// told by the hash alone, which nobody can turn back, nor import. A cell that a spreadsheet would run as a formula gets an
// apostrophe in front, which importing takes away again.

import { csvLine } from "../platform/csv-cell.ts";
import type { SuppressionRow } from "./suppression-store.ts";

const MS_PER_DAY = 86_400_000;

export const EXPORT_HEADER = "address,scope,list,reason,days,source,created_at,hash\r\n";

export function exportLine(row: SuppressionRow, nowMs: number): string {
  const days =
    row.expires_at === null ? "" : String(Math.max(1, Math.ceil((row.expires_at.getTime() - nowMs) / MS_PER_DAY)));
  const cells = [row.address ?? "", row.scope, row.list, row.reason, days, row.source, row.created_at.toISOString()];
  return csvLine([...cells, row.address === null ? row.hash : ""]);
}
