// Puts physical lines together to CSV records (RFC 4180) and takes these apart into fields. Finding where a record ends
// is done here, so that a broken quote costs one line: that line is rejected, and reading goes on with the next one.
// Most lines hold no quote and are only split; those that do are decoded by csv-parse, many in one call.
// Never throws for what the file holds.

import { parse } from "csv-parse/sync";

import { isTooLong, rowBytesMax, type Line } from "./csv-lines.ts";

/** As much of a rejected row as a report shows. */
const rawCharsMax = 500;

export interface CsvRow {
  /** Physical line on which the record starts, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

export interface CsvReject {
  readonly line: number;
  readonly raw: string;
  readonly reason: string;
}

export interface CsvRecords {
  readonly rows: readonly CsvRow[];
  readonly rejects: readonly CsvReject[];
}

interface RawRecord {
  readonly line: number;
  readonly lineCount: number;
  readonly text: string;
}

/**
 * Lines go in, whole records come out. A record whose closing quote has not come yet waits with its lines, until it is
 * longer than a row may be.
 */
export class RecordReader {
  private readonly delimiter: string;
  private waiting: readonly Line[] = [];

  constructor(delimiter: string) {
    this.delimiter = delimiter;
  }

  /** `isLast`: nothing follows, so what is open stays open. `columns`: how many fields a row must have, if known. */
  read(more: readonly Line[], isLast: boolean, columns?: number): CsvRecords {
    const lines = this.waiting.length === 0 ? more : [...this.waiting, ...more];
    const records: RawRecord[] = [];
    const rejects: CsvReject[] = [];
    let at = 0;
    while (at < lines.length) {
      const found = recordAt(lines, at, this.delimiter, isLast);
      if (found.kind === "incomplete") break;
      if (found.kind === "record") records.push(found.record);
      if (found.kind === "broken") rejects.push(rejectOf(lines[at]!.number, lines[at]!.text, found.reason));
      at += found.kind === "record" ? found.record.lineCount : 1;
    }
    this.waiting = lines.slice(at);
    return inOrder(decode(records, this.delimiter, columns), rejects);
  }

  /** The first record, and nothing of what follows. */
  readFirst(lines: readonly Line[], isLast: boolean): { readonly records: CsvRecords; readonly rest: readonly Line[] } {
    for (let count = 1; count <= lines.length; count++) {
      const records = this.read(lines.slice(count - 1, count), isLast && count === lines.length);
      if (records.rows.length + records.rejects.length === 0) continue;
      const rest = [...this.waiting, ...lines.slice(count)];
      this.waiting = [];
      return { records, rest };
    }
    return { records: { rows: [], rejects: [] }, rest: [] };
  }
}

type Found =
  | { readonly kind: "record"; readonly record: RawRecord }
  | { readonly kind: "broken"; readonly reason: string }
  | { readonly kind: "empty" }
  | { readonly kind: "incomplete" };

function recordAt(lines: readonly Line[], at: number, delimiter: string, isLast: boolean): Found {
  const { number, text, fault } = lines[at]!;
  if (fault !== undefined) return { kind: "broken", reason: fault };
  if (text === "" || text === "\r") return { kind: "empty" };
  if (!text.includes('"')) return { kind: "record", record: { line: number, lineCount: 1, text: withoutCr(text) } };
  return quotedRecordAt(lines, at, delimiter, isLast);
}

function quotedRecordAt(lines: readonly Line[], at: number, delimiter: string, isLast: boolean): Found {
  let state: QuoteState = "between";
  let chars = 0;
  for (let end = at; end < lines.length; end++) {
    const { text, fault } = lines[end]!;
    chars += text.length + 1;
    if (fault !== undefined) return { kind: "broken", reason: `line ${lines[end]!.number} is ${fault}` };
    if (chars > rowBytesMax + 1) return { kind: "broken", reason: neverClosed };
    state = scanLine(text, delimiter, state);
    if (state === "broken") return { kind: "broken", reason: end === at ? strayQuote : neverClosed };
    if (state === "between") return closedRecord(lines, at, end);
  }
  return isLast ? { kind: "broken", reason: neverClosed } : { kind: "incomplete" };
}

const strayQuote = "a quote where none may be: a field with quotes starts and ends with one, and doubles those inside";
const neverClosed = "a quote is opened and not closed";

function closedRecord(lines: readonly Line[], at: number, end: number): Found {
  const texts = lines.slice(at, end + 1).map(({ text }) => text);
  const text = withoutCr(texts.join("\n"));
  if (isTooLong(text)) return { kind: "broken", reason: `longer than ${rowBytesMax} octets` };
  return { kind: "record", record: { line: lines[at]!.number, lineCount: texts.length, text } };
}

/** `between`: the record may end here; `inside`: a quote is open; `broken`: neither. */
type QuoteState = "between" | "inside" | "broken";

/** Goes through the fields of one line, from the state in which the line before ended. */
function scanLine(text: string, delimiter: string, before: QuoteState): QuoteState {
  const end = text.endsWith("\r") ? text.length - 1 : text.length;
  let isInside = before === "inside";
  let at = 0;
  for (;;) {
    if (!isInside && text[at] !== '"') {
      const next = text.indexOf(delimiter, at);
      const quote = text.indexOf('"', at);
      if (quote !== -1 && (next === -1 || quote < next)) return "broken";
      if (next === -1) return "between";
      at = next + 1;
      continue;
    }
    const close = closingQuote(text, isInside ? at : at + 1);
    if (close === -1) return "inside";
    if (close + 1 === end || close + 1 === text.length) return "between";
    if (text[close + 1] !== delimiter) return "broken";
    isInside = false;
    at = close + 2;
  }
}

/** A doubled quote stands for one and closes nothing. */
function closingQuote(text: string, from: number): number {
  let quote = text.indexOf('"', from);
  while (quote !== -1 && text[quote + 1] === '"') quote = text.indexOf('"', quote + 2);
  return quote;
}

function withoutCr(text: string): string {
  return text.endsWith("\r") ? text.slice(0, -1) : text;
}

function decode(records: readonly RawRecord[], delimiter: string, columns: number | undefined): CsvRecords {
  const quoted = records.filter(({ text }) => text.includes('"'));
  const decoded = decodeQuoted(quoted, delimiter);
  const rows: CsvRow[] = [];
  const rejects: CsvReject[] = [];
  let nextQuoted = 0;
  for (const record of records) {
    const isQuoted = record === quoted[nextQuoted];
    const fields = isQuoted ? decoded[nextQuoted++] : record.text.split(delimiter);
    if (fields === undefined) rejects.push(rejectOf(record.line, record.text, strayQuote));
    else if (columns !== undefined && fields.length !== columns) rejects.push(wrongCount(record, fields, columns));
    else rows.push({ line: record.line, fields });
  }
  return { rows, rejects };
}

/** One call for all; should csv-parse find fault where we found none, one call each tells which it was. */
function decodeQuoted(records: readonly RawRecord[], delimiter: string): readonly (readonly string[] | undefined)[] {
  const all = parseStrictly(records.map(({ text }) => text).join("\n"), delimiter);
  if (all?.length === records.length) return all;
  return records.map(({ text }) => {
    const one = parseStrictly(text, delimiter);
    return one?.length === 1 ? one[0] : undefined;
  });
}

function parseStrictly(text: string, delimiter: string): readonly (readonly string[])[] | undefined {
  try {
    return parse(text, { delimiter, record_delimiter: "\n", relax_column_count: true });
  } catch {
    return undefined;
  }
}

function wrongCount({ line, lineCount, text }: RawRecord, fields: readonly string[], columns: number): CsvReject {
  const span = lineCount === 1 ? "" : `, on ${lineCount} lines held together by quotes`;
  return rejectOf(line, text, `${fields.length} fields instead of ${columns}${span}`);
}

function rejectOf(line: number, text: string, reason: string): CsvReject {
  return { line, raw: withoutCr(text).slice(0, rawCharsMax), reason };
}

function inOrder({ rows, rejects }: CsvRecords, more: readonly CsvReject[]): CsvRecords {
  return { rows, rejects: [...rejects, ...more].toSorted((a, b) => a.line - b.line) };
}
