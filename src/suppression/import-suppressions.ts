// A file of suppressions into the list: CSV with the columns address, scope, list, reason and days, or what another service
// exports, down to a single column of addresses without a header. Streamed, in slices; a bad row is told with its line and
// never stops the others. Doing it again changes nothing.

import type { Pool } from "pg";
import { columnName, CsvHeaderError, DELIMITERS } from "../campaigns/csv-header.ts";
import { readLines, type Line } from "../campaigns/csv-lines.ts";
import { RecordReader, type CsvReject, type CsvRow } from "../campaigns/csv-records.ts";
import type { Mac } from "../mail/token-octets.ts";
import { uncoveredCell } from "../platform/csv-cell.ts";
import { isReason, readSuppression, suppressedAddressProblem } from "./read-suppression.ts";
import { addSuppressions } from "./suppression-store.ts";
import type { NewSuppression } from "./suppression.ts";

export interface ImportDefaults {
  readonly scope: string;
  readonly list?: string | undefined;
  readonly reason: string;
  readonly source: string;
  readonly days?: number | undefined;
}

export interface ImportedSuppressions {
  readonly added: number;
  readonly rejected: number;
  /** The first of them. */
  readonly rejects: readonly ImportReject[];
}

export interface ImportReject {
  readonly line: number;
  readonly reason: string;
}

/** Rows of one statement. */
const SLICE_ROWS_MAX = 5000;
/** Statements at the database at once: while they work, the next slice is read and hashed. */
const SLICES_MAX = 2;
/** Bad rows that are told one by one; the others are counted. */
export const REJECTS_TOLD_MAX = 1000;

export async function importSuppressions(
  { pool, mac }: { readonly pool: Pool; readonly mac: Mac },
  input: AsyncIterable<Uint8Array>,
  defaults: ImportDefaults,
  onProgress: (rows: number, bytesRead: number) => void,
): Promise<ImportedSuppressions> {
  const rejects: ImportReject[] = [];
  let [added, rejected] = [0, 0];
  const reject = (bad: ImportReject): void => {
    rejected++;
    if (rejects.length < REJECTS_TOLD_MAX) rejects.push(bad);
  };
  const underWay = new Set<Promise<void>>();
  const write = async (slice: readonly NewSuppression[]): Promise<void> => {
    if (underWay.size >= SLICES_MAX) await Promise.race(underWay);
    const writing = addSuppressions(pool, mac, slice).finally(() => underWay.delete(writing));
    writing.catch(() => {}); // Heard when it is awaited.
    underWay.add(writing);
    added += slice.length;
  };
  try {
    const slice: NewSuppression[] = [];
    for await (const { rows, bad, columns, bytesRead } of readRecords(input)) {
      for (const { line, reason } of bad) reject({ line, reason });
      for (const row of rows) {
        const read = readRow(row, columns, defaults);
        if (read.kind === "bad") reject({ line: row.line, reason: `${read.field}: ${read.problem}` });
        else slice.push(read.suppression);
      }
      while (slice.length >= SLICE_ROWS_MAX) await write(slice.splice(0, SLICE_ROWS_MAX));
      onProgress(added + rejected, bytesRead);
    }
    if (slice.length > 0) await write(slice);
    await Promise.all(underWay);
  } finally {
    await Promise.allSettled(underWay);
  }
  return { added, rejected, rejects };
}

// ---- rows -----------------------------------------------------------------------------------------------------------

const COLUMNS = ["address", "scope", "list", "reason", "days"] as const;
type Column = (typeof COLUMNS)[number];
/** Where each stands; -1: nowhere. */
type Columns = Readonly<Record<Column, number>>;

/** How others call the column with the address. */
const ADDRESS_NAMES = ["address", "email", "email_address", "e_mail", "e_mail_address", "mail", "recipient"];

function readRow({ fields }: CsvRow, columns: Columns, defaults: ImportDefaults) {
  const given = (column: Column): string | undefined => {
    const field = columns[column] < 0 ? "" : uncoveredCell(fields[columns[column]]?.trim() ?? "");
    return field === "" ? undefined : field;
  };
  const scope = given("scope");
  const days = given("days");
  return readSuppression({
    address: given("address") ?? "",
    scope: scope?.toLowerCase() ?? defaults.scope,
    list: given("list") ?? (scope === undefined ? defaults.list : undefined),
    reason: reasonOf(given("reason"), defaults.reason),
    source: defaults.source,
    days: days === undefined ? defaults.days : /^\d{1,9}$/.test(days) ? Number(days) : Number.NaN,
  });
}

/** Other services write theirs there, or a server's whole reply. */
function reasonOf(given: string | undefined, otherwise: string): string {
  const word = given?.toLowerCase() ?? otherwise;
  return isReason(word) ? word : otherwise;
}

interface RecordBlock {
  readonly rows: readonly CsvRow[];
  readonly bad: readonly CsvReject[];
  readonly columns: Columns;
  readonly bytesRead: number;
}

async function* readRecords(input: AsyncIterable<Uint8Array>): AsyncGenerator<RecordBlock> {
  let open: { readonly reader: RecordReader; readonly columns: Columns } | undefined;
  let bytesRead = 0;
  for await (const block of readLines(input)) {
    bytesRead = block.bytesRead;
    let { lines } = block;
    if (open === undefined) {
      const start = lines.findIndex(({ text }) => text.trim() !== "");
      if (start < 0) continue;
      const { delimiter, columns, hasHeader } = readShape(lines[start]!);
      open = { reader: new RecordReader(delimiter), columns };
      lines = lines.slice(start + (hasHeader ? 1 : 0));
    }
    const { rows, rejects } = open.reader.read(lines, false);
    yield { rows, bad: rejects, columns: open.columns, bytesRead };
  }
  if (open === undefined) return;
  const { rows, rejects } = open.reader.read([], true);
  yield { rows, bad: rejects, columns: open.columns, bytesRead };
}

/** By its first line: a header that names a column of addresses, or a row that begins with one. */
function readShape(line: Line): { readonly delimiter: string; readonly columns: Columns; readonly hasHeader: boolean } {
  const readings = DELIMITERS.map((delimiter) => {
    const [row] = new RecordReader(delimiter).read([line], true).rows;
    return { delimiter, fields: row?.fields.map((field) => field.trim()) ?? [] };
  }).toSorted((one, other) => other.fields.length - one.fields.length);
  for (const { delimiter, fields } of readings) {
    const columns = headerColumns(fields.map(columnName));
    if (columns !== undefined) return { delimiter, columns, hasHeader: true };
  }
  const rows = readings.filter(({ fields }) => suppressedAddressProblem(uncoveredCell(fields[0] ?? "")) === undefined);
  if (rows.length > 0) return { delimiter: rows[0]!.delimiter, columns: IN_ORDER, hasHeader: false };
  throw new CsvHeaderError(
    `line ${line.number} neither names a column of addresses ("address" or "email") nor begins with an address`,
  );
}

function headerColumns(names: readonly string[]): Columns | undefined {
  const addressName = ADDRESS_NAMES.find((name) => names.includes(name));
  if (addressName === undefined) return undefined;
  const address = names.indexOf(addressName);
  return { ...(Object.fromEntries(COLUMNS.map((column) => [column, names.indexOf(column)])) as Columns), address };
}

const IN_ORDER = Object.fromEntries(COLUMNS.map((column, index) => [column, index])) as unknown as Columns;
