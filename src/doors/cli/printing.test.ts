import assert from "node:assert/strict";
import { test } from "node:test";
import { countOf, number, printCount, printPerSecond, printSpan, printTable, printTime, text } from "./printing.ts";
import { describeProgress } from "./progress.ts";

test("counts have separators of thousands", () => {
  assert.deepEqual([0, 999, 1000, 1_234_567].map(printCount), ["0", "999", "1,000", "1,234,567"]);
  assert.deepEqual([countOf(1, "message"), countOf(2000, "message")], ["1 message", "2,000 messages"]);
});

test("spans are readable at every size", () => {
  const spans: readonly (readonly [number | null, string])[] = [
    [null, "–"],
    [0, "0 ms"],
    [4.24, "4.2 ms"],
    [999, "999 ms"],
    [1340, "1.3 s"],
    [59_400, "59 s"],
    [125_000, "2 min 5 s"],
    [7_200_000, "2 h"],
    [11_520_000, "3 h 12 min"],
    [86_400_000, "1 day"],
    [187_200_000, "2 days 4 h"],
  ];
  for (const [spanMs, printed] of spans) assert.equal(printSpan(spanMs), printed);
});

test("rates are whole from ten on", () => {
  assert.deepEqual([0, 0.04, 3.14, 12.6, 4012].map(printPerSecond), ["0", "0", "3.1", "13", "4,012"]);
});

test("times are UTC to the second", () => {
  assert.equal(printTime("2027-01-31T09:00:00.123Z"), "2027-01-31 09:00:00Z");
  assert.equal(printTime(null), "–");
});

test("tables align texts to the left and numbers to the right, and foreign text cannot steer the terminal", () => {
  const lines = printTable(
    [text("lane"), number("sent"), text("reply")],
    [
      ["bulk", "1,200", "ok"],
      ["transactional", "7", "\x1b[2Jgone"],
    ],
  );
  assert.deepEqual(lines, [
    "lane            sent  reply",
    "bulk           1,200  ok",
    "transactional      7  \u{fffd}[2Jgone",
  ]);
});

test("progress has a bar on a terminal, and a share only when the total is known", () => {
  assert.equal(describeProgress(1500, undefined, "row", true), "1,500 rows");
  assert.equal(describeProgress(1500, 0.5, "row", false), "50 %, 1,500 rows");
  assert.equal(describeProgress(1, 1.2, "row", true), `[${"#".repeat(30)}] 100 %, 1 row`);
});
