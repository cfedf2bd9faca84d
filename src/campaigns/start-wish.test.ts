// What people write for the start of a campaign, and what they are told when it cannot be meant.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readStartWish, type StartTexts } from "./start-wish.ts";

const NOW_MS = Date.parse("2026-11-27T12:00:00Z");
const clock = { wallMs: () => NOW_MS };
const HOUR_MS = 3_600_000;

function wishOf(texts: StartTexts) {
  const answer = readStartWish(texts, clock);
  assert.equal(answer.kind, "wish", JSON.stringify(answer));
  return answer.kind === "wish" ? answer.wish : assert.fail();
}

function problemsOf(texts: StartTexts): string {
  const answer = readStartWish(texts, clock);
  return answer.kind === "wish" ? "" : answer.problems.map(({ field, problem }) => `${field}: ${problem}`).join("\n");
}

test("nothing said: at once, at the governor's pace, all of it", () => {
  assert.deepEqual(wishOf({}), { when: { kind: "now" }, pacePerS: undefined, canary: undefined });
});

test("an instant, with its offset", () => {
  for (const at of ["2027-01-31T09:00:00Z", "2027-01-31T10:00+01:00", "2027-01-31T10:00+01:00[Europe/Vienna]"]) {
    assert.deepEqual(wishOf({ at }).when, { kind: "at", atMs: Date.parse("2027-01-31T09:00:00Z") });
  }
});

test("a local time, and the zone of those who name none", () => {
  assert.deepEqual(wishOf({ localTime: "2027-01-31 09:00" }).when, {
    kind: "local",
    localTime: "2027-01-31T09:00:00",
    zone: "UTC",
  });
  assert.deepEqual(wishOf({ localTime: "2027-01-31T09:00:30", timeZone: "Europe/Vienna" }).when, {
    kind: "local",
    localTime: "2027-01-31T09:00:30",
    zone: "Europe/Vienna",
  });
  // Over in Vienna, not yet in Honolulu.
  assert.equal(wishOf({ localTime: "2026-11-27T09:00" }).when.kind, "local");
});

test("a pace and a canary, with what goes without saying", () => {
  assert.equal(wishOf({ pace: "36,000/hr" }).pacePerS, 10);
  assert.deepEqual(wishOf({ canary: { share: "1%" } }).canary, { share: 0.01, waitMs: HOUR_MS / 4, limit: 0.05 });
  assert.deepEqual(wishOf({ canary: { share: "0.5 %", wait: "1 h", limit: "0%" } }).canary, {
    share: 0.005,
    waitMs: HOUR_MS,
    limit: 0,
  });
});

test("what cannot be meant is refused by the name of its field, with what to write", () => {
  const cases: readonly (readonly [StartTexts, RegExp])[] = [
    [{ at: "2026-11-27T11:59:59Z" }, /^at: "2026-11-27T11:59:59Z" is over: give a time to come, or none/],
    [{ at: "2026-11-27T12:00:00Z" }, /^at: .* is over/],
    [{ at: "2027-01-31T09:00" }, /^at: .* is no instant: write it with its offset, such as "2027-01-31T09:00:00Z"$/],
    [{ at: "tomorrow" }, /^at: "tomorrow" is no instant/],
    [{ at: "" }, /^at: "" is no instant/],
    [{ at: "2072-01-31T09:00:00Z" }, /^at: .* is more than 366 days ahead: check the year$/],
    [{ localTime: "2027-02-30T09:00" }, /^local_time: .* is no local time: write a day and a time, such as/],
    [{ localTime: "2027-01-31" }, /^local_time: .* is no local time/],
    [{ localTime: "2027-01-31T24:00" }, /^local_time: .* is no local time/],
    [{ localTime: "2027-01-31T09:00Z" }, /^local_time: .* is no local time/],
    // Half past eleven at night is the last of it, at UTC-12.
    [{ localTime: "2026-11-26T23:30" }, /^local_time: .* is over everywhere/],
    [{ localTime: "2072-01-31T09:00" }, /^local_time: .* is more than 366 days ahead/],
    [{ localTime: "2027-01-31T09:00", timeZone: "Mars" }, /^time_zone: "Mars" is not a time zone, such as/],
    [{ timeZone: "Europe/Vienna" }, /^time_zone: it goes with a local time only/],
    [{ at: "2027-01-31T09:00:00Z", localTime: "2027-01-31T09:00" }, /^local_time: give an instant or a local time/],
    [{ pace: "50000" }, /^pace: "50000" is not a rate such as "100\/s"/],
    [{ pace: "0/s" }, /^pace: "0\/s" is not between "1\/day" and "100,000\/s"$/],
    [{ pace: "1/w" }, /^pace: .* is not between/],
    [{ pace: "200,000/s" }, /^pace: .* is not between/],
    [{ canary: { wait: "1 h" } }, /^canary\.share: say which part of the list is tried first/],
    [{ canary: { share: "0%" } }, /^canary\.share: "0%" is no part of the list/],
    [{ canary: { share: "100%" } }, /^canary\.share: "100%" is no part of the list/],
    [{ canary: { share: "101%" } }, /^canary\.share: "101%" is not a share from 0 % to 100 %/],
    [{ canary: { share: "1" } }, /^canary\.share: "1" is not a share/],
    [{ canary: { share: "1%", wait: "15" } }, /^canary\.wait: "15" is not a duration such as/],
    [{ canary: { share: "1%", wait: "8 days" } }, /^canary\.wait: "8 days" is longer than 7 days$/],
    [{ canary: { share: "1%", limit: "100%" } }, /^canary\.limit: "100%" would stop nothing/],
    [{ canary: { share: "1%", limit: "x" } }, /^canary\.limit: "x" is not a share/],
  ];
  for (const [texts, expected] of cases) assert.match(problemsOf(texts), expected, JSON.stringify(texts));
});

test("all problems are told at once", () => {
  const told = problemsOf({ at: "soon", pace: "fast", canary: { share: "some", limit: "none" } });
  assert.deepEqual(
    told.split("\n").map((line) => line.split(":")[0]),
    ["at", "pace", "canary.share", "canary.limit"],
  );
});

test("no text makes it throw, nor gives what is out of bounds", () => {
  const text = fc.option(fc.string({ maxLength: 60 }), { nil: undefined });
  const canary = fc.option(fc.record({ share: text, wait: text, limit: text }), { nil: undefined });
  const texts = fc.record({ at: text, localTime: text, timeZone: text, pace: text, canary });
  fc.assert(
    fc.property(texts, (given) => {
      const answer = readStartWish(given, clock);
      if (answer.kind === "bad") return assert.ok(answer.problems.every(({ problem }) => problem.length < 200));
      if (answer.wish.when.kind === "at") assert.ok(answer.wish.when.atMs > NOW_MS);
      if (answer.wish.pacePerS !== undefined) assert.ok(answer.wish.pacePerS > 0);
    }),
  );
});
