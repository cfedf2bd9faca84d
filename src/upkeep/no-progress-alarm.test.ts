// When alarms begin, grow and end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createAlarmWatch, createUnaccountedWatch } from "./alarm.ts";
import type { LaneProgress } from "./upkeep-store.ts";

const ALARM_MS = 60_000;
const lane = (changes: Partial<LaneProgress>): readonly LaneProgress[] => [
  { lane: "bulk", is_paused: false, queued: 5, dispatchers: 1, settled_ms_ago: 10, ...changes },
];

test("backlog and nothing settled for so long raises the alarm, once, and movement takes it back", () => {
  const watch = createAlarmWatch(ALARM_MS);
  const raised = [0, 30_000, 59_000, 60_000, 61_000].map(
    (atMs) => watch.look(lane({ settled_ms_ago: atMs }), 1_000_000 + atMs).length,
  );
  assert.deepEqual(raised, [0, 0, 0, 1, 0]);
  const [end] = watch.look(lane({ settled_ms_ago: 3 }), 1_070_000);
  assert.equal(end!.isRaised, false);
});

test("a message that comes after a long quiet time is given its minute", () => {
  const watch = createAlarmWatch(ALARM_MS);
  assert.deepEqual(watch.look(lane({ queued: 0, settled_ms_ago: 3_600_000 }), 5_000_000), []);
  assert.deepEqual(watch.look(lane({ queued: 1, settled_ms_ago: 3_601_000 }), 5_001_000), []);
  assert.equal(watch.look(lane({ queued: 1, settled_ms_ago: 3_660_000 }), 5_060_000).length, 1);
});

test("a paused lane rings only a minute after it goes on", () => {
  const watch = createAlarmWatch(ALARM_MS);
  assert.deepEqual(watch.look(lane({ is_paused: true, settled_ms_ago: 90_000 }), 1000), []);
  assert.deepEqual(watch.look(lane({ settled_ms_ago: 91_000 }), 2000), []);
  assert.equal(watch.look(lane({ settled_ms_ago: 150_000 }), 61_000).length, 1);
});

test("who begins to watch a lane that has been stuck for long rings at once", () => {
  const [alarm] = createAlarmWatch(ALARM_MS).look(lane({ dispatchers: 1, settled_ms_ago: 600_000 }), 7000);
  assert.match(alarm!.detail, /5 messages wait in lane bulk and none was settled for 60 s/);
});

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
