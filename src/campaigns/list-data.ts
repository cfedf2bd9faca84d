// What is known of one recipient, given as JSON and not as a row of a file: checked against the list's columns by the same
// rules. A list has no other columns than those of its files, so an unknown key is a mistake, and told.

import { readCell, type ListColumn } from "./list-columns.ts";

export type DataRead =
  /** JSON of the columns that were given. */
  | { readonly kind: "data"; readonly json: string }
  | { readonly kind: "bad"; readonly problem: string; readonly hint: string };

export function readListData(columns: readonly ListColumn[], given: Readonly<Record<string, unknown>>): DataRead {
  const members: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    const column = columns.find((one) => one.name === name);
    if (column === undefined) return unknown(name, columns);
    if (column.isAddress) return bad(`the column "${name}" is the address`, 'Give the address as "email" alone.');
    const cell = readValue(column, value);
    if ("problem" in cell) return bad(`${name}: ${cell.problem}`, "Correct it, or leave it out.");
    members.push(`${JSON.stringify(name)}:${cell.json}`);
  }
  return { kind: "data", json: `{${members.join(",")}}` };
}

/** JSON of a recipient of whom nothing is known but the address: as a row of a file with empty cells has it. */
export function emptyListData(columns: readonly ListColumn[], address: string): string {
  const members = columns.map(({ name, type, isAddress }): [string, string | null] => [
    name,
    isAddress ? address : type === "text" ? "" : null,
  ]);
  return JSON.stringify(Object.fromEntries(members));
}

function readValue({ type }: ListColumn, value: unknown): { readonly json: string } | { readonly problem: string } {
  if (value === null) return { json: type === "text" ? '""' : "null" };
  if (type === "json") return readCell(type, JSON.stringify(value));
  if (type === "number" && typeof value === "number") return readCell(type, String(value));
  if (typeof value !== "string") return { problem: `a ${type} is a JSON string` };
  return type === "text" ? { json: JSON.stringify(value) } : readCell(type, value);
}

function unknown(name: string, columns: readonly ListColumn[]): DataRead {
  const known = columns.filter(({ isAddress }) => !isAddress).map((column) => column.name);
  const hint =
    known.length === 0 ? "It has none but the address: leave data out." : `Its columns: ${known.join(", ")}.`;
  return bad(`the list has no column ${JSON.stringify(name.slice(0, NAME_CHARS_MAX))}`, hint);
}

const NAME_CHARS_MAX = 100;

function bad(problem: string, hint: string): DataRead {
  return { kind: "bad", problem, hint };
}
