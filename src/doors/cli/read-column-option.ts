// `--column name=type`, as often as it was given.

import { columnName } from "../../campaigns/csv-header.ts";
import { COLUMN_TYPES, type ColumnType } from "../../campaigns/list-columns.ts";
import { misused } from "./command-failure.ts";
import { harmless } from "./printing.ts";

/** By the names that templates use: `"Seats left=number"` names the column `seats_left`. */
export function readColumnTypes(given: readonly string[] = []): Readonly<Record<string, ColumnType>> {
  return Object.fromEntries(given.map(readOne));
}

function readOne(given: string): readonly [string, ColumnType] {
  const at = given.lastIndexOf("=");
  const name = columnName(given.slice(0, Math.max(0, at)));
  const type = COLUMN_TYPES.find((one) => one === given.slice(at + 1));
  if (name !== "" && type !== undefined) return [name, type];
  throw misused(`--column "${harmless(given)}" is no name=type; types: ${COLUMN_TYPES.join(", ")}.`);
}
