import assert from "node:assert/strict";
import { test } from "node:test";
import {
  parseDuration,
  parseRate,
  parseSize,
  printDuration,
  printRate,
  printSize,
  QUANTITY_CHARS_MAX,
  type Quantity,
} from "./quantities.ts";

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

function readAll(parse: (text: string) => Quantity, expected: Readonly<Record<string, number>>): void {
  for (const [text, value] of Object.entries(expected)) {
    assert.deepEqual(parse(text), { kind: "quantity", value }, text);
  }
}

function refuseAll(parse: (text: string) => Quantity, texts: readonly string[], pattern: RegExp): void {
  for (const text of texts) {
    const quantity = parse(text);
    assert.ok(quantity.kind === "refused", `${text} was read as ${JSON.stringify(quantity)}`);
    assert.match(quantity.problem, pattern);
  }
}

test("durations are read with any usual unit, spaced or not, and in parts", () => {
  readAll(parseDuration, {
    "3 days": 3 * DAY,
    "15s": 15 * SECOND,
    "1 min": 60 * SECOND,
    "1.5 hours": 1.5 * HOUR,
    "1 h 30 min": 1.5 * HOUR,
    "250 ms": 250,
    " 2 Weeks ": 14 * DAY,
    "0.3 s": 300,
    "10,000 ms": 10_000,
    "0 s": 0,
  });
});

test("what is not clearly a duration is refused, with an example of one", () => {
  const texts = [
    "",
    "3",
    "days",
    "3 fortnights",
    "1 month",
    "-1 s",
    "1,5 h",
    "1..5 s",
    "3 days and more",
    "1e3 s",
    "٣ s",
  ];
  refuseAll(parseDuration, [...texts, `${" ".repeat(QUANTITY_CHARS_MAX)}1 s`], /a duration such as "15 s"/);
  refuseAll(parseDuration, ["0.0001 s", "9007199254740993 days"], /whole milliseconds/);
});

test("rates become a number per second", () => {
  readAll(parseRate, {
    "100/s": 100,
    "10,000/hr": 10_000 / 3600,
    "30 per minute": 0.5,
    "86,400 / day": 1,
    "0.5/s": 0.5,
  });
  refuseAll(
    parseRate,
    ["", "100", "100/", "/s", "100/fortnight", "fast", "10,00/hr", "1 s"],
    /a rate such as "100\/s"/,
  );
});

test("sizes know thousands from 1,024s", () => {
  readAll(parseSize, { "10 MB": 10_000_000, "10 MiB": 10_485_760, "512 bytes": 512, "1.5KB": 1500, "2 gib": 2 ** 31 });
  refuseAll(parseSize, ["", "10", "10 M", "MB", "1 MB 2 KB", "-1 MB"], /a size such as "512 KB"/);
  refuseAll(parseSize, ["0.5 B"], /whole bytes/);
});

test("quantities are printed as people write them", () => {
  assert.deepEqual([0, 250, 15_000, 90_000, DAY, 7 * DAY].map(printDuration), [
    "0 s",
    "250 ms",
    "15 s",
    "1 min 30 s",
    "1 day",
    "7 days",
  ]);
  assert.deepEqual([0, 100, 10_000 / 3600, 0.5, 1234.56789123, 1 / 7, 1e-9, Infinity].map(printRate), [
    "0/s",
    "100/s",
    "10,000/hr",
    "30/min",
    "1,235/s",
    "8.57/min",
    "0.0000864/day",
    "unlimited",
  ]);
  assert.deepEqual([0, 999, 1500, 10_000_000, 10_485_760].map(printSize), [
    "0 B",
    "999 B",
    "1,500 B",
    "10 MB",
    "10 MiB",
  ]);
});
