// What holds of every return and every standing, by properties; and by hand what the words of a relay mean. The rules one
// by one, on a real database: test/integration/returns-rules.test.ts.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RecipientReport } from "../mail/notice.ts";
import { isSettled, mayBecome, STATES } from "../mail/state.ts";
import {
  judgeReturn,
  JUDGEMENTS,
  signOfReturn,
  type JudgeReturnContext,
  type LogFact,
  type NoticeFact,
  type ReturnFact,
  type Standing,
} from "./judge-return.ts";

const RECIPIENT = "ann@example.com";
const RELAY = "relay.example";
const CUT =
  "lost connection with mx.example.com[192.0.2.1] while sending end of data -- message may be sent more than once";

const CONTEXT: JudgeReturnContext = {
  lane: { retry: { kind: "list", delaysMs: [60_000] }, unknownPolicy: "hold", unknownGraceMs: 60_000 },
  nowMs: 1_000_000,
  expiresAtMs: 1_000_000_000,
  random: () => 0.5,
};

const status = fc.constantFrom("2.0.0", "4.4.1", "4.4.2", "4.7.1", "5.1.1", "5.7.1");
const attempt = fc.integer({ min: 1, max: 3 });

const report: fc.Arbitrary<RecipientReport> = fc.record(
  {
    action: fc.constantFrom("failed", "delayed", "delivered", "relayed", "expanded"),
    status,
    finalRecipient: fc.constantFrom(RECIPIENT, "bob@elsewhere.example"),
    diagnostic: fc.constantFrom("550 no", CUT),
  },
  { requiredKeys: ["action"] },
);

const fact: fc.Arbitrary<ReturnFact> = fc.oneof(
  fc.record({
    source: fc.constant("log" as const),
    attempt,
    recipient: fc.constantFrom(RECIPIENT, "archive@example.com"),
    status: fc.constantFrom("sent" as const, "deferred" as const, "bounced" as const, "expired" as const),
    dsn: status,
    relay: fc.constantFrom("none", "mx.example.com"),
    reply: fc.constant("said"),
    queueId: fc.constantFrom("Q1", "Q2"),
    means: fc.constantFrom("delivered" as const, "relayed" as const),
  }),
  fc.record({
    source: fc.constant("notice" as const),
    attempt,
    relayName: fc.constantFrom(undefined, RELAY, "other.example"),
    notice: fc.record({
      kind: fc.constant("notice" as const),
      reportingMta: fc.constantFrom(RELAY, "mx.example.com"),
      queueId: fc.constantFrom("Q1", "Q2"),
      recipients: fc.array(report, { minLength: 1, maxLength: 3 }),
    }),
  }),
  fc.record({
    source: fc.constant("evidence" as const),
    attempt,
    verdict: fc.constantFrom("accepted" as const, "not_accepted" as const),
    grounds: fc.constant("the log"),
    queueId: fc.constant("Q1"),
  }),
);

const standing: fc.Arbitrary<Standing> = fc.record({
  recipient: fc.constant(RECIPIENT),
  state: fc.constantFrom(...STATES, undefined),
  attempt,
  isClaimed: fc.boolean(),
  tries: fc.nat(5),
  queueId: fc.constantFrom("Q1", undefined),
  told: fc.constantFrom(new Map(), new Map([["1 sent", 1]]), new Map([["2 sent", 1]])),
});

/** The standing as the judgement leaves it. */
function after(before: Standing, { attempt: named }: ReturnFact, judged: ReturnType<typeof judgeReturn>): Standing {
  if (judged.kind === "wait") return before;
  const told = new Map(before.told);
  for (const { kind } of judged.events) told.set(`${named} ${kind}`, (told.get(`${named} ${kind}`) ?? 0) + 1);
  return { ...before, told, state: judged.becomes?.state ?? before.state };
}

test("only what is about the latest attempt of an unclaimed message changes its state, as states.md allows", () => {
  fc.assert(
    fc.property(fact, standing, (one, before) => {
      const judged = judgeReturn(one, before, CONTEXT);
      assert.equal(judged.kind === "wait", one.attempt > before.attempt);
      if (judged.kind === "wait") return;
      assert.ok(JUDGEMENTS.includes(judged.word));
      if (judged.becomes === undefined) return;
      assert.equal(one.attempt, before.attempt);
      assert.equal(before.isClaimed, false);
      assert.ok(mayBecome(before.state!, judged.becomes.state), `${before.state} → ${judged.becomes.state}`);
      assert.equal(judged.events.at(-1)!.kind === judged.becomes.state || judged.becomes.state === "sent", true);
      if (!isSettled(judged.becomes.state)) assert.notEqual(judged.becomes.delayMs, undefined);
    }),
    { numRuns: 5000 },
  );
});

test("a message goes out again only on its own relay's word, or on evidence that the relay has not got it", () => {
  fc.assert(
    fc.property(fact, standing, (one, before) => {
      const judged = judgeReturn(one, before, CONTEXT);
      if (judged.kind === "wait" || (judged.becomes?.state !== "deferred" && judged.becomes?.state !== "unknown"))
        return;
      if (one.source === "evidence") {
        assert.equal(before.state, "unknown");
        assert.equal(one.verdict, "not_accepted");
        return;
      }
      assert.ok(one.source === "notice");
      assert.equal(one.relayName, RELAY);
      assert.equal(one.notice.reportingMta, RELAY);
      if (before.queueId !== undefined) assert.equal(one.notice.queueId, before.queueId);
      assert.ok(before.state === "sent" || before.state === "unknown");
    }),
    { numRuns: 20_000 },
  );
});

test("nothing acts twice, and nothing is told for ever", () => {
  fc.assert(
    fc.property(fact, standing, (one, before) => {
      let now = after(before, one, judgeReturn(one, before, CONTEXT));
      let events = 0;
      for (let again = 0; again < 6; again++) {
        const judged = judgeReturn(one, now, CONTEXT);
        if (judged.kind === "wait") return;
        assert.equal(judged.becomes, undefined);
        events = judged.events.length;
        now = after(now, one, judged);
      }
      assert.equal(events, 0);
    }),
    { numRuns: 5000 },
  );
});

const SENT: Standing = {
  recipient: RECIPIENT,
  state: "sent",
  attempt: 1,
  isClaimed: false,
  tries: 0,
  queueId: "Q1",
  told: new Map([["1 sent", 1]]),
};

function noticeOf(...recipients: readonly RecipientReport[]): NoticeFact {
  const notice = { kind: "notice", reportingMta: "mx.example.com", recipients } as const;
  return { source: "notice", attempt: 1, notice };
}

function stateAfter(one: ReturnFact): string | undefined {
  const judged = judgeReturn(one, SENT, CONTEXT);
  return judged.kind === "wait" ? "wait" : judged.becomes?.state;
}

test("of several reports the recipient's own counts, else the mildest", () => {
  const others = { action: "failed", status: "5.1.1", finalRecipient: "bob@example.com" } as const;
  assert.equal(stateAfter(noticeOf(others, { action: "delayed", finalRecipient: RECIPIENT })), undefined);
  assert.equal(
    stateAfter(noticeOf({ ...others, action: "delivered" }, { ...others, finalRecipient: "ANN@example.com" })),
    "bounced",
  );
  assert.equal(stateAfter(noticeOf(others, { action: "expanded", finalRecipient: "all@example.com" })), undefined);
  assert.equal(stateAfter(noticeOf(others, others)), "bounced");
});

function lineOf(parts: Partial<LogFact>): LogFact {
  return {
    source: "log",
    attempt: 1,
    recipient: RECIPIENT,
    status: "deferred",
    dsn: "4.4.1",
    relay: "mx.example.com[192.0.2.1]:25",
    reply: "said",
    queueId: "Q1",
    means: "delivered",
    ...parts,
  };
}

test("what a line of the log says of the destination", () => {
  const sign = (parts: Partial<LogFact>): string | undefined => signOfReturn(lineOf(parts), RECIPIENT)?.kind;
  assert.equal(sign({ status: "sent", dsn: "2.0.0" }), "answered");
  for (const dsn of ["4.4.1", "4.4.2", "4.7.0", "4.3.2", "4.0.0", ""]) assert.equal(sign({ dsn }), "failing", dsn);
  for (const dsn of ["4.2.2", "4.1.1", "4.6.0"]) assert.equal(sign({ dsn }), "told", dsn);
  assert.equal(sign({ status: "bounced", dsn: "5.1.1" }), "answered");
  assert.equal(sign({ status: "bounced", dsn: "5.1.1", relay: "none" }), "told");
  assert.equal(sign({ status: "bounced", dsn: "5.7.1" }), "told");
  assert.equal(sign({ status: "expired" }), undefined);
  assert.equal(sign({ status: "sent", recipient: "archive@example.com" }), undefined);
});
