// Before anything is queued: has every row a value where the template gives no default? Reads the list once from end to
// end, but only when some variable needs a value. Rows that will be rejected anyway do not count.

import { createReadStream } from "node:fs";
import { addressProblem } from "../mail/address.ts";
import { readCsvRows } from "./csv-rows.ts";

export interface EmptyCell {
  readonly line: number;
  readonly address: string;
  readonly columns: readonly string[];
}

export interface EmptyCells {
  readonly rows: number;
  /** The first few, to show. */
  readonly first: readonly EmptyCell[];
}

const SHOWN_MAX = 5;

/** Rows in which a column that the template needs is empty, or blank. */
export async function findEmptyCells(file: string, required: readonly string[]): Promise<EmptyCells> {
  const first: EmptyCell[] = [];
  let rows = 0;
  if (required.length === 0) return { rows, first };
  const list = await readCsvRows(createReadStream(file));
  const wanted = list.columns.flatMap(({ name }, index) => (required.includes(name) ? [{ name, index }] : []));
  for await (const batch of list.batches) {
    for (const { line, fields } of batch.rows) {
      if (wanted.every(({ index }) => !isBlank(fields[index]!))) continue;
      const address = fields[list.addressColumn]!.trim();
      if (addressProblem(address) !== undefined) continue;
      rows++;
      if (first.length >= SHOWN_MAX) continue;
      const empty = wanted.filter(({ index }) => isBlank(fields[index]!));
      first.push({ line, address, columns: empty.map(({ name }) => name) });
    }
  }
  return { rows, first };
}

function isBlank(cell: string): boolean {
  return cell === "" || cell.trim() === "";
}
