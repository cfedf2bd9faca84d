import assert from "node:assert/strict";
import { test } from "node:test";
import { paceOutlet } from "./outlet-pace.ts";
import { learnReading, type RelaySettings, type RelayState } from "./relay-law.ts";
import { learnReplies } from "./reply-law.ts";
import { governOutlet, healthyOutlet, recordFailure } from "./verdict.ts";

const SETTINGS: RelaySettings = { horizonMs: 30_000, maxQueue: 6000, maxPlug: 2000 };

function relay(queue: number, deferred = 0): { settings: RelaySettings; state: RelayState; databaseMs: number } {
  let state: RelayState | undefined;
  for (let s = 1; s <= 40; s++) {
    state = learnReading(state, { atMs: s * 1000, queue, deferred, handedSince: 100 }, SETTINGS);
  }
  return { settings: SETTINGS, state: state!, databaseMs: 40_500 };
}
const codesOf = ({ reasons }: { readonly reasons: readonly { readonly code: string }[] }): readonly string[] =>
  reasons.map(({ code }) => code);
const users = (urgentPerS: number, wantsMore: boolean) => [
  { key: "t", priority: "transactional" as const, takenPerS: urgentPerS, wantsMore },
  { key: "b", priority: "bulk" as const, takenPerS: 50, wantsMore: true },
];

test("without a gauge and without max_rate the pace is not limited, and there is no reason", () => {
  assert.deepEqual(paceOutlet({}), { pace: Infinity, reasons: [] });
  assert.equal(paceOutlet({ maxRatePerS: 7 }).pace, 7);
  assert.deepEqual(codesOf(paceOutlet({ maxRatePerS: 7 })), ["max_rate"]);
  const shared = { maxRatePerS: 7, sharers: { users: users(0, true), me: "b" }, priority: "bulk" as const };
  assert.ok(paceOutlet(shared).pace < 1, "lanes share max_rate as well");
});

test("a full plug is bulk's matter alone", () => {
  const plugged = relay(3000, 2000);
  const bulk = paceOutlet({ relay: plugged, priority: "bulk" });
  const urgent = paceOutlet({ relay: plugged, priority: "transactional" });
  assert.deepEqual([bulk.pace, codesOf(bulk)[0]], [1, "plug_full"]);
  assert.ok(urgent.pace > 90 && !codesOf(urgent).includes("plug_full"));
});

test("transactional mail that takes most of the relay is what binds bulk, and a little of it is not", () => {
  const most = paceOutlet({ relay: relay(3000), priority: "bulk", sharers: { users: users(80, true), me: "b" } });
  assert.deepEqual([most.pace, ...codesOf(most)], [1, "relay_shared", "relay_drain"]);
  const little = paceOutlet({ relay: relay(3000), priority: "bulk", sharers: { users: users(5, false), me: "b" } });
  assert.deepEqual(codesOf(little), ["relay_drain", "relay_shared"]);
});

test("while the queue drains, transactional mail has a little, and its dispatchers share that", () => {
  const over = relay(4500);
  const two = [...users(5, true), { key: "t2", priority: "transactional" as const, takenPerS: 0, wantsMore: false }];
  assert.equal(paceOutlet({ relay: over, priority: "bulk", sharers: { users: two, me: "b" } }).pace, 0);
  const urgent = paceOutlet({ relay: over, priority: "transactional", sharers: { users: two, me: "t" } });
  assert.equal(urgent.pace.toFixed(2), "2.50");
});

test("governOutlet: window and pace have their own limits, and what lets least through stands first", () => {
  const calm = governOutlet(healthyOutlet, { openMax: 20, relay: relay(3000) }, 500);
  assert.equal(calm.window, 20);
  assert.equal(Math.round(calm.pace), 100);
  assert.deepEqual(codesOf(calm), ["relay_drain", "window_fixed"]);
  assert.equal(calm.changesAtMs, 500 + 4500, "then the reading is stale");

  const narrow = governOutlet(healthyOutlet, { openMax: 1, relay: relay(3000) }, 500);
  assert.deepEqual(codesOf(narrow), ["window_fixed", "relay_drain"]);

  const failed = governOutlet(
    recordFailure(healthyOutlet, 0, "refused", "unreachable"),
    { openMax: 20, relay: relay(3000) },
    500,
  );
  assert.equal(failed.window, 0);
  assert.deepEqual(codesOf(failed), ["relay_unreachable", "window_fixed", "relay_drain"]);
  assert.equal(failed.changesAtMs, 1000);
});

test("governOutlet: replies cut the window, and leave a slot", () => {
  let replies = learnReplies(undefined, { atMs: 0, answers: 100, latencyMs: 20, temporary: 0, closings: 0 });
  for (let s = 1; s < 30; s++) {
    replies = learnReplies(replies, { atMs: s * 1000, answers: 100, latencyMs: 20, temporary: 50, closings: 0 });
  }
  const verdict = governOutlet(healthyOutlet, { openMax: 40, share: 0.5, replies }, 0);
  assert.equal(verdict.window, 1);
  assert.deepEqual(codesOf(verdict), ["relay_pushes_back", "lane_share", "window_fixed"]);
});
