import assert from "node:assert/strict";
import { test } from "node:test";
import { createWaitingTimes } from "./waiting-times.ts";

function createAt(startMs = 5000) {
  let nowMs = startMs;
  const waiting = createWaitingTimes({
    monotonicMs: () => nowMs,
    wallMs: () => 0,
    after: () => ({ cancel() {} }),
    soon() {},
  });
  return { waiting, pass: (ms: number) => (nowMs += ms) };
}

function isAbout(actual: number | null, expected: number): boolean {
  return actual !== null && actual >= expected * 0.999 && actual <= expected * 1.1 + 0.1;
}

test("nothing waited, nothing is said", () => {
  const { waiting } = createAt();
  assert.deepEqual(waiting.lately(), { p50Ms: null, p99Ms: null, perS: 0 });
});

test("quantiles are right within a tenth, from a fraction of a millisecond to days", () => {
  for (const unit of [0.05, 1, 37, 1000, 3_600_000]) {
    const { waiting } = createAt();
    for (let n = 1; n <= 1000; n++) waiting.add(n * unit);
    const { p50Ms, p99Ms } = waiting.lately();
    assert.ok(isAbout(p50Ms, 500 * unit), `p50 ${p50Ms} of ${500 * unit}`);
    assert.ok(isAbout(p99Ms, 990 * unit), `p99 ${p99Ms} of ${990 * unit}`);
  }
});

test("no time at all, and a clock that went backwards, count as at once", () => {
  const { waiting } = createAt();
  waiting.add(0);
  waiting.add(-3);
  assert.deepEqual([waiting.lately().p50Ms, waiting.lately().p99Ms], [0.1, 0.1]);
});

test("the rate is of the last seconds, and what is long ago is forgotten", () => {
  const { waiting, pass } = createAt();
  for (let s = 0; s < 15; s++) {
    for (let n = 0; n < 20; n++) waiting.add(1000);
    pass(1000);
  }
  const { perS } = waiting.lately();
  assert.ok(perS > 18 && perS < 22, `${perS} a second`);
  pass(11_000);
  waiting.add(1);
  assert.ok(isAbout(waiting.lately().p50Ms, 1000));
  pass(11_000);
  assert.ok(isAbout(waiting.lately().p50Ms, 1));
  pass(21_000);
  assert.deepEqual(waiting.lately(), { p50Ms: null, p99Ms: null, perS: 0 });
});
