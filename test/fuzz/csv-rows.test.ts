// The reader of lists over generated files: whatever is written is read back, in any segmentation; damage stays where
// it is; and whatever the octets, every line is accounted for. csv-parse, reading the whole file by itself, is the
// second opinion.

import assert from "node:assert/strict";
import { it } from "node:test";
import { parse } from "csv-parse/sync";
import fc from "fast-check";

import { CsvHeaderError } from "../../src/campaigns/csv-header.ts";
import { readLines, type Line } from "../../src/campaigns/csv-lines.ts";
import { RecordReader, type CsvReject, type CsvRow } from "../../src/campaigns/csv-records.ts";
import { readCsvRows } from "../../src/campaigns/csv-rows.ts";

const delimiter = fc.constantFrom(",", ";", "\t", "|");
const lineEnd = fc.constantFrom("\n", "\r\n");
const piece = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "grapheme", maxLength: 8 }) },
  fc.constantFrom('"', '""', ",", ";", "\t", "|", "\n", "\r\n", "\r", " ", "'", "\\"),
);
const field = fc.array(piece, { maxLength: 4 }).map((pieces) => pieces.join("").replaceAll("\0", ""));
const cuts = fc.array(fc.nat(), { maxLength: 6 });

interface Table {
  readonly rows: readonly (readonly string[])[];
  readonly columns: number;
}

const table: fc.Arbitrary<Table> = fc.integer({ min: 1, max: 5 }).chain((columns) =>
  fc.record({
    rows: fc.array(fc.array(field, { minLength: columns, maxLength: columns }), { maxLength: 12 }),
    columns: fc.constant(columns),
  }),
);

it("what is written is read back, with its lines, however it is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      table,
      delimiter,
      lineEnd,
      fc.boolean(),
      fc.boolean(),
      cuts,
      async (made, by, end, bom, all, at) => {
        const lines = [header(made.columns, by), ...made.rows.map((row) => write(row, by, all))];
        const file = Buffer.from((bom ? "\uFEFF" : "") + lines.join(end) + end);
        const list = await readAll(file, at);
        // With one column no delimiter shows, and any will do.
        if (made.columns > 1) assert.equal(list.delimiter, by);
        assert.deepEqual(list.rejects, []);
        assert.deepEqual(list.rows, withLines(made.rows, lines, end));
        const others = parse(file, { delimiter: by, record_delimiter: end, bom: true });
        assert.deepEqual(
          list.rows.map(({ fields }) => fields),
          others.slice(1),
        );
      },
    ),
    { numRuns: 300 },
  );
});

const damage = fc.constantFrom(
  Buffer.from('a,"open'),
  Buffer.from('a,5" disk'),
  Buffer.from('"a"b,c'),
  Buffer.from("too,many,fields,here"),
  Buffer.from("too few"),
  Buffer.from([0x61, 0x2c, 0xff, 0xfe]),
  Buffer.from("a,\0"),
);
const goodRow = fc
  .tuple(fc.integer(), fc.boolean())
  .map(([number, quoted]) =>
    Buffer.from(quoted ? `"p${number}@x.test","it is ""${number}"""` : `p${number}@x.test,${number}`),
  );

it("a damaged row costs no other row", async () => {
  const anyRow = fc.oneof(
    goodRow.map((bytes) => ({ bytes, isGood: true })),
    damage.map((bytes) => ({ bytes, isGood: false })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(anyRow, { maxLength: 30 }), lineEnd, cuts, async (rows, end, at) => {
      const file = Buffer.concat([
        Buffer.from("email,note"),
        ...rows.flatMap(({ bytes }) => [Buffer.from(end), bytes]),
      ]);
      const list = await readAll(file, at);
      const numbersOf = (isGood: boolean) => rows.flatMap((row, index) => (row.isGood === isGood ? [index + 2] : []));
      assert.deepEqual(
        list.rows.map(({ line }) => line),
        numbersOf(true),
      );
      assert.deepEqual(
        list.rejects.map(({ line }) => line),
        numbersOf(false),
      );
    }),
    { numRuns: 300 },
  );
});

const bit = fc.oneof(
  fc.constantFrom('"', '""', ",", "\n", "\r\n", "\r", '",', ',"', "a", "é", "\0").map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
);
const octets = fc.array(bit, { maxLength: 60 }).map((bits) => Buffer.concat(bits));

it("lines are the same however the octets are cut", async () => {
  await fc.assert(
    fc.asyncProperty(octets, cuts, async (file, at) => {
      assert.deepEqual(await linesOf(inPieces(file, at), 1), await linesOf(inPieces(file, []), 1));
    }),
    { numRuns: 500 },
  );
});

it("records are the same however the lines are handed in", async () => {
  await fc.assert(
    fc.asyncProperty(octets, cuts, async (file, at) => {
      const lines = await linesOf(inPieces(file, []), 1);
      const reader = new RecordReader(",");
      const places = [0, ...at.map((place) => place % (lines.length + 1)).toSorted((a, b) => a - b), lines.length];
      const parts = places
        .slice(0, -1)
        .map((from, index) => reader.read(lines.slice(from, places[index + 1]), false, 2));
      const last = reader.read([], true, 2);
      const whole = new RecordReader(",").read(lines, true, 2);
      assert.deepEqual(
        [...parts, last].flatMap(({ rows }) => rows),
        whole.rows,
      );
      assert.deepEqual(
        [...parts, last].flatMap(({ rejects }) => rejects),
        whole.rejects,
      );
    }),
    { numRuns: 500 },
  );
});

it("whatever the octets are, every line is a row, a reject, empty or part of the record before", async () => {
  await fc.assert(
    fc.asyncProperty(octets, cuts, async (body, at) => {
      const { rows, rejects } = await readAll(Buffer.concat([Buffer.from("email,b\n"), body]), at);
      const starts = [...rows, ...rejects].map(({ line }) => line).toSorted((a, b) => a - b);
      assert.equal(new Set(starts).size, starts.length);
      for (const { fields } of rows) assert.equal(fields.length, 2);
      const lines = body.toString("latin1").split("\n");
      const first = lines.findIndex((line) => line !== "" && line !== "\r");
      if (first !== -1) assert.equal(starts[0], first + 2);
      for (const line of starts) assert.ok(line >= 2 && line <= lines.length + 1);
    }),
    { numRuns: 1000 },
  );
});

it("a header of any octets is read or refused with a reason, never anything else", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), cuts, async (bytes, at) => {
      try {
        await readAll(Buffer.from(bytes), at);
      } catch (error) {
        assert.ok(error instanceof CsvHeaderError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

function header(columns: number, by: string): string {
  return ["email", "b", "c", "d", "e"].slice(0, columns).join(by);
}

/** Quotes what needs it, or everything; an only field that is empty would else be an empty line. */
function write(row: readonly string[], by: string, all: boolean): string {
  const needs = (text: string) => /[",;\t|\r\n\uFEFF]/.test(text) || (row.length === 1 && text === "");
  return row.map((text) => (all || needs(text) ? `"${text.replaceAll('"', '""')}"` : text)).join(by);
}

function withLines(rows: Table["rows"], written: readonly string[], end: string): readonly CsvRow[] {
  let line = 1;
  return rows.map((fields, index) => {
    line += `${written[index]}${end}`.split("\n").length - 1;
    return { line, fields };
  });
}

async function readAll(file: Buffer, at: readonly number[]) {
  const list = await readCsvRows(inPieces(file, at));
  const rows: CsvRow[] = [];
  const rejects: CsvReject[] = [];
  for await (const batch of list.batches) {
    rows.push(...batch.rows);
    rejects.push(...batch.rejects);
  }
  return { ...list, rows, rejects };
}

async function linesOf(input: AsyncIterable<Buffer>, blockBytesMin: number): Promise<readonly Line[]> {
  const lines: Line[] = [];
  for await (const block of readLines(input, blockBytesMin)) lines.push(...block.lines);
  return lines;
}

async function* inPieces(file: Buffer, at: readonly number[]): AsyncGenerator<Buffer> {
  const places = [0, ...at.map((place) => place % (file.length + 1)).toSorted((a, b) => a - b), file.length];
  for (const [index, from] of places.slice(0, -1).entries()) yield file.subarray(from, places[index + 1]);
}
