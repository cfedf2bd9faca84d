// How many messages are made now: by a table, and by what must hold whatever the figures are.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AHEAD_ROWS, CHUNK_ROWS, feedingOf } from "./feed-policy.ts";
import type { FeedState } from "./feed-store.ts";

const STATE: FeedState = {
  lane_is_full: false,
  made: 0,
  due: 1_000_000,
  waiting: 0,
  pace_per_s: null,
  pace_left: 0,
  fed_ms_ago: null,
  rows_max: null,
};
const LONG_AGO_MS = 60_000;

test("the smallest bound holds", () => {
  const cases: readonly (readonly [string, Partial<FeedState>, msSinceLast: number, rows: number])[] = [
    ["nothing holds it", {}, LONG_AGO_MS, CHUNK_ROWS],
    ["the first chunk of all", {}, Infinity, CHUNK_ROWS],
    ["nobody is due", { due: 0 }, LONG_AGO_MS, 0],
    ["a few are due", { due: 7 }, LONG_AGO_MS, 7],
    ["a full lane", { lane_is_full: true }, LONG_AGO_MS, 0],
    ["enough wait", { waiting: AHEAD_ROWS }, 999, 0],
    ["enough wait, for a second", { waiting: AHEAD_ROWS }, 1000, CHUNK_ROWS],
    ["almost enough wait", { waiting: AHEAD_ROWS - 1 }, 0, CHUNK_ROWS],
    ["the canary's first", { rows_max: 150 }, LONG_AGO_MS, 150],
    ["the canary's rest", { rows_max: 150, made: 149 }, LONG_AGO_MS, 1],
    ["the canary is made", { rows_max: 150, made: 150 }, LONG_AGO_MS, 0],
    ["a pace begins with one", { pace_per_s: 100 }, LONG_AGO_MS, 1],
    ["a pace by time", { pace_per_s: 100, fed_ms_ago: 500 }, LONG_AGO_MS, 50],
    ["a pace by time and what was left", { pace_per_s: 100, pace_left: 0.75, fed_ms_ago: 503 }, LONG_AGO_MS, 51],
    ["a slow pace waits for a whole one", { pace_per_s: 1 / 60, fed_ms_ago: 59_000 }, LONG_AGO_MS, 0],
    ["a slow pace makes one", { pace_per_s: 1 / 60, fed_ms_ago: 60_000 }, LONG_AGO_MS, 1],
    ["a slow pace saves no second one", { pace_per_s: 1 / 60, fed_ms_ago: 3_600_000 }, LONG_AGO_MS, 1],
    ["a slow pace while one waits", { pace_per_s: 1 / 60, fed_ms_ago: 60_000, waiting: 1 }, LONG_AGO_MS, 0],
    ["ten seconds are saved", { pace_per_s: 100, fed_ms_ago: 3_600_000 }, LONG_AGO_MS, 1000],
    ["fifty seconds' worth waits", { pace_per_s: 100, fed_ms_ago: 10_000, waiting: 5000 }, LONG_AGO_MS, 0],
    ["almost as much waits", { pace_per_s: 100, fed_ms_ago: 10_000, waiting: 4990 }, LONG_AGO_MS, 10],
    ["a clock that was set back", { pace_per_s: 100, pace_left: 3, fed_ms_ago: -5000 }, LONG_AGO_MS, 3],
  ];
  for (const [name, state, msSinceLast, rows] of cases) {
    assert.equal(feedingOf({ ...STATE, ...state }, msSinceLast).rows, rows, name);
  }
});

test("never more than is due, than a chunk, than the canary and the pace permit, and never less than none", () => {
  const count = fc.nat({ max: 2_000_000 });
  const some = fc.double({ min: 0.00001, max: 100_000, noNaN: true });
  const state = fc.record({
    lane_is_full: fc.boolean(),
    made: count,
    due: count,
    waiting: count,
    pace_per_s: fc.option(some),
    pace_left: fc.double({ min: 0, max: 1_000_000, noNaN: true }),
    fed_ms_ago: fc.option(fc.double({ min: -1000, max: 1e9, noNaN: true })),
    rows_max: fc.option(count),
  });
  fc.assert(
    fc.property(state, fc.nat({ max: 5000 }), (given, msSinceLast) => {
      const { rows, bucket } = feedingOf(given, msSinceLast);
      assert.ok(Number.isInteger(rows) && rows >= 0);
      assert.ok(rows <= given.due && rows <= CHUNK_ROWS);
      if (given.lane_is_full) assert.equal(rows, 0);
      if (given.rows_max !== null) assert.ok(rows <= Math.max(0, given.rows_max - given.made));
      if (given.pace_per_s === null) return;
      assert.ok(rows <= bucket && bucket <= Math.max(1, given.pace_per_s * 10));
      assert.ok(rows === 0 || rows + given.waiting <= Math.max(1, given.pace_per_s * 50));
    }),
  );
});

/** Looks every 100 ms; `takes`: how many of those that wait are sent until the next look. */
function simulate(pacePerS: number, seconds: number, takes: (second: number) => number) {
  const state = { ...STATE, pace_per_s: pacePerS };
  const made: number[] = [];
  let [waiting, left, fedAtMs] = [0, 0, null as number | null];
  let sent = 0;
  const sentBySecond: number[] = [];
  for (let nowMs = 0; nowMs < seconds * 1000; nowMs += 100) {
    const fed_ms_ago = fedAtMs === null ? null : nowMs - fedAtMs;
    const { rows, bucket } = feedingOf({ ...state, waiting, pace_left: left, fed_ms_ago }, 100);
    if (rows > 0) [left, fedAtMs] = [bucket - rows, nowMs];
    made.push(rows);
    const going = Math.min(waiting + rows, takes(nowMs / 1000));
    waiting += rows - going;
    sent += going;
    const second = Math.floor(nowMs / 1000);
    sentBySecond[second] = (sentBySecond[second] ?? 0) + going;
  }
  return { made: made.reduce((sum, rows) => sum + rows, 0), sent, waiting, sentBySecond };
}

test("over hours a pace is kept, but for one bucket", () => {
  for (const pacePerS of [0.01, 0.3, 1, 7.3, 13.888, 100, 999]) {
    const { made } = simulate(pacePerS, 3 * 3600, () => Infinity);
    const wanted = pacePerS * 3 * 3600;
    const bucket = Math.max(1, pacePerS * 10);
    assert.ok(Math.abs(made - wanted) <= bucket + 1, `${pacePerS}/s: ${made} of ${wanted}`);
  }
});

test("after the relay has stood still for an hour, no more than a minute's worth goes at once", () => {
  const { sentBySecond, sent } = simulate(10, 7300, (second) => (second >= 60 && second < 3660 ? 0 : Infinity));
  const burst = sentBySecond[3660]!;
  assert.ok(burst <= 10 * 60 + 10 && burst > 400, `${burst} in the first second`);
  assert.ok(Math.max(...sentBySecond.slice(3661)) <= 11, "and then its pace");
  assert.ok(sent < 10 * (7300 - 3600) + 700, `${sent} in all: what was missed is not caught up with`);
});

test("after a pause of an hour, no more than ten seconds' worth is made at once", () => {
  assert.equal(feedingOf({ ...STATE, pace_per_s: 10, fed_ms_ago: 3_600_000 }, Infinity).rows, 100);
});
