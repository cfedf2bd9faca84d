import assert from "node:assert/strict";
import { test } from "node:test";
import { createHourMedian } from "./hour-median.ts";

test("nothing was measured yet", () => assert.equal(createHourMedian().median(), undefined));

test("the median is the middle one, and the lower of two", () => {
  const hour = createHourMedian();
  for (const value of [9, 1, 5]) hour.add(value);
  assert.equal(hour.median(), 5);
  hour.add(2);
  assert.equal(hour.median(), 2);
});

test("what is older than the hour is forgotten", () => {
  const hour = createHourMedian(3);
  for (const value of [100, 100, 100, 1, 1, 1]) hour.add(value);
  assert.equal(hour.median(), 1);
});
