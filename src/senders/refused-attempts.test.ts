import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../platform/clock.ts";
import { createRefusedAttempts, networkOf, refusalDelayMs } from "./refused-attempts.ts";

test("each refusal of an address comes later than the one before, up to a bound", () => {
  assert.deepEqual([1, 2, 3, 7, 8, 1000, 5000].map(refusalDelayMs), [100, 200, 400, 6400, 8000, 8000, 8000]);
});

test("an address counts alone, is forgiven after ten minutes, and memory is bounded", () => {
  const clock = stoppedClock();
  const attempts = createRefusedAttempts(clock);
  assert.deepEqual(
    [1, 2, 3].map(() => attempts.note("192.0.2.1").attempts),
    [1, 2, 3],
  );
  assert.equal(attempts.note("192.0.2.2").attempts, 1);
  clock.nowMs = 600_001;
  assert.equal(attempts.note("192.0.2.1").attempts, 1);
  for (let i = 0; i < 10_000; i++) attempts.note(`10.0.${i >> 8}.${i & 255}`);
  assert.equal(attempts.note("192.0.2.1").attempts, 1, "ten thousand others came after it");
});

test("an answer waits for its time, and for nothing any more once it is closed", async () => {
  const clock = stoppedClock();
  const attempts = createRefusedAttempts(clock);
  const answered: number[] = [];
  void attempts.note("192.0.2.1").isTime.then(() => answered.push(1));
  void attempts.note("192.0.2.1").isTime.then(() => answered.push(2));
  assert.deepEqual(
    clock.due.map(({ ms }) => ms),
    [100, 200],
  );
  clock.due[0]!.fire();
  await new Promise(setImmediate);
  assert.deepEqual(answered, [1]);
  attempts.close();
  await new Promise(setImmediate);
  assert.deepEqual(answered, [1, 2]);
});

test("an IPv6 customer is one address, however it is written", () => {
  assert.equal(networkOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2");
  assert.equal(networkOf("2001:DB8:0001:2::1"), "2001:db8:1:2");
  assert.equal(networkOf("2001:db8::5"), "2001:db8:0:0");
  assert.equal(networkOf("::1"), "0:0:0:0");
  assert.equal(networkOf("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(networkOf("192.0.2.1"), "192.0.2.1");
});

interface StoppedClock extends Clock {
  nowMs: number;
  readonly due: { readonly ms: number; readonly fire: () => void }[];
}

function stoppedClock(): StoppedClock {
  const clock: StoppedClock = {
    nowMs: 0,
    due: [],
    monotonicMs: () => clock.nowMs,
    wallMs: () => clock.nowMs,
    after(ms, fire) {
      clock.due.push({ ms, fire });
      return { cancel() {} };
    },
    soon: (fire) => fire(),
  };
  return clock;
}
