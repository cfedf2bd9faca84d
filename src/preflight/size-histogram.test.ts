import assert from "node:assert/strict";
import { test } from "node:test";
import { createSizeHistogram } from "./size-histogram.ts";

test("mean and maximum are exact, and the quantile to within 1 %", () => {
  const sizes = createSizeHistogram();
  assert.equal(sizes.summary(), null);
  for (let bytes = 1; bytes <= 100_000; bytes++) sizes.add(bytes);
  const { mean, p99, max } = sizes.summary()!;
  assert.equal(mean, 50_001);
  assert.equal(max, 100_000);
  assert.ok(Math.abs(p99 - 99_000) <= 990, String(p99));
});

test("one message is its own mean, quantile and maximum", () => {
  for (const bytes of [0, 1, 5000]) {
    const sizes = createSizeHistogram();
    sizes.add(bytes);
    assert.deepEqual(sizes.summary(), { mean: bytes, p99: bytes, max: bytes });
  }
});
