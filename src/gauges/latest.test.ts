import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../platform/clock.ts";
import { createLatest } from "./latest.ts";

test("a value that comes in time is the answer", async () => {
  const { clock } = createClock();
  assert.deepEqual(await createLatest("the queue", async () => 7, clock).measure(1000), { kind: "measured", value: 7 });
});

test("while nothing answers, the last value serves for 5 s, and there is one measurement", async () => {
  const { clock, pass } = createClock();
  let begun = 0;
  const answers = [Promise.resolve(7), new Promise<number>(() => {})];
  const latest = createLatest("the queue", () => answers[begun++] ?? Promise.resolve(9), clock);
  await latest.measure(1000);
  assert.deepEqual(await latest.measure(1000), { kind: "measured", value: 7 });
  pass(6000);
  assert.deepEqual(await latest.measure(1000), { kind: "missing", problem: "the queue: no answer for 8 s" });
  assert.equal(begun, 2);
});

test("a failure is a problem until it is over", async () => {
  const { clock } = createClock();
  let isBroken = true;
  const measure = async () => (isBroken ? await Promise.reject(new Error("EIO: i/o error")) : 1);
  const latest = createLatest("the queue", measure, clock);
  assert.deepEqual(await latest.measure(1000), { kind: "missing", problem: "the queue: EIO: i/o error" });
  isBroken = false;
  assert.deepEqual(await latest.measure(1000), { kind: "measured", value: 1 });
});

/** Time goes on by itself when somebody waits for it and nothing else happens. */
function createClock() {
  let nowMs = 0;
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after(ms, fire) {
      let isCanceled = false;
      setImmediate(() => {
        if (isCanceled) return;
        nowMs += ms;
        fire();
      });
      return { cancel: () => void (isCanceled = true) };
    },
    soon: (fire) => setImmediate(fire),
  };
  return { clock, pass: (ms: number) => void (nowMs += ms) };
}
