import assert from "node:assert/strict";
import { test } from "node:test";
import type { LeaseId } from "../mail/ids.ts";
import { createOutletWatch } from "./outlet-watch.ts";
import { handedAt, latestOf, paceUsers, stateOf, takeStep } from "./relay-steps.ts";
import type { OutletUser, Surroundings } from "./verdict-store.ts";

const SETTINGS = { name: "news", horizonMs: 30_000, maxQueue: 6000, maxPlug: 2000 };
const reading = (number: number, at_ms: number, queue: number) => ({ number, at_ms, body: { queue, deferred: 0 } });
const user = (lease: number, changes: Partial<OutletUser> = {}): OutletUser => ({
  lease_id: lease as LeaseId,
  priority: "bulk",
  pulse_at_ms: 0,
  outlets: [{ name: "news", handed_total: 1000, taken_per_s: 200, wants_more: true }],
  ...changes,
});
const around = (...users: readonly OutletUser[]): Surroundings => ({ outlets: [], users, pauses: [] });

test("each reading is one step, and the drain follows from what was handed over between two", () => {
  const first = takeStep(undefined, reading(1, 0, 500), () => ({ 7: 1000 }), SETTINGS)!;
  assert.equal(
    takeStep(first, reading(1, 0, 500), () => ({ 7: 1100 }), SETTINGS),
    first,
  );
  let known = first;
  for (let second = 1; second <= 20; second++) {
    known = takeStep(known, reading(second + 1, second * 1000, 500), () => ({ 7: 1000 + 200 * second }), SETTINGS)!;
  }
  assert.equal(known.number, 21);
  assert.ok(Math.abs(known.relay!.usualDrainPerS - 200) < 10, `drains ${known.relay!.usualDrainPerS}/s`);
});

test("the step of whoever was first is taken over, and one that is not understood is not", () => {
  const own = takeStep(undefined, reading(3, 0, 10), () => ({}), SETTINGS)!;
  const others = takeStep(own, reading(4, 1000, 10), () => ({ 7: 5 }), SETTINGS)!;
  const row = { reading_number: 4, state: JSON.parse(JSON.stringify(stateOf(others))) };
  assert.deepEqual(JSON.parse(JSON.stringify(latestOf(own, row))), JSON.parse(JSON.stringify(others)));
  assert.equal(latestOf(others, { ...row, reading_number: 3 }), others);
  assert.equal(latestOf(own, { reading_number: 9, state: { version: 99 } }), own);
  assert.equal(latestOf(own, null), own);
});

test("what others have handed over is carried on from their pulse to the reading", () => {
  const watched = createOutletWatch(0);
  const limits = { name: "news" };
  const handed = handedAt({ limits, watched }, around(user(1), user(2), user(3, { outlets: [] })), "2", 500);
  assert.deepEqual(handed, { 1: 1100, 2: 0 });
});

test("who uses the outlet is who says so", () => {
  assert.deepEqual(paceUsers(around(user(1), user(2, { outlets: [{ name: "other" }] })), "news"), [
    { key: "1", priority: "bulk", takenPerS: 200, wantsMore: true },
  ]);
  assert.deepEqual(paceUsers(undefined, "news"), []);
});
