import assert from "node:assert/strict";
import { test } from "node:test";
import { paceBetween } from "./campaign-report.ts";
import { totalsOf } from "./status-report.ts";

const before = totalsOf([{ state: "queued", n: 1000 }]);

test("the pace counts what left the queue, whatever became of it", () => {
  const after = totalsOf([
    { state: "queued", n: 800 },
    { state: "sent", n: 150 },
    { state: "bounced", n: 10 },
    { state: "deferred", n: 40 },
  ]);
  assert.deepEqual(paceBetween(before, after, 2000), { rate_per_s: 100, eta_s: 8 });
});

test("nothing went out: no time that is left can be told", () => {
  assert.deepEqual(paceBetween(before, before, 1000), { rate_per_s: 0, eta_s: null });
});
