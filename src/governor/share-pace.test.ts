import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { LanePriority } from "../mail/lane.ts";
import { sharePace, type PaceUser } from "./share-pace.ts";

const user = (key: string, priority: LanePriority, takenPerS: number, wantsMore: boolean): PaceUser => ({
  key,
  priority,
  takenPerS,
  wantsMore,
});
const partOf = (pace: number, users: readonly PaceUser[], me: string, bulkPace?: number): number =>
  sharePace({ pace, users, me, ...(bulkPace === undefined ? {} : { bulkPace }) }).pace;

test("whoever is alone has all of it; whoever is in no row has nothing, once there are others", () => {
  assert.equal(partOf(100, [], "me"), 100);
  assert.equal(partOf(100, [user("me", "bulk", 5, false)], "me"), 100);
  assert.equal(partOf(100, [user("you", "bulk", 5, false)], "me"), 0);
});

test("bulk that wants all is lent what transactional mail leaves, and shares it equally", () => {
  const users = [user("t", "transactional", 20, false), user("b1", "bulk", 40, true), user("b2", "bulk", 1, true)];
  assert.equal(partOf(100, users, "t"), 25);
  assert.equal(partOf(100, users, "b1"), 37.5);
  assert.equal(partOf(100, users, "b2"), 37.5);
  const { reasons } = sharePace({ pace: 100, users, me: "b1" });
  assert.deepEqual(reasons, [
    { code: "relay_shared", limits: "pace", limit: 37.5, evidence: { transactional_per_s: 20, pace_per_s: 100 } },
  ]);
  assert.deepEqual(sharePace({ pace: 100, users, me: "t" }).reasons, []);
});

test("a transactional burst takes everything but bulk's floor", () => {
  const users = [user("t", "transactional", 20, true), user("b1", "bulk", 80, true), user("b2", "bulk", 80, true)];
  assert.equal(partOf(100, users, "t"), 99);
  assert.equal(partOf(100, users, "b1"), 0.5);
  assert.equal(partOf(2, users, "b1").toFixed(9), "0.100000000", "of a slow relay a tenth");
});

test("whoever wants nothing holds a part to begin with", () => {
  const users = [user("t", "transactional", 0, false), user("b", "bulk", 95, true), user("b2", "bulk", 0, false)];
  assert.ok(partOf(900, users, "t") >= 10);
  assert.ok(partOf(900, users, "b2") >= 2);
  assert.deepEqual(sharePace({ pace: 900, users, me: "b" }).reasons, []);
});

test("among equals nobody gets more by asking for more than an equal part", () => {
  const users = [user("a", "bulk", 8, false), user("b", "bulk", 500, true), user("c", "bulk", 500, true)];
  assert.equal(partOf(100, users, "a"), 10);
  assert.equal(partOf(100, users, "b"), 45);
});

test("a bound on bulk leaves the rest to transactional mail", () => {
  const users = [user("t", "transactional", 5, false), user("b1", "bulk", 90, true), user("b2", "bulk", 90, true)];
  assert.equal(partOf(100, users, "b1", 1), 0.5);
  assert.equal(partOf(100, users, "t", 1), 99);
});

test("without a limit nobody is limited", () => {
  const users = [user("t", "transactional", 5, true), user("b1", "bulk", 90, true)];
  assert.equal(partOf(Infinity, users, "t"), Infinity);
  assert.equal(partOf(Infinity, users, "b1"), Infinity);
});

const anyUser = fc.record({
  priority: fc.constantFrom<LanePriority>("transactional", "bulk"),
  takenPerS: fc.oneof(fc.double({ min: 0, max: 1e5, noNaN: true }), fc.constant(Number.NaN)),
  wantsMore: fc.boolean(),
});

test("whatever the rows, the parts are above zero, sum to no more than the pace, and do not depend on the rows' order", () => {
  fc.assert(
    fc.property(
      fc.array(anyUser, { minLength: 1, maxLength: 8 }),
      fc.oneof(fc.double({ min: 1e-6, max: 1e5, noNaN: true }), fc.constant(0)),
      fc.option(fc.double({ min: 0, max: 1e5, noNaN: true }), { nil: undefined }),
      (given, pace, bulkPace) => {
        const users = given.map((each, at) => ({ key: `user ${at}`, ...each }));
        const parts = users.map(({ key }) => partOf(pace, users, key, bulkPace));
        for (const part of parts) assert.ok(part >= 0 && part <= pace * (1 + 1e-9));
        assert.ok(sum(parts) <= pace * (1 + 1e-9), `${sum(parts)} of ${pace}`);
        const ofBulk = sum(parts.filter((_, at) => users[at]!.priority === "bulk"));
        assert.ok(ofBulk <= Math.min(pace, bulkPace ?? Infinity) * (1 + 1e-9));
        const turned = users.toReversed();
        assert.deepEqual(
          users.map(({ key }) => partOf(pace, turned, key, bulkPace)),
          parts,
        );
      },
    ),
    { numRuns: 1000 },
  );
});

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
