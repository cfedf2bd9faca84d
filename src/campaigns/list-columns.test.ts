// Columns and their types: what a cell of each becomes, which are refused and why, and files that are joined to a list.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { joinColumns, readCell, typeColumns, type Cell, type ColumnType, type ListColumn } from "./list-columns.ts";

type Type = ListColumn["type"];

describe("cells", () => {
  const good: readonly (readonly [Type, string, string])[] = [
    ["text", " two  words ", '"two  words"'],
    ["number", "0", "0"],
    ["number", "-12.50", "-12.50"],
    ["number", "+7", "7"],
    ["number", " 1234567890123456789012345678901 ", "1234567890123456789012345678901"],
    ["number", "0.000000000000000000000000000001", "0.000000000000000000000000000001"],
    ["date", "2028-02-29", '"2028-02-29"'],
    ["date", "2027-01-31T09:00:00Z", '"2027-01-31T09:00:00Z"'],
    ["date", "2027-01-31 09:00+01:00", '"2027-01-31 09:00+01:00"'],
    ["json", ' {"a": [1, 2.50, null]} ', '{"a": [1, 2.50, null]}'],
    ["json", "true", "true"],
    ["json", '"\\\\u0000"', '"\\\\u0000"'],
    ["locale", "pt-BR", '"pt-BR"'],
    ["time_zone", "Europe/Vienna", '"Europe/Vienna"'],
    ...(["number", "date", "json", "locale", "time_zone"] as const).map((type) => [type, " ", "null"] as const),
  ];
  for (const [type, text, json] of good) {
    it(`${type}: ${JSON.stringify(text)} is ${json}`, () => assert.deepEqual(readCell(type, text), { json }));
  }

  const bad: readonly (readonly [Type, string, RegExp])[] = [
    ["number", "1,5", /^"1,5" is not a number: write digits, with a point before decimals$/],
    ["number", "007", /is not a number/],
    ["number", "1e3", /is not a number/],
    ["number", ".5", /is not a number/],
    ["number", "NaN", /is not a number/],
    ["number", "9".repeat(50), /^"9{40}…" is not a number/],
    ["date", "31.01.2027", /^"31\.01\.2027" is not a date: write 2027-01-31, or 2027-01-31T09:00:00Z$/],
    ["date", "2027-02-29", /is not a date/],
    ["date", "2027-02-29T09:00:00Z", /is not a date/],
    ["date", "2027-01-31T09:00:00", /is not a date/],
    ["date", "2027-01-31T25:00:00Z", /is not a date/],
    ["json", "{a: 1}", /is not JSON/],
    ["json", `${"[".repeat(21)}${"]".repeat(21)}`, /nested deeper than 20 levels/],
    ["json", '"a\\u0000b"', /JSON holds a NUL/],
    ["locale", "not a locale", /"not a locale" is not a locale/],
    ["time_zone", "Europe/Atlantis", /"Europe\/Atlantis" is not a time zone/],
  ];
  for (const [type, text, problem] of bad) {
    it(`${type}: ${JSON.stringify(text.slice(0, 25))} is refused`, () => {
      const cell = readCell(type, text);
      assert.ok("problem" in cell, JSON.stringify(cell));
      assert.match(cell.problem, problem);
    });
  }

  it("are JSON that parses back, whatever the text and the type", () => {
    const types = fc.constantFrom<Type>("text", "number", "date", "json", "locale", "time_zone");
    const like = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.json(),
      fc.double().map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    );
    fc.assert(
      fc.property(types, like, (type, text) => {
        const cell = readCell(type, text);
        if ("problem" in cell) return;
        const value: unknown = JSON.parse(cell.json);
        const trimmed = text.trim();
        if (trimmed === "") assert.equal(value, null);
        else if (type === "number") assert.equal(value, Number(trimmed));
        else assert.deepEqual(value, type === "json" ? JSON.parse(trimmed) : trimmed);
      }),
    );
  });

  it("of numbers keep every digit", () => {
    const digits = fc.tuple(
      fc.boolean(),
      fc.bigInt({ min: 0n, max: 10n ** 31n - 1n }),
      fc.stringMatching(/^\d{0,30}$/),
    );
    fc.assert(
      fc.property(digits, ([isNegative, whole, decimals]) => {
        const text = `${isNegative ? "-" : ""}${whole}${decimals === "" ? "" : `.${decimals}`}`;
        assert.deepEqual(readCell("number", text), { json: text } satisfies Cell);
      }),
    );
  });
});

describe("the columns of a file", () => {
  const given = ["email", "points", "locale", "time_zone"].map((name) => ({ name, original: name.toUpperCase() }));

  it("have the type that was given, text otherwise; locale and time zone have their own", () => {
    const answer = typeColumns(given, 0, { points: "number" });
    assert.ok(answer.kind === "columns");
    assert.deepEqual(
      answer.columns.map(({ type, isAddress }) => [type, isAddress]),
      [
        ["text", true],
        ["number", false],
        ["locale", false],
        ["time_zone", false],
      ],
    );
  });

  const refused: readonly (readonly [Readonly<Record<string, ColumnType>>, RegExp])[] = [
    [{ ponts: "number" }, /^there is no column "ponts" to be of type number: email, points, locale, time_zone$/],
    [{ email: "json" }, /"email" holds the address/],
    [{ time_zone: "json" }, /"time_zone" has a type of its own/],
  ];
  for (const [types, problem] of refused) {
    it(`are refused for ${JSON.stringify(types)}`, () => {
      const answer = typeColumns(given, 0, types);
      assert.ok(answer.kind === "bad");
      assert.match(answer.problem, problem);
    });
  }
});

describe("a further file", () => {
  const columns = (
    names: readonly string[],
    types: Readonly<Record<string, ColumnType>> = {},
  ): readonly ListColumn[] => {
    const answer = typeColumns(
      names.map((name) => ({ name, original: name })),
      0,
      types,
    );
    assert.ok(answer.kind === "columns");
    return answer.columns;
  };
  const known = columns(["email", "points"], { points: "number" });

  it("has the list's types, and brings what is new behind what is there", () => {
    const joined = joinColumns(known, columns(["email", "town", "points"]), {});
    assert.ok(joined.kind === "joined");
    const told = (all: readonly ListColumn[]) => all.map(({ name, type }) => `${name}: ${type}`);
    assert.deepEqual(told(joined.columns), ["email: text", "town: text", "points: number"]);
    assert.deepEqual(told(joined.all), ["email: text", "points: number", "town: text"]);
  });

  it("cannot change a type, nor have the address elsewhere, nor make a list too wide", () => {
    const problems = [
      joinColumns(known, columns(["email", "points"], { points: "text" }), { points: "text" }),
      joinColumns(known, columns(["mail", "points"]), {}),
      joinColumns(known, columns(["email", ...Array.from({ length: 199 }, (_, n) => `c${n}`)]), {}),
    ].map((answer) => answer.kind === "bad" && answer.problem);
    assert.deepEqual(problems, [
      'the column "points" is of type number in the list: give no type for it, or name the column otherwise',
      'the address is in the column "mail", and in the list in "email": name it so',
      "the list would have 201 columns; at most 200 are possible",
    ]);
  });
});
