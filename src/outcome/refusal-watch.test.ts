import assert from "node:assert/strict";
import { test } from "node:test";
import { createRefusalWatch, isPolicyRefusal } from "./refusal-watch.ts";
import { judgeAttempt } from "./judge-reply.ts";
import type { AttemptResult } from "../mail/attempt.ts";
import type { Phase } from "../mail/reply.ts";

const MINUTE_MS = 60_000;

test("it trips when more than the share are refusals, and not before 20 answers", () => {
  const watch = createRefusalWatch(0.05);
  for (let answer = 1; answer < 20; answer++) assert.equal(watch.note("mail.example", true, answer).isTripped, false);
  const tripped = watch.note("mail.example", true, 20);
  assert.deepEqual(tripped, { answers: 20, refusals: 20, isTripped: true });
});

test("up to the share, refusals are what they say; one more trips", () => {
  const watch = createRefusalWatch(0.05);
  for (let answer = 0; answer < 95; answer++) watch.note("mail.example", false, answer);
  for (let refusal = 1; refusal <= 5; refusal++) {
    assert.equal(watch.note("mail.example", true, 100).isTripped, false, `refusal ${refusal} of ${95 + refusal}`);
  }
  assert.equal(watch.note("mail.example", true, 100).isTripped, true);
});

test("names are counted apart, and a person's decision begins anew", () => {
  const watch = createRefusalWatch(0.05);
  for (let answer = 0; answer < 30; answer++) watch.note("one.example", true, answer);
  assert.equal(watch.note("two.example", true, 30).isTripped, false);
  watch.forget("one.example");
  assert.equal(watch.note("one.example", true, 31).isTripped, false);
});

test("after ten minutes an answer counts no more", () => {
  const watch = createRefusalWatch(0.05);
  for (let answer = 0; answer < 30; answer++) watch.note("one.example", true, MINUTE_MS);
  assert.equal(watch.note("one.example", true, 6 * MINUTE_MS).answers, 31);
  assert.equal(watch.note("one.example", false, 12 * MINUTE_MS).answers, 2);
  assert.equal(watch.note("one.example", false, 40 * MINUTE_MS).answers, 1);
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
