import assert from "node:assert/strict";
import { test } from "node:test";
import type { CampaignId, MessageId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import type { AttemptResult } from "../mail/attempt.ts";
import type { FailureScope, Outcome } from "../mail/outcome.ts";
import { mayBecome, WAITING_STATES } from "../mail/state.ts";
import { OUTLET_RETRY_MS } from "../outcome/retry-schedule.ts";
import { KEEP_DUE, type ClaimedRow } from "../queue/queue-store.ts";
import { expired, fateOf, heldWith, isTooLate, unclaimed, type FateContext } from "./fate.ts";

const LANE: LaneSettings = {
  name: "bulk",
  priority: "bulk",
  outlets: ["news"],
  ttlMs: 1_000_000,
  unknownPolicy: "resend",
  unknownGraceMs: 600_000,
  dispatchers: 1,
  retry: { kind: "list", delaysMs: [1000, 5000] },
  claimAheadMax: 10,
};
const CONTEXT: FateContext = {
  outletName: "news",
  lane: LANE,
  nowMs: 100_000,
  monotonicMs: 777,
  expiresAtMs: 10_000_000,
  random: () => 0.5,
};
const ROW: ClaimedRow = {
  message_id: 9 as MessageId,
  campaign_id: 3 as CampaignId,
  destination: "one.example",
  due_us: 5,
  attempts: 4,
  tries: 1,
  rescues: 2,
  state: "deferred",
  accepted_on: "2026-11-23",
  accepted_ms: 0,
  expires_ms: null,
  recipient: "ann@one.example",
  data: null,
  content_id: 1,
  version: null,
  content: null,
  raw: null,
};
const RESULT: AttemptResult = {
  kind: "replied",
  phase: "dot",
  reply: { code: 250, enhanced: "2.0.0", text: "Ok" },
  host: "relay.example:25",
};

const settle = (outcome: Outcome, context: Partial<FateContext> = {}, row: ClaimedRow = ROW) =>
  fateOf({ row, attempt: row.attempts + 1 }, outcome, RESULT, { ...CONTEXT, ...context });

const deferred = (scope: FailureScope): Outcome => ({ kind: "deferred", scope, reason: "not now" });

test("sent and bounced settle, with the attempt, the host and what was said", () => {
  const told = { outlet: "news", host: "relay.example:25", happenedAtMs: 777 };
  assert.deepEqual(settle({ kind: "sent", reply: RESULT.reply }), {
    row: ROW,
    attempt: 5,
    becomes: { kind: "settled", state: "sent" },
    event: { kind: "sent", ...told, reply: "250 2.0.0 Ok" },
  });
  assert.deepEqual(settle({ kind: "bounced", scope: "recipient", reason: "no such user" }), {
    row: ROW,
    attempt: 5,
    becomes: { kind: "settled", state: "bounced" },
    event: { kind: "bounced", ...told, reply: "no such user" },
  });
});

test("a deferral by the recipient's or the message's fault moves on in the schedule, any other does not", () => {
  const after = (scope: FailureScope) => settle(deferred(scope)).becomes;
  const waiting = { kind: "waiting", state: "deferred", attempts: 5, rescues: 2 };
  for (const scope of ["recipient", "message"] as const) {
    assert.deepEqual(after(scope), { ...waiting, tries: 2, delayMs: 5000 }, scope);
  }
  for (const scope of ["destination", "outlet"] as const) {
    assert.deepEqual(after(scope), { ...waiting, tries: 1, delayMs: OUTLET_RETRY_MS }, scope);
  }
});

test("a deferral waits a second longer than the message lives at most; after that it is expired, and told so", () => {
  const near = settle(deferred("recipient"), { expiresAtMs: CONTEXT.nowMs + 300 }).becomes;
  assert.equal(near.kind === "waiting" ? near.delayMs : undefined, 1300);
  const over = settle(deferred("recipient"), { expiresAtMs: CONTEXT.nowMs });
  assert.deepEqual(over.becomes, { kind: "settled", state: "expired" });
  assert.deepEqual([over.event?.kind, over.event?.reply], ["expired", "not now"]);
});

test("unknown: sent again after the grace, or held for a person, as the lane says", () => {
  const outcome: Outcome = { kind: "unknown", scope: "outlet", reason: "silence" };
  const waiting = { kind: "waiting", state: "unknown", attempts: 5, tries: 1, rescues: 2 };
  assert.deepEqual(settle(outcome).becomes, { ...waiting, delayMs: 600_000 });
  const hold = settle(outcome, { lane: { ...LANE, unknownPolicy: "hold" } });
  assert.deepEqual(hold.becomes, { ...waiting, delayMs: null });
  assert.equal(hold.event?.kind, "unknown");
});

test("what was not tried is as it was, and no event tells of it", () => {
  const untried = settle({ kind: "untried", reason: "draining" });
  const { state, attempts, tries, rescues } = ROW;
  const becomes = { kind: "waiting", state, attempts, tries, rescues, delayMs: KEEP_DUE } as const;
  assert.deepEqual(untried, { row: ROW, attempt: 5, becomes });
  assert.deepEqual(unclaimed(ROW), untried);
});

test("held: alone, for good, and with an error that the database can store", () => {
  const settlement = heldWith(ROW, `bad\u0000data\r\n${"x".repeat(5000)}`);
  assert.deepEqual(settlement.becomes, {
    kind: "waiting",
    state: "held",
    delayMs: null,
    attempts: 4,
    tries: 1,
    rescues: 2,
  });
  assert.equal(settlement.event?.reply?.length, 1000);
  assert.match(settlement.event?.reply ?? "", /^bad data {2}x+$/);
});

test("whatever a claimable message was, each fate is one that it may have", () => {
  const outcomes: readonly Outcome[] = [
    { kind: "sent", reply: RESULT.reply },
    { kind: "bounced", scope: "message", reason: "no" },
    deferred("recipient"),
    { kind: "unknown", scope: "outlet", reason: "silence" },
  ];
  // What is held is never due, so it is never claimed.
  for (const state of WAITING_STATES.filter((one) => one !== "held")) {
    const row = { ...ROW, state };
    const fates = outcomes.map((outcome) => settle(outcome, {}, row));
    for (const { becomes } of [...fates, expired(row), heldWith(row, "no")]) {
      assert.ok(mayBecome(state, becomes.state), `${state} → ${becomes.state}`);
    }
  }
});

test("a sender's time holds; the lane's gives up nothing whose try was due within it", () => {
  const lane = { ttlMs: 1000 };
  const row = { accepted_ms: 5000, expires_ms: null, due_us: 5_000_000 };
  assert.equal(isTooLate(row, lane, 5500), false);
  assert.equal(isTooLate(row, lane, 9_000_000), false, "never tried, however old");
  assert.equal(isTooLate({ ...row, due_us: 5_900_000 }, lane, 9_000_000), false, "its next try was due in time");
  assert.equal(isTooLate({ ...row, due_us: 7_000_000 }, lane, 7000), true, "due when it was over");
  assert.equal(isTooLate({ ...row, expires_ms: 5400 }, lane, 5400), true);
  assert.equal(isTooLate({ ...row, expires_ms: 5400 }, lane, 5399), false);
});
