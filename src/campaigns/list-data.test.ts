// Data of one recipient as JSON: by the rules of a file's cells, whatever is sent.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ListColumn } from "./list-columns.ts";
import { emptyListData, readListData } from "./list-data.ts";

const TYPES = { email: "text", name: "text", visits: "number", born: "date", tags: "json", locale: "locale" } as const;
const COLUMNS: readonly ListColumn[] = Object.entries(TYPES).map(([name, type]) => ({
  name,
  original: name,
  type,
  isAddress: name === "email",
}));

const cases: readonly (readonly [given: object, json: string | RegExp])[] = [
  [{}, "{}"],
  [{ name: " Ann ", visits: 7, tags: null }, '{"name":" Ann ","visits":7,"tags":null}'],
  [{ visits: "1.50", name: null, born: "" }, '{"visits":1.50,"name":"","born":null}'],
  [{ tags: { a: [1, "x"] } }, '{"tags":{"a":[1,"x"]}}'],
  [{ visits: 1e30 }, /visits: "1e\+30" is not a number/],
  [{ visits: true }, /visits: a number is/],
  [{ born: 2000 }, /born: a date is a JSON string/],
  [{ locale: "??" }, /locale/],
  [{ email: "a@example.com" }, /is the address/],
  [{ constructor: 1 }, /no column "constructor"/],
];

for (const [given, expected] of cases) {
  test(`${JSON.stringify(given)} is ${expected instanceof RegExp ? "refused" : "taken"}`, () => {
    const read = readListData(COLUMNS, given as Readonly<Record<string, unknown>>);
    if (typeof expected === "string") assert.deepEqual(read, { kind: "data", json: expected });
    else assert.match(read.kind === "bad" ? read.problem : "", expected);
  });
}

test("whatever is taken is JSON of the list's columns, and no other", () => {
  const given = fc.dictionary(fc.constantFrom(...Object.keys(TYPES), "other", "__proto__"), fc.jsonValue());
  fc.assert(
    fc.property(given, (data) => {
      const read = readListData(COLUMNS, data);
      if (read.kind === "bad") return;
      assert.deepEqual(Object.keys(JSON.parse(read.json) as object).toSorted(), Object.keys(data).toSorted());
    }),
    { numRuns: 2000 },
  );
});

test("of whom nothing is known there is what a row with empty cells has", () => {
  assert.deepEqual(JSON.parse(emptyListData(COLUMNS, "a@example.com")), {
    email: "a@example.com",
    name: "",
    visits: null,
    born: null,
    tags: null,
    locale: null,
  });
});
