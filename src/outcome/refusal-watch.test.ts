import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeAttempt } from "./judge-reply.ts";
import {
  createRefusalWatch,
  isBounceAlready,
  isPolicyRefusal,
  type NotedAnswer,
  type RefusalWatch,
} from "./refusal-watch.ts";
import type { AttemptResult } from "../mail/attempt.ts";
import type { Phase } from "../mail/reply.ts";

const MINUTE_MS = 60_000;

const answers = (
  watch: RefusalWatch,
  count: number,
  isRefusal: boolean,
  nowMs: number,
  destination = "one.example",
) => {
  let noted: NotedAnswer = { tripped: [], isTelling: false };
  for (let nth = 0; nth < count; nth++) {
    noted = watch.note({ outlet: "news", destination, isRefusal, shareMax: 0.05 }, nowMs);
  }
  return noted;
};

test("it trips when more than the share are refusals, and not before 20 answers", () => {
  const watch = createRefusalWatch();
  assert.deepEqual(answers(watch, 19, true, 0), { tripped: [], isTelling: false });
  assert.deepEqual(answers(watch, 1, true, 0), {
    tripped: [{ kind: "destination", name: "one.example", answers: 20, refusals: 20 }],
    isTelling: true,
  });
});

test("up to the share, refusals are what they say; one more trips", () => {
  const watch = createRefusalWatch();
  answers(watch, 95, false, 0);
  assert.deepEqual(answers(watch, 5, true, 0), { tripped: [], isTelling: true });
  assert.equal(answers(watch, 1, true, 0).tripped.length, 1);
});

test("refusals of many destinations trip the outlet, those of one only itself", () => {
  const watch = createRefusalWatch();
  answers(watch, 30, false, 0, "good.example");
  assert.equal(answers(watch, 1, true, 0, "a.example").tripped.length, 0);
  assert.deepEqual(
    answers(watch, 1, true, 0, "b.example").tripped.map(({ kind, name }) => `${kind} ${name}`),
    ["outlet news"],
  );
});

test("names are counted apart, and a person's decision begins anew", () => {
  const watch = createRefusalWatch();
  answers(watch, 30, true, 0);
  assert.equal(answers(watch, 1, true, 0, "two.example").isTelling, false);
  watch.forget({ kind: "destination", name: "one.example" });
  assert.equal(answers(watch, 1, true, 0).isTelling, false);
});

test("after ten minutes an answer counts no more", () => {
  const watch = createRefusalWatch();
  answers(watch, 30, true, MINUTE_MS);
  assert.equal(answers(watch, 1, true, 6 * MINUTE_MS).tripped[0]?.answers, 31);
  assert.equal(answers(watch, 1, true, 12 * MINUTE_MS).isTelling, false);
  assert.equal(answers(watch, 1, true, 40 * MINUTE_MS).isTelling, false);
});

test("what can't be told bounces at the third try", () => {
  assert.deepEqual(
    [1, 2, 3].map((attempt) => isBounceAlready(false, attempt)),
    [false, false, true],
  );
  assert.equal(isBounceAlready(true, 1), true);
});

test("a refusal of policy names no recipient", () => {
  const isPolicy = (phase: Phase, code: number, enhanced?: string): boolean => {
    const reply = { code, text: "no", ...(enhanced === undefined ? {} : { enhanced }) };
    const result: AttemptResult = { kind: "replied", phase, reply, host: "relay:25" };
    return isPolicyRefusal(result, judgeAttempt(result, { outletType: "smtp" }));
  };
  assert.equal(isPolicy("dot", 550, "5.7.1"), true);
  assert.equal(isPolicy("rcpt", 550, "5.7.26"), true);
  assert.equal(isPolicy("dot", 554), true);
  assert.equal(isPolicy("mail", 550, "5.1.8"), true);
  assert.equal(isPolicy("rcpt", 550, "5.1.1"), false);
  assert.equal(isPolicy("rcpt", 550), false);
  assert.equal(isPolicy("dot", 451, "4.7.1"), false);
  assert.equal(isPolicy("dot", 250), false);
});
