// The columns of a list, and what their cells become: variables of a type. A cell that is not of its column's type is a
// problem of its row; an empty one is null, but for texts. Cells go as JSON straight from the file to the database: a number
// keeps the digits that it was written with.

import { localeProblem, timeZoneProblem } from "../templates/format-filters.ts";
import { columnsMax, type CsvColumn } from "./csv-header.ts";

export const COLUMN_TYPES = ["text", "number", "date", "json"] as const;
/** What a person may say of a column. */
export type ColumnType = (typeof COLUMN_TYPES)[number];

export interface ListColumn extends CsvColumn {
  /** `locale` and `time_zone` go by their names: filters, and a campaign at local times, read them. */
  readonly type: ColumnType | "locale" | "time_zone";
  readonly isAddress: boolean;
}

/** `problem`: why some type cannot be given so. */
export type ColumnsAnswer =
  | { readonly kind: "columns"; readonly columns: readonly ListColumn[] }
  | { readonly kind: "bad"; readonly problem: string };

export function typeColumns(
  columns: readonly CsvColumn[],
  addressColumn: number,
  types: Readonly<Record<string, ColumnType>>,
): ColumnsAnswer {
  const names = columns.map(({ name }) => name);
  for (const name of Object.keys(types)) {
    const at = names.indexOf(name);
    if (at === -1) return bad(`there is no column "${name}" to be of type ${types[name]!}: ${names.join(", ")}`);
    if (at === addressColumn) return bad(`the column "${name}" holds the address, and cannot be of another type`);
    if (isKnown(name) && types[name] !== "text") return bad(`the column "${name}" has a type of its own`);
  }
  return {
    kind: "columns",
    columns: columns.map(({ name, original }, index) => ({
      name,
      original,
      type: isKnown(name) ? name : (types[name] ?? "text"),
      isAddress: index === addressColumn,
    })),
  };
}

/** `columns`: of the file, as the list has them; `all`: of the list from now on. */
export type ColumnsJoined =
  | { readonly kind: "joined"; readonly columns: readonly ListColumn[]; readonly all: readonly ListColumn[] }
  | { readonly kind: "bad"; readonly problem: string };

/** A further file into a list: what the list has keeps its type, what is new comes behind it. `types`: as they were given. */
export function joinColumns(
  known: readonly ListColumn[],
  given: readonly ListColumn[],
  types: Readonly<Record<string, ColumnType>>,
): ColumnsJoined {
  const address = known.find(({ isAddress }) => isAddress)!;
  const ofFile = given.find(({ isAddress }) => isAddress)!;
  if (ofFile.name !== address.name)
    return bad(`the address is in the column "${ofFile.name}", and in the list in "${address.name}": name it so`);
  const columns: ListColumn[] = [];
  for (const column of given) {
    const { name } = column;
    const type = known.find((one) => one.name === name)?.type;
    if (type !== undefined && Object.hasOwn(types, name) && types[name] !== type)
      return bad(
        `the column "${name}" is of type ${type} in the list: give no type for it, or name the column otherwise`,
      );
    columns.push(type === undefined ? column : { ...column, type });
  }
  const all = [...known, ...columns.filter(({ name }) => known.every((one) => one.name !== name))];
  if (all.length > columnsMax)
    return bad(`the list would have ${all.length} columns; at most ${columnsMax} are possible`);
  return { kind: "joined", columns, all };
}

function bad(problem: string): { readonly kind: "bad"; readonly problem: string } {
  return { kind: "bad", problem };
}

function isKnown(name: string): name is "locale" | "time_zone" {
  return name === "locale" || name === "time_zone";
}

export type Cell = { readonly json: string } | { readonly problem: string };

/** JSON of one cell, for a column that is not text: those are written without a call. */
export function readCell(type: ListColumn["type"], text: string): Cell {
  const trimmed = text.trim();
  if (trimmed === "") return NULL;
  return READERS[type](trimmed);
}

const NULL: Cell = { json: "null" };
const JSON_DEPTH_MAX = 20;

const READERS: Readonly<Record<ListColumn["type"], (text: string) => Cell>> = {
  text: (text) => ({ json: JSON.stringify(text) }),
  number: readNumber,
  date: readDate,
  json: readJson,
  locale: (text) => known(text, localeProblem),
  time_zone: (text) => known(text, timeZoneProblem),
};

/** JSON's own grammar, so that nobody has to guess whether a comma is a decimal point. */
function readNumber(text: string): Cell {
  if (!/^[+-]?(?:0|[1-9]\d{0,30})(?:\.\d{1,30})?$/.test(text))
    return { problem: `${quoted(text)} is not a number: write digits, with a point before decimals` };
  return { json: text.replace(/^\+/, "") };
}

/** ISO 8601: a day, or an instant with its zone. */
function readDate(text: string): Cell {
  const found = /^(\d{4}-\d{2}-\d{2})(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2}))?$/.exec(text);
  const isThere = found !== null && !Number.isNaN(Date.parse(text)) && isDay(found[1]!);
  if (isThere) return { json: JSON.stringify(text) };
  return { problem: `${quoted(text)} is not a date: write 2027-01-31, or 2027-01-31T09:00:00Z` };
}

/** `Date` takes the 31st of February for the 3rd of March. */
function isDay(text: string): boolean {
  const date = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
}

function readJson(text: string): Cell {
  try {
    const value: unknown = JSON.parse(text);
    if (depthOf(value) > JSON_DEPTH_MAX) return { problem: `JSON is nested deeper than ${JSON_DEPTH_MAX} levels` };
  } catch {
    return { problem: `${quoted(text)} is not JSON` };
  }
  return ESCAPED_NUL.test(text) ? { problem: "JSON holds a NUL" } : { json: text };
}

/** PostgreSQL's text has none. A backslash that is escaped itself escapes nothing. */
const ESCAPED_NUL = /(?<!\\)(?:\\\\)*\\u0000/;

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  let depth = 0;
  for (const member of Object.values(value)) {
    depth = Math.max(depth, depthOf(member));
    if (depth > JSON_DEPTH_MAX) break;
  }
  return depth + 1;
}

function known(text: string, problemOf: (text: string) => string | undefined): Cell {
  const problem = problemOf(text);
  return problem === undefined ? { json: JSON.stringify(text) } : { problem };
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
