// When a canary stops its campaign, when it is watched, and when the others go.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CanaryFigures } from "./canary-store.ts";
import { canaryVerdict, tellCanary } from "./judge-canary.ts";

const SENDING: CanaryFigures = {
  state: "sending",
  rows: 100,
  made: 100,
  queued: 0,
  deferred: 0,
  bounced: 0,
  held: 0,
  expired: 0,
  watched_ms: null,
  wait_ms: 60_000,
  limit: 0.05,
};
const WATCHED: Partial<CanaryFigures> = { state: "watching", watched_ms: 59_999 };

test("by a table", () => {
  const cases: readonly (readonly [string, Partial<CanaryFigures>, string])[] = [
    ["nobody has a message yet", { made: 0 }, "wait"],
    ["some have none yet", { made: 99 }, "wait"],
    ["some were not tried", { queued: 50 }, "wait"],
    ["too many were not tried to tell", { queued: 6 }, "wait"],
    ["those not tried cannot change it", { queued: 5 }, "watch"],
    ["those not tried could change it", { queued: 3, bounced: 3 }, "wait"],
    ["all were tried", {}, "watch"],
    ["as many failed as may", { deferred: 2, bounced: 1, held: 1, expired: 1 }, "watch"],
    ["one more", { deferred: 2, bounced: 1, held: 2, expired: 1 }, "stop"],
    ["too many failed while the others wait", { queued: 94, deferred: 6 }, "stop"],
    ["too many failed before all were made", { made: 10, bounced: 6 }, "stop"],
    ["the wait is not over", WATCHED, "wait"],
    ["the wait is over", { ...WATCHED, watched_ms: 60_000 }, "pass"],
    ["a bounce comes home while it is watched", { ...WATCHED, bounced: 6 }, "stop"],
    ["deferred ones went after all", { ...WATCHED, watched_ms: 70_000, deferred: 5 }, "pass"],
    ["no wait", { ...WATCHED, watched_ms: 0, wait_ms: 0 }, "pass"],
    ["none may fail, and none did", { limit: 0 }, "watch"],
    ["none may fail, and one did", { limit: 0, held: 1 }, "stop"],
    ["none may fail, and one is not tried", { limit: 0, queued: 1 }, "wait"],
    ["29 % of 100, in floating point", { limit: 0.29, bounced: 29 }, "watch"],
    ["the list has lost some of it", { rows: 98, made: 98 }, "watch"],
  ];
  for (const [name, figures, kind] of cases) assert.equal(canaryVerdict({ ...SENDING, ...figures }).kind, kind, name);
});

test("too many failures stop it in every state, and too few never do", () => {
  const count = fc.nat({ max: 50 });
  const figures = fc.record({
    state: fc.constantFrom("sending" as const, "watching" as const),
    made: fc.nat({ max: 1000 }),
    queued: count,
    deferred: count,
    bounced: count,
    held: count,
    expired: count,
    watched_ms: fc.nat({ max: 100_000 }),
    limit: fc.constantFrom(0, 0.01, 0.05, 0.29, 0.5),
  });
  fc.assert(
    fc.property(figures, (given) => {
      const verdict = canaryVerdict({ ...SENDING, rows: 1000, ...given });
      const failed = given.deferred + given.bounced + given.held + given.expired;
      assert.equal(verdict.kind === "stop", failed > Math.round(given.limit * 1000));
    }),
  );
});

test("the evidence is told", () => {
  const verdict = canaryVerdict({ ...SENDING, queued: 10, deferred: 6, bounced: 2 });
  assert.ok(verdict.kind === "stop");
  assert.equal(
    tellCanary(verdict.because),
    "of the first 100 recipients 90 were tried: 6 deferred, 2 bounced; 5 % may fail",
  );
});
