import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../platform/random.ts";
import {
  learnReplies,
  replyReasons,
  replyWindow,
  usualLatencyMs,
  type ReplySample,
  type ReplyState,
} from "./reply-law.ts";

const fine = { answers: 100, latencyMs: 20, temporary: 0, closings: 0 };

/** So many seconds of samples. */
function learn(
  before: ReplyState | undefined,
  seconds: number,
  sampleAt: (s: number) => Partial<ReplySample>,
): ReplyState {
  let state = before;
  const fromMs = before?.atMs ?? 0;
  for (let s = 1; s <= seconds; s++) state = learnReplies(state, { ...fine, ...sampleAt(s), atMs: fromMs + s * 1000 });
  return state!;
}
const codes = (state: ReplyState): readonly string[] => replyReasons(state, 40).map(({ code }) => code);

test("a healthy fast relay is not throttled: 15,000/s with 60 open, 2 to 8 ms and noisy", () => {
  const random = seededRandom(1);
  let state: ReplyState | undefined;
  for (let s = 1; s <= 600; s++) {
    state = learn(state, 1, () => ({ answers: 15_000, latencyMs: 2 + 6 * random.unit() ** 2 }));
    assert.equal(replyWindow(state, 60), 60);
    assert.deepEqual(replyReasons(state, 60), []);
  }
});

test("a relay that takes one after another is not slow because many are open", () => {
  const idle = learn(undefined, 60, () => ({ answers: 2, latencyMs: 9 }));
  const busy = learn(idle, 60, () => ({ answers: 110, latencyMs: 40 * 9 }));
  assert.equal(replyWindow(busy, 40), 40);
});

test("replies that take several times the usual cut the window step by step, and give it back", () => {
  const usual = learn(undefined, 60, () => ({}));
  const slow = learn(usual, 10, () => ({ answers: 5, latencyMs: 400 }));
  assert.ok(replyWindow(slow, 40) <= 2);
  assert.equal(
    replyWindow(
      learn(slow, 60, () => ({ answers: 5, latencyMs: 400 })),
      40,
    ),
    1,
    "one is left to probe",
  );
  assert.deepEqual(replyReasons(slow, 40), [
    {
      code: "reply_slow",
      limits: "window",
      limit: replyWindow(slow, 40),
      evidence: { reply_ms: 400, usual_ms: slow.slowUsualMs === undefined ? 0 : Math.round(slow.slowUsualMs) },
    },
  ]);
  assert.ok(slow.slowUsualMs! < 60);
  const well = learn(slow, 60, () => ({}));
  assert.equal(replyWindow(well, 40), 40);
  assert.deepEqual(codes(well), []);
});

test("some milliseconds more are no matter, though they be several times the usual", () => {
  const usual = learn(undefined, 60, () => ({ answers: 1000, latencyMs: 2 }));
  assert.deepEqual(codes(learn(usual, 20, () => ({ answers: 1000, latencyMs: 30 }))), []);
});

test("what lasts for long becomes usual", () => {
  const usual = learn(undefined, 60, () => ({}));
  const slow = learn(usual, 3600, () => ({ answers: 10, latencyMs: 200 }));
  assert.equal(replyWindow(slow, 40), 40);
});

test("4yz and 421 beyond a twentieth cut the window to a probe, and its reply is told", () => {
  const pushed = learn(undefined, 30, () => ({ temporary: 30, closings: 2, reply: "452 4.3.1 Insufficient storage" }));
  assert.equal(replyWindow(pushed, 40), 1);
  const [reason] = replyReasons(pushed, 40);
  assert.equal(reason?.code, "relay_pushes_back");
  assert.deepEqual(reason?.evidence, { share_percent: 31, reply: "452 4.3.1 Insufficient storage" });
  assert.equal(
    replyWindow(
      learn(pushed, 60, () => ({})),
      40,
    ),
    40,
  );
});

test("a few of them among many answers do nothing", () => {
  assert.deepEqual(codes(learn(undefined, 60, () => ({ temporary: 3 }))), []);
  assert.deepEqual(codes(learn(undefined, 60, (s) => ({ answers: 1, temporary: s % 40 === 0 ? 1 : 0 }))), []);
});

test("seconds without an answer change nothing but the memory of refusals", () => {
  const slow = learn(
    learn(undefined, 60, () => ({})),
    3,
    () => ({ answers: 5, latencyMs: 400 }),
  );
  const silent = learn(slow, 60, () => ({ answers: 0, latencyMs: 0 }));
  assert.equal(replyWindow(silent, 40), replyWindow(slow, 40));
});

test("the usual of a load that was never seen comes from its neighbours", () => {
  const state = learn(undefined, 60, () => ({ answers: 400, latencyMs: 20 }));
  assert.equal(Math.round(usualLatencyMs(state, 10)!), 20);
  assert.equal(Math.round(usualLatencyMs(state, 16)!), 40);
  assert.equal(Math.round(usualLatencyMs(state, 2)!), 20);
});

test("the state goes through JSON, and nonsense does not get into it", () => {
  const state = learn(undefined, 10, () => ({}));
  const nonsense = { answers: Number.NaN, latencyMs: -1, temporary: Infinity, closings: Number.NaN };
  const next = learnReplies(state, { atMs: 11_000, ...nonsense });
  assert.deepEqual(JSON.parse(JSON.stringify(next)), next);
  assert.equal(replyWindow(next, 40), 40);
  assert.equal(replyWindow(learnReplies(state, { ...fine, atMs: Number.NaN }), 40), 40);
});
