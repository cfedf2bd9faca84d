import assert from "node:assert/strict";
import { test } from "node:test";
import type { RetryExponential, RetryList } from "../mail/lane.ts";
import { nextTryAt, OUTLET_RETRY_MS, type RetryQuestion } from "./retry-schedule.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const transactional: RetryList = {
  kind: "list",
  delaysMs: [15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE],
};
const bulk: RetryExponential = { kind: "exponential", firstMs: 15 * MINUTE, factor: 2, capMs: 6 * HOUR, jitter: 0.2 };

function ask(over: Partial<RetryQuestion>): number | "expired" {
  const question: RetryQuestion = {
    attempts: 1,
    schedule: transactional,
    nowMs: 0,
    expiresAtMs: 7 * DAY,
    scope: "recipient",
    random: () => 0.5,
    ...over,
  };
  const next = nextTryAt(question);
  return next.kind === "expired" ? "expired" : next.atMs;
}

/** Tries until expiry when every one fails at once, the first at acceptance. */
function countTries(schedule: RetryExponential, random: () => number): number {
  let tries = 0;
  for (let nowMs = 0; nowMs < 7 * DAY;) {
    tries += 1;
    const next = nextTryAt({ attempts: tries, schedule, nowMs, expiresAtMs: 7 * DAY, scope: "recipient", random });
    if (next.kind === "expired") break;
    nowMs = next.atMs;
  }
  return tries;
}

test("a list is followed step by step and its last delay repeats", () => {
  const waits = [1, 2, 3, 4, 5, 6, 100].map((attempts) => ask({ attempts }));
  const seconds = [15, 60, 300, 900, 1800, 1800, 1800];
  assert.deepEqual(
    waits,
    seconds.map((wait) => wait * SECOND),
  );
});

test("exponential delays double up to the cap", () => {
  const waits = [1, 2, 3, 4, 5, 6, 5000].map((attempts) => ask({ attempts, schedule: bulk }));
  assert.deepEqual(
    waits,
    [15, 30, 60, 120, 240, 360, 360].map((wait) => wait * MINUTE),
  );
});

test("jitter spreads a delay to both sides by its share, and no further", () => {
  assert.equal(ask({ schedule: bulk, random: () => 0 }), 12 * MINUTE);
  const latest = ask({ schedule: bulk, random: () => 0.999_999 });
  assert.ok(latest !== "expired" && latest > 17.9 * MINUTE && latest <= 18 * MINUTE);
});

test("bulk makes about 32 tries in seven days, whatever the dice say", () => {
  assert.equal(
    countTries(bulk, () => 0.5),
    32,
  );
  let seed = 1;
  const dice = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
  for (let run = 0; run < 200; run += 1) {
    const tries = countTries(bulk, dice);
    assert.ok(tries >= 28 && tries <= 36, `${tries} tries`);
  }
});

test("a failure of the destination or the outlet leaves the message's own schedule alone", () => {
  for (const scope of ["destination", "outlet"] as const) {
    for (const attempts of [0, 1, 7]) assert.equal(ask({ scope, attempts, schedule: bulk }), OUTLET_RETRY_MS);
  }
});

test("no try lies at or past expiry: the message is due a second later, when it has expired for certain", () => {
  for (const [scope, s] of [
    ["recipient", 15],
    ["outlet", 5],
  ] as const) {
    assert.equal(ask({ expiresAtMs: (s - 1) * SECOND, scope }), s * SECOND);
    assert.equal(ask({ expiresAtMs: s * SECOND, scope }), (s + 1) * SECOND);
    assert.equal(ask({ expiresAtMs: s * SECOND + 1, scope }), s * SECOND);
  }
});

test("after expiry there is no next try", () => {
  assert.equal(ask({ nowMs: 5, expiresAtMs: 5 }), "expired");
  assert.equal(ask({ nowMs: 6, expiresAtMs: 5, scope: "outlet" }), "expired");
});
