// The reader of lists on what spreadsheets and databases write, and on what they should not.

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";

import { columnName, CsvHeaderError } from "./csv-header.ts";
import { rowBytesMax } from "./csv-lines.ts";
import type { CsvReject, CsvRow } from "./csv-records.ts";
import { readCsvRows } from "./csv-rows.ts";

describe("rows", () => {
  it("come with the line on which they start, also when quotes hold line breaks", async () => {
    const { rows } = await readAll('email,note\na@x.test,"two\nlines"\n\nb@x.test,"a ""word"""\n');
    assert.deepEqual(rows, [
      { line: 2, fields: ["a@x.test", "two\nlines"] },
      { line: 5, fields: ["b@x.test", 'a "word"'] },
    ]);
  });

  it("keep a CRLF inside quotes, and lose the one that ends them", async () => {
    const { rows } = await readAll('email,note\r\na@x.test,"two\r\nlines"\r\nb@x.test,plain\r\n"c@x.test",""');
    assert.deepEqual(
      rows.map(({ fields }) => fields),
      [
        ["a@x.test", "two\r\nlines"],
        ["b@x.test", "plain"],
        ["c@x.test", ""],
      ],
    );
  });

  it("are found behind a BOM", async () => {
    const list = await readAll("\uFEFFemail\na@x.test");
    assert.equal(list.columns[0]?.name, "email");
    assert.deepEqual(list.rows, [{ line: 2, fields: ["a@x.test"] }]);
  });

  it("come in batches of at most what was asked for", async () => {
    const text = `email\n${Array.from({ length: 25 }, (_, index) => `a${index}@x.test`).join("\n")}`;
    const { batches } = await readCsvRows(Readable.from([Buffer.from(text)]), 10);
    const sizes: number[] = [];
    for await (const { rows, bytesRead } of batches) {
      sizes.push(rows.length);
      assert.equal(bytesRead, Buffer.byteLength(text));
    }
    assert.deepEqual(sizes, [10, 10, 5]);
  });
});

describe("the delimiter", () => {
  const files = {
    ",": "name,email\nA,a@x",
    ";": "name;email\nA, B;a@x",
    "\t": "name\temail\nA\ta@x",
    "|": "name|email\nA|a@x",
  };
  for (const [delimiter, text] of Object.entries(files)) {
    it(`is found out: ${JSON.stringify(delimiter)}`, async () => {
      const list = await readAll(text);
      assert.equal(list.delimiter, delimiter);
      assert.equal(list.rows[0]?.fields[1], "a@x");
    });
  }

  it("is the one under which there is an address, not the commonest character", async () => {
    const list = await readAll("email;Town, street, number;Name\na@x;Berlin, Am Ufer, 3;Ada\n");
    assert.equal(list.delimiter, ";");
    assert.equal(list.columns.length, 3);
  });

  it("may be told by the file itself", async () => {
    const list = await readAll("sep=|\r\nemail|a,b\r\na@x|1\r\n");
    assert.deepEqual([list.delimiter, list.rows], ["|", [{ line: 3, fields: ["a@x", "1"] }]]);
  });
});

describe("a bad row is a reject with its line, and the rows around it are read", () => {
  const cases: readonly { name: string; bad: Buffer | string; reason: RegExp }[] = [
    { name: "too few fields", bad: "b@x.test", reason: /^1 fields instead of 2$/ },
    { name: "too many fields", bad: "b@x.test,B,C", reason: /^3 fields instead of 2$/ },
    { name: "a quote inside a field without quotes", bad: 'b@x.test,5" disk', reason: /quote where none may be/ },
    { name: "text behind a closing quote", bad: 'b@x.test,"B"C', reason: /quote where none may be/ },
    { name: "an open quote", bad: 'b@x.test,"B', reason: /opened and not closed/ },
    { name: "octets that are not UTF-8", bad: Buffer.from([0x62, 0x40, 0x78, 0x2c, 0xe9]), reason: /not valid UTF-8/ },
    { name: "a NUL", bad: "b@x.test,\0", reason: /holds a NUL/ },
    { name: "a row over the limit", bad: `b@x.test,${"x".repeat(rowBytesMax)}`, reason: /longer than 65536 octets/ },
  ];
  for (const { name, bad, reason } of cases) {
    it(name, async () => {
      const before = Buffer.from('email,name\na@x.test,"A"\n');
      const after = Buffer.from('\nc@x.test,"C"\nd@x.test,D\n');
      const { rows, rejects } = await readAll(Buffer.concat([before, Buffer.from(bad), after]));
      assert.deepEqual(
        rows.map(({ line, fields }) => [line, ...fields]),
        [
          [2, "a@x.test", "A"],
          [4, "c@x.test", "C"],
          [5, "d@x.test", "D"],
        ],
      );
      assert.equal(rejects.length, 1);
      assert.equal(rejects[0]?.line, 3);
      assert.match(rejects[0]?.reason ?? "", reason);
      assert.ok((rejects[0]?.raw.length ?? 0) <= 500 && rejects[0]?.raw.startsWith("b@x"));
    });
  }

  it("a row that quotes hold together says over how many lines", async () => {
    const { rejects } = await readAll('email,name\n"a@x.test\nand more"\n');
    assert.deepEqual(rejects, [
      { line: 2, raw: '"a@x.test\nand more"', reason: "1 fields instead of 2, on 2 lines held together by quotes" },
    ]);
  });

  it("an open quote costs no row behind it, however far the next quote is", async () => {
    const good = Array.from({ length: 20_000 }, (_, index) => `a${index}@x.test,Name ${index}`);
    const { rows, rejects } = await readAll(["email,name", 'b@x.test,"B', ...good, 'c@x.test,"C"'].join("\n"));
    assert.equal(rows.length, good.length + 1);
    assert.deepEqual(
      rejects.map(({ line }) => line),
      [2],
    );
  });

  it("a line without an end is cut, reported once, and the next one read", async () => {
    const long = Array.from({ length: 40 }, () => Buffer.alloc(100_000, "x"));
    const { rows, rejects } = await readAll([Buffer.from("email\n"), ...long, Buffer.from("\na@x.test\n")]);
    assert.deepEqual(rows, [{ line: 3, fields: ["a@x.test"] }]);
    assert.deepEqual(
      rejects.map(({ line }) => line),
      [2],
    );
  });
});

describe("the header", () => {
  it("gives names that a template can use, and keeps the file's own", async () => {
    const { columns, addressColumn } = await readAll("First Name,E-Mail,customerID,2nd line,Straße\nA,a@x,1,2,3\n");
    assert.deepEqual(
      columns.map(({ name }) => name),
      ["first_name", "e_mail", "customer_id", "_2nd_line", "straße"],
    );
    assert.equal(columns[1]?.original, "E-Mail");
    assert.equal(addressColumn, 1);
  });

  for (const name of ["email", "E-Mail", "EMAIL", "Email Address", " mail ", "e_mail", "eMail"]) {
    it(`finds the address in "${name}"`, async () => {
      assert.equal((await readAll(`name,${name}\nA,a@x\n`)).addressColumn, 1);
    });
  }

  const errors: Readonly<Record<string, readonly [text: string, message: RegExp]>> = {
    "an empty file": ["", /the list is empty/],
    "only empty lines": ["\n\r\n\n", /the list is empty/],
    "no address": ["name,town\nA,B\n", /no column .* columns found: name, town/],
    "two columns of one name": ["email,First Name,first_name\n", /named first_name: "First Name" and "first_name"/],
    "a column without a name": ["email,,name\n", /column 2 .* no name .* email, \(no name\), name/],
    "too many columns": [`email${",a".repeat(200)}\n`, /201 columns; at most 200/],
    "a broken quote": ['email,"name\na@x,b\n', /line 1\): a quote is opened and not closed/],
    "lines that end with CR": ["email,name\ra@x,A\r", /CR alone/],
  };
  for (const [name, [text, message]] of Object.entries(errors)) {
    it(`is refused: ${name}`, async () => {
      await assert.rejects(readAll(text), (error) => error instanceof CsvHeaderError && message.test(error.message));
    });
  }

  it("never names a column like a part of the language", () => {
    assert.equal(columnName("__proto__"), "proto");
    for (const zone of ["Time zone", "timeZone", "Timezone", "TIMEZONE", "TZ", "tz"])
      assert.equal(columnName(zone), "time_zone");
  });
});

it("a list that is left early closes its stream", async () => {
  const stream = Readable.from(endless());
  const { batches } = await readCsvRows(stream, 10);
  for await (const { rows } of batches) {
    assert.equal(rows.length, 10);
    break;
  }
  assert.equal(stream.destroyed, true);
});

function* endless(): Generator<Buffer> {
  yield Buffer.from("email\n");
  for (;;) yield Buffer.from("a@x.test\n".repeat(1000));
}

async function readAll(content: string | Buffer | readonly Buffer[]) {
  const chunks = typeof content === "string" || Buffer.isBuffer(content) ? [Buffer.from(content)] : content;
  const list = await readCsvRows(Readable.from(chunks));
  const rows: CsvRow[] = [];
  const rejects: CsvReject[] = [];
  for await (const batch of list.batches) {
    rows.push(...batch.rows);
    rejects.push(...batch.rejects);
  }
  return { ...list, rows, rejects };
}
