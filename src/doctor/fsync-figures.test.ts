import assert from "node:assert/strict";
import { test } from "node:test";
import { figuresOf } from "./fsync-figures.ts";

test("percentiles and rate of a hundred fsyncs", () => {
  const latencies = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.deepEqual(figuresOf(latencies, 5050), {
    per_s: 19.802,
    p50_ms: 51,
    p95_ms: 96,
    p99_ms: 100,
    max_ms: 100,
    fsyncs: 100,
  });
});

test("one alone is all percentiles", () => {
  assert.deepEqual(figuresOf([2.5], 2.5), {
    per_s: 400,
    p50_ms: 2.5,
    p95_ms: 2.5,
    p99_ms: 2.5,
    max_ms: 2.5,
    fsyncs: 1,
  });
});

test("none is nothing", () => assert.equal(figuresOf([], 1000), undefined));
