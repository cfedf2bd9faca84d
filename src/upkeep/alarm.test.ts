// When the alarms of hand-overs that nobody confirmed begin, grow and end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createUnaccountedWatch } from "./alarm.ts";

test("hand-overs that nobody confirmed: told when there are some, again when there are ten times more, and at the end", () => {
  const watch = createUnaccountedWatch();
  const look = (...counts: readonly (readonly [outlet: string, n: number])[]): readonly string[] =>
    watch
      .look(counts.map(([outlet, n]) => ({ outlet, n })))
      .map(
        (alarm) => `${"outlet" in alarm ? alarm.outlet : ""} ${alarm.isRaised ? alarm.detail.split(" ")[0] : "ends"}`,
      );
  assert.deepEqual(look(), []);
  assert.deepEqual(look(["news", 2]), ["news 2"]);
  assert.deepEqual(look(["news", 2], ["other", 1]), ["other 1"]);
  assert.deepEqual(look(["news", 19], ["other", 1]), []);
  assert.deepEqual(look(["news", 20], ["other", 1]), ["news 20"]);
  assert.deepEqual(look(["news", 5]), ["other ends"]);
  assert.deepEqual(look(), ["news ends"]);
  assert.deepEqual(look(["news", 1]), ["news 1"]);
});
