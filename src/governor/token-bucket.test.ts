import assert from "node:assert/strict";
import { test } from "node:test";
import { createBucket, type Bucket } from "./token-bucket.ts";

/** Starts taken between two instants by somebody who looks every so often. */
function takeAll(bucket: Bucket, fromMs: number, toMs: number, stepMs: number): number {
  let taken = 0;
  for (let nowMs = fromMs; nowMs < toMs; nowMs += stepMs) while (bucket.take(nowMs)) taken += 1;
  return taken;
}

test("a pace is kept, slow or fast, however often one looks", () => {
  for (const pace of [0.5, 3, 97, 15_000]) {
    for (const stepMs of [1, 7, 50]) {
      const bucket = createBucket();
      bucket.refill(pace, 0);
      const taken = takeAll(bucket, 0, 60_000, stepMs);
      assert.ok(Math.abs(taken - pace * 60) <= pace * 0.1 + 1.01, `${pace}/s, every ${stepMs} ms: ${taken}`);
    }
  }
});

test("after an idle time one and a tenth of a second's pace may start at once", () => {
  for (const [pace, burst] of [
    [0.5, 1],
    [100, 11],
    [15_000, 1501],
  ] as const) {
    const bucket = createBucket();
    bucket.refill(pace, 0);
    assert.equal(takeAll(bucket, 3_600_000, 3_600_001, 1), burst);
  }
});

test("zero starts nothing, and says that it never will; no limit always starts", () => {
  const bucket = createBucket();
  bucket.refill(0, 0);
  assert.equal(bucket.take(1e9), false);
  assert.equal(bucket.nextAtMs(), Infinity);
  bucket.refill(Infinity, 1e9);
  for (let n = 0; n < 10_000; n++) assert.ok(bucket.take(1e9));
  assert.equal(bucket.nextAtMs(), 1e9);
  for (const nonsense of [Number.NaN, -1]) {
    bucket.refill(nonsense, 1e9);
    assert.equal(bucket.take(2e9), false);
  }
});

test("it says when the next one is there, and then it is", () => {
  const bucket = createBucket();
  for (const pace of [0.3, 7, 333]) {
    bucket.refill(pace, 0);
    while (bucket.take(0));
    for (let n = 0; n < 100; n++) {
      const nextAt = bucket.nextAtMs();
      assert.equal(bucket.take(nextAt - 0.01), false);
      assert.equal(bucket.take(nextAt), true);
    }
  }
});

test("a new pace counts from its own moment on, and time that goes back changes nothing", () => {
  const bucket = createBucket();
  bucket.refill(1000, 0);
  while (bucket.take(0));
  bucket.refill(1, 10);
  assert.equal(takeAll(bucket, 10, 11, 1), 1, "what 10 ms at 1,000/s brought is cut to a burst of the new pace");
  assert.equal(bucket.take(5), false);
  bucket.refill(0, 12);
  bucket.refill(1000, 10_000);
  assert.equal(takeAll(bucket, 10_000, 10_001, 1), 0, "nothing came in while the pace was zero");
});
