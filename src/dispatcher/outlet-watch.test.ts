import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult } from "../mail/attempt.ts";
import { judgeAttempt } from "../outcome/judge-reply.ts";
import { createOutletWatch } from "./outlet-watch.ts";

const replied = (code: number, enhanced: string): AttemptResult => {
  return { kind: "replied", phase: "dot", reply: { code, enhanced, text: "" }, host: "relay:25" };
};
const judge = (result: AttemptResult) => judgeAttempt(result, { outletType: "smtp" });

test("the rate follows what is started within a second or two", () => {
  const watch = createOutletWatch(0);
  for (let atMs = 200; atMs <= 4000; atMs += 200) {
    for (let message = 0; message < 20; message++) watch.took();
    watch.turn(atMs, atMs);
  }
  assert.ok(Math.abs(watch.takenPerS - 100) < 3, `${watch.takenPerS}/s`);
  for (let atMs = 4200; atMs <= 8000; atMs += 200) watch.turn(atMs, atMs);
  assert.ok(watch.takenPerS < 3);
});

test("what was taken is known for each moment of the last seconds", () => {
  const watch = createOutletWatch(0);
  const sent = replied(250, "2.0.0");
  for (let atMs = 200; atMs <= 2000; atMs += 200) {
    for (let message = 0; message < 10; message++) watch.finished(sent, judge(sent), 5);
    watch.turn(atMs, 50_000 + atMs);
  }
  assert.equal(watch.handedTotal, 100);
  assert.equal(watch.handedAt(51_000), 50);
  assert.equal(watch.handedAt(51_100), 55);
  assert.equal(watch.handedAt(99_000), 100);
});

test("kept back is said for as long as pulses need to tell it", () => {
  const watch = createOutletWatch(0);
  assert.equal(watch.wasKeptBack, false);
  for (const atMs of [200, 400, 600]) {
    watch.keptBack();
    watch.turn(atMs, atMs);
  }
  watch.turn(1600, 1600);
  assert.equal(watch.wasKeptBack, true);
  watch.turn(2800, 2800);
  assert.equal(watch.wasKeptBack, false);
});

test("what is kept back between two tokens wants nothing", () => {
  const watch = createOutletWatch(0);
  for (let atMs = 500; atMs <= 5000; atMs += 500) {
    watch.keptBack();
    watch.turn(atMs, atMs);
    assert.equal(watch.wasKeptBack, false);
  }
});

test("a relay that pushes back is learnt once a second", () => {
  const watch = createOutletWatch(0);
  const busy = replied(451, "4.3.2");
  for (let second = 1; second <= 5; second++) {
    for (let message = 0; message < 10; message++) watch.finished(busy, judge(busy), 5);
    watch.turn(second * 1000, second * 1000);
  }
  assert.ok(watch.replies!.pushFactor < 0.5, `${watch.replies!.pushFactor}`);
  assert.equal(watch.replies!.reply, "451 4.3.2");
});
