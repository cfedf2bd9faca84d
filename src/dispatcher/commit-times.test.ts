import assert from "node:assert/strict";
import { test } from "node:test";
import { createCommitTimes } from "./commit-times.ts";

test("the last look's mean, and the median of the looks", () => {
  const times = createCommitTimes();
  assert.deepEqual(times.turn(), { lastMs: null, usualMs: null, groupMean: null });
  times.add(2, 100);
  times.add(4, 300);
  assert.deepEqual(times.turn(), { lastMs: 3, usualMs: 3, groupMean: 200 });
  assert.deepEqual(times.turn(), { lastMs: null, usualMs: 3, groupMean: null });
  for (let look = 0; look < 40; look++) {
    times.add(look < 30 ? 10 : 500, 1);
    times.turn();
  }
  times.add(500, 1);
  assert.deepEqual(times.turn(), { lastMs: 500, usualMs: 10, groupMean: 1 });
});
