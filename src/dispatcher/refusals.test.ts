import assert from "node:assert/strict";
import { test } from "node:test";
import type { AttemptResult } from "../mail/attempt.ts";
import type { Reason } from "../mail/reasons.ts";
import { judgeAttempt } from "../outcome/judge-reply.ts";
import type { RefusalTarget } from "../outcome/refusal-watch.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import { createRefusals } from "./refusals.ts";

const rowTo = (destination: string, attempts = 0): ClaimedRow => ({ destination, attempts }) as ClaimedRow;
const answer = (code: number, enhanced: string): AttemptResult => {
  return { kind: "replied", phase: "dot", reply: { code, enhanced, text: "as you like it" }, host: "relay:25" };
};
const BLOCKED = answer(550, "5.7.1");
const TAKEN = answer(250, "2.0.0");
const NO_SUCH_USER = answer(550, "5.1.1");

function setUp() {
  const pauses: { target: RefusalTarget; reason: Reason }[] = [];
  const alarms: string[] = [];
  const refusals = createRefusals(0.05, {
    pause: async (target, reason) => void pauses.push({ target, reason }),
    onAlarm: (line) => void alarms.push(line),
  });
  const judge = (row: ClaimedRow, result: AttemptResult) =>
    refusals.judge(row, "news", result, judgeAttempt(result, { outletType: "smtp" }), 0);
  return { refusals, judge, pauses, alarms };
}

test("a provider that refuses by policy stops, and nothing of it bounces", () => {
  const { judge, pauses, alarms } = setUp();
  const judged = Array.from({ length: 25 }, () => judge(rowTo("big.example"), BLOCKED));
  assert.deepEqual(judged.slice(0, 19), Array(19).fill("waits"));
  assert.deepEqual(judged.slice(19), Array(6).fill("held"));
  assert.deepEqual(
    pauses.map(({ target }) => target),
    [{ kind: "destination", name: "big.example" }],
  );
  assert.deepEqual(pauses[0]?.reason.evidence, {
    scope: "destination",
    name: "big.example",
    refusals: 20,
    answers: 20,
    max_percent: 5,
    reply: "550 5.7.1 as you like it",
  });
  assert.equal(alarms.length, 1);
});

test("a relay that refuses us everywhere stops as a whole", () => {
  const { judge, pauses } = setUp();
  for (let to = 0; to < 30; to++) judge(rowTo(`d${to}.example`), BLOCKED);
  assert.deepEqual(
    pauses.map(({ target }) => target),
    [{ kind: "outlet", name: "news" }],
  );
  assert.equal(judge(rowTo("other.example"), BLOCKED), "held");
});

test("few refusals among many answers are bounces, and unknown users never count", () => {
  const { judge, pauses } = setUp();
  for (let sent = 0; sent < 100; sent++) judge(rowTo("big.example"), TAKEN);
  for (let gone = 0; gone < 50; gone++) assert.equal(judge(rowTo("big.example"), NO_SUCH_USER), "as_it_is");
  assert.equal(judge(rowTo("big.example"), BLOCKED), "as_it_is");
  assert.equal(pauses.length, 0);
});

test("a small list that is refused bounces in the end", () => {
  const { judge } = setUp();
  assert.deepEqual(
    [0, 1, 2].map((attempts) => judge(rowTo("small.example", attempts), BLOCKED)),
    ["waits", "waits", "as_it_is"],
  );
});

test("what a person resumes begins anew", async () => {
  const { refusals, judge, pauses } = setUp();
  for (let refused = 0; refused < 20; refused++) judge(rowTo("big.example"), BLOCKED);
  await Promise.resolve();
  const row = { kind: "destination", name: "big.example", since: "2026-11-26", reason: pauses[0]!.reason } as const;
  assert.deepEqual([...refusals.heard([row]).stopped.keys()], ["big.example"]);
  assert.deepEqual(refusals.heard([]), { stopped: new Map(), resumed: ["big.example"] });
  assert.equal(judge(rowTo("big.example"), BLOCKED), "waits");
});

test("until the others know, this one stops by itself; a person's pause has a reason, too", () => {
  const { refusals, judge } = setUp();
  for (let refused = 0; refused < 20; refused++) judge(rowTo("big.example"), BLOCKED);
  assert.deepEqual([...refusals.heard([]).stopped.keys()], ["big.example"]);
  const pause = { kind: "destination", name: "slow.example", since: "14:02", reason: null } as const;
  assert.equal(refusals.heard([pause]).stopped.get("slow.example")?.code, "destination_paused");
});
