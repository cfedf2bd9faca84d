// Reads the list of a campaign: any CSV with a header row, of any size, as a stream. UTF-8 with or without BOM, LF or
// CRLF, fields in quotes, delimiter found out from the header. Gives rows in batches, and beside them the rows that are
// bad, each with its line and reason: a bad row never stops the reading, a header that cannot serve is an error.
// Does not judge addresses and does not look at what the fields say.

import { columnName, CsvHeaderError, DELIMITERS, findAddressColumn, readHeader, type CsvHeader } from "./csv-header.ts";
import { readLines, rowBytesMax, type Line, type LineBlock } from "./csv-lines.ts";
import { RecordReader, type CsvReject, type CsvRow } from "./csv-records.ts";

const batchRowsDefault = 5000;

export interface CsvBatch {
  readonly rows: readonly CsvRow[];
  readonly rejects: readonly CsvReject[];
  /** Octets of the file read so far, for progress. */
  readonly bytesRead: number;
}

export interface CsvList extends CsvHeader {
  readonly delimiter: string;
  /** To be read once, to its end or until it is left. */
  readonly batches: AsyncIterable<CsvBatch>;
}

/** Throws CsvHeaderError when the header cannot serve. */
export async function readCsvRows(
  input: AsyncIterable<Uint8Array>,
  batchRowsMax: number = batchRowsDefault,
): Promise<CsvList> {
  const blocks = readLines(input);
  try {
    const start = await readStart(blocks);
    refuseCrAlone(start.lines[0]);
    const { delimiter, lines } = findDelimiter(start.lines);
    const { records, rest } = new RecordReader(delimiter).readFirst(lines, true);
    const header = readHeader(headerFields(records.rows[0], records.rejects[0]));
    const batches = readBatches(blocks, { ...start, lines: rest }, delimiter, header.columns.length, batchRowsMax);
    return { ...header, delimiter, batches };
  } catch (error) {
    await blocks.return(undefined);
    throw error;
  }
}

interface Start extends LineBlock {
  readonly isLast: boolean;
}

/** Enough lines that the header is among them: a row may be as long as the limit, and all of it before its end. */
async function readStart(blocks: AsyncGenerator<LineBlock>): Promise<Start> {
  const lines: Line[] = [];
  let chars = 0;
  let bytesRead = 0;
  for (;;) {
    const { value, done } = await blocks.next();
    if (done === true) return { lines, bytesRead, isLast: true };
    bytesRead = value.bytesRead;
    for (const line of value.lines) {
      lines.push(line);
      chars += line.text.length + 1;
    }
    if (chars > rowBytesMax) return { lines, bytesRead, isLast: false };
  }
}

/** The delimiter under which the header has an address; of several, the one that gives the most columns. */
function findDelimiter(lines: readonly Line[]): { readonly delimiter: string; readonly lines: readonly Line[] } {
  // Spreadsheets may say it themselves, on a line before the header.
  const told = /^sep=([,;|\t])\r?$/i.exec(lines[0]?.text ?? "")?.[1];
  if (told !== undefined) return { delimiter: told, lines: lines.slice(1) };
  const ranked = DELIMITERS.map((delimiter) => {
    const [first] = new RecordReader(delimiter).readFirst(lines, true).records.rows;
    const names = first?.fields.map(columnName) ?? [];
    return { delimiter, hasAddress: Number(findAddressColumn(names) !== -1), columns: names.length };
  }).toSorted((a, b) => b.hasAddress - a.hasAddress || b.columns - a.columns);
  return { delimiter: ranked[0]!.delimiter, lines };
}

function headerFields(row: CsvRow | undefined, reject: CsvReject | undefined): readonly string[] {
  if (reject !== undefined) throw new CsvHeaderError(`the header of the list (line ${reject.line}): ${reject.reason}`);
  if (row === undefined) throw new CsvHeaderError("the list is empty: its first row has to name the columns");
  return row.fields;
}

/** Then the whole file is one line to us, and no message about that line would help. */
function refuseCrAlone(first: Line | undefined): void {
  if (first === undefined || first.text.includes('"') || !/\r[^]/.test(first.text)) return;
  throw new CsvHeaderError("the lines of the list end with CR alone; save it with LF or CRLF");
}

async function* readBatches(
  blocks: AsyncGenerator<LineBlock>,
  start: Start,
  delimiter: string,
  columns: number,
  batchRowsMax: number,
): AsyncGenerator<CsvBatch> {
  const reader = new RecordReader(delimiter);
  try {
    let block: LineBlock = start;
    for (let isLast = start.isLast; ;) {
      yield* inBatches(reader.read(block.lines, isLast, columns), block.bytesRead, batchRowsMax);
      if (isLast) return;
      const next = await blocks.next();
      isLast = next.done === true;
      block = next.done === true ? { lines: [], bytesRead: block.bytesRead } : next.value;
    }
  } finally {
    await blocks.return(undefined);
  }
}

/** Batches follow the blocks of the file, so that what is bad is reported beside its neighbours. */
function* inBatches(
  { rows, rejects }: { readonly rows: readonly CsvRow[]; readonly rejects: readonly CsvReject[] },
  bytesRead: number,
  batchRowsMax: number,
): Generator<CsvBatch> {
  if (rows.length === 0 && rejects.length > 0) yield { rows, rejects, bytesRead };
  for (let at = 0; at < rows.length; at += batchRowsMax) {
    yield { rows: rows.slice(at, at + batchRowsMax), rejects: at === 0 ? rejects : [], bytesRead };
  }
}
