import assert from "node:assert/strict";
import { test } from "node:test";
import { drainPerS, fastPerS, knownForS, learnDrain, suspectedPerS, type DrainState } from "./drain-estimate.ts";

function learn(state: DrainState | undefined, ...drained: readonly number[]): DrainState {
  return drained.reduce<DrainState | undefined>(
    (known, each) => learnDrain(known, { s: 1, drained: each, errorSquare: 25 }),
    state,
  )!;
}
const many = (drained: number, seconds: number): readonly number[] =>
  Array.from({ length: seconds }, (_, s) => drained + ((s % 3) - 1) * 9);

test("the mean of what was seen, in a memory of about a minute", () => {
  const state = learn(undefined, ...many(100, 300));
  assert.ok(Math.abs(drainPerS(state) - 100) < 1);
  assert.ok(knownForS(state) > 60 && knownForS(state) <= 68);
  assert.ok(state.recent.length <= 8, "the state stays small");
});

test("what noise explains moves it little", () => {
  const state = learn(undefined, ...many(100, 60));
  assert.ok(Math.abs(drainPerS(learn(state, 75, 130)) - 100) < 2);
});

test("a change forgets what was before, and the reading that saw both", () => {
  const before = learn(undefined, ...many(100, 60));
  assert.equal(drainPerS(learn(before, 55, 10, 10, 10)), 10);
  assert.equal(drainPerS(learn(before, 1000)), 1000);
  assert.ok(Math.abs(drainPerS(learn(before, ...many(50, 5))) - 50) < 10, "a half is seen within five readings");
});

test("a slow drift is followed", () => {
  let state = learn(undefined, ...many(1000, 60));
  for (let s = 0; s < 300; s++) {
    state = learn(state, 1000 - 2 * s);
    assert.ok(drainPerS(state) < 1.5 * (1000 - 2 * s), `${drainPerS(state)} of ${1000 - 2 * s}`);
  }
});

test("bursts of a fifth are no change", () => {
  let state = learn(undefined, 500);
  for (let s = 0; s < 600; s++) {
    state = learn(state, s % 6 < 3 ? 600 : 400);
    if (s > 20) assert.ok(Math.abs(drainPerS(state) - 500) < 75, `${s} s: ${drainPerS(state)}`);
  }
});

test("one low reading is a suspicion and not yet a change; a usual one is neither", () => {
  const before = learn(undefined, ...many(100, 60));
  const half = learn(before, 50);
  assert.ok(drainPerS(half) > 98);
  assert.equal(suspectedPerS(half), 50);
  assert.equal(suspectedPerS(learn(before, 90)), undefined);
  assert.equal(suspectedPerS(learn(undefined, 5)), undefined);
});

test("the fast estimate says nothing where nothing was to be expected yet", () => {
  const still = learn(undefined, 0, 0, 0, 0);
  assert.equal(fastPerS(still, 100), 0);
  assert.equal(fastPerS(still, 2), undefined);
  assert.equal(fastPerS(learn(undefined, 0), 100), undefined);
});

test("counts that err below zero are no negative drain", () => {
  assert.equal(drainPerS(learn(undefined, -7, 3)), 0);
});
