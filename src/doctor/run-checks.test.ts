import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../platform/clock.ts";
import { finding } from "./finding.ts";
import { looked, notMade, runChecks } from "./run-checks.ts";

test("a check that hangs, and one that fails, are findings and hold up no other", async () => {
  const found = finding("fsync_off", "fsync is off");
  const ends = await runChecks(
    [
      { name: "hangs", look: () => new Promise(() => {}) },
      { name: "fails", look: () => Promise.reject(new Error("no such table")) },
      { name: "works", look: () => Promise.resolve(looked([found])) },
      { name: "cannot", look: () => Promise.resolve(notMade("the database cannot be asked")) },
    ],
    systemClock,
    20,
  );
  assert.deepEqual(
    ends.map(({ state, findings }) => [state, findings.map(({ code }) => code as string)]),
    [
      ["late", ["check_late"]],
      ["failed", ["check_failed"]],
      ["looked", ["fsync_off"]],
      ["not_made", []],
    ],
  );
  assert.equal(ends[1]?.findings[0]?.found, "fails: no such table");
});
