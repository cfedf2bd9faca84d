import assert from "node:assert/strict";
import { test } from "node:test";
import { createCommitTimes } from "./commit-times.ts";

test("the last look's mean, and the median of the looks", () => {
  const times = createCommitTimes();
  assert.deepEqual(times.turn(), { lastMs: null, usualMs: null });
  times.add(2);
  times.add(4);
  assert.deepEqual(times.turn(), { lastMs: 3, usualMs: 3 });
  assert.deepEqual(times.turn(), { lastMs: null, usualMs: 3 });
  for (let look = 0; look < 40; look++) {
    times.add(look < 30 ? 10 : 500);
    times.turn();
  }
  times.add(500);
  assert.deepEqual(times.turn(), { lastMs: 500, usualMs: 10 });
});
