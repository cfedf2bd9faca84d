// Local times on the nights of clock changes, and beside them: each has one instant. A missing time is as much later as the
// clocks were put forward, of a time that comes twice the first is meant (RFC 5545 §3.3.5).

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { instantOf, parseLocalTime } from "./local-time.ts";

type Case = readonly [zone: string, localTime: string, instant: string];

const GAPS: readonly Case[] = [
  // 02:00 CET → 03:00 CEST.
  ["Europe/Berlin", "2027-03-28T01:59", "2027-03-28T00:59:00Z"],
  ["Europe/Berlin", "2027-03-28T02:00", "2027-03-28T01:00:00Z"],
  ["Europe/Berlin", "2027-03-28T02:30", "2027-03-28T01:30:00Z"],
  ["Europe/Berlin", "2027-03-28T02:59", "2027-03-28T01:59:00Z"],
  ["Europe/Berlin", "2027-03-28T03:00", "2027-03-28T01:00:00Z"],
  ["Europe/Berlin", "2027-03-28T03:30", "2027-03-28T01:30:00Z"],
  // 02:00 EST → 03:00 EDT.
  ["America/New_York", "2027-03-14T01:59", "2027-03-14T06:59:00Z"],
  ["America/New_York", "2027-03-14T02:00", "2027-03-14T07:00:00Z"],
  ["America/New_York", "2027-03-14T02:30", "2027-03-14T07:30:00Z"],
  ["America/New_York", "2027-03-14T03:00", "2027-03-14T07:00:00Z"],
  // Half an hour: 02:00 +10:30 → 02:30 +11:00.
  ["Australia/Lord_Howe", "2027-10-03T01:59", "2027-10-02T15:29:00Z"],
  ["Australia/Lord_Howe", "2027-10-03T02:00", "2027-10-02T15:30:00Z"],
  ["Australia/Lord_Howe", "2027-10-03T02:15", "2027-10-02T15:45:00Z"],
  ["Australia/Lord_Howe", "2027-10-03T02:29", "2027-10-02T15:59:00Z"],
  ["Australia/Lord_Howe", "2027-10-03T02:30", "2027-10-02T15:30:00Z"],
  // The day that Samoa has not had: from −10:00 to +14:00 at midnight before the 30th.
  ["Pacific/Apia", "2011-12-29T23:59", "2011-12-30T09:59:00Z"],
  ["Pacific/Apia", "2011-12-30T00:00", "2011-12-30T10:00:00Z"],
  ["Pacific/Apia", "2011-12-30T09:00", "2011-12-30T19:00:00Z"],
  ["Pacific/Apia", "2011-12-30T23:59", "2011-12-31T09:59:00Z"],
  ["Pacific/Apia", "2011-12-31T00:00", "2011-12-30T10:00:00Z"],
  ["Pacific/Apia", "2011-12-31T09:00", "2011-12-30T19:00:00Z"],
  // Its first summer time: midnight −11:00 → 01:00 −10:00, of the 26th of September 2010.
  ["Pacific/Apia", "2010-09-25T23:59", "2010-09-26T10:59:00Z"],
  ["Pacific/Apia", "2010-09-26T00:00", "2010-09-26T11:00:00Z"],
  ["Pacific/Apia", "2010-09-26T00:30", "2010-09-26T11:30:00Z"],
  ["Pacific/Apia", "2010-09-26T01:00", "2010-09-26T11:00:00Z"],
  ["Pacific/Apia", "2011-09-24T03:00", "2011-09-24T14:00:00Z"],
  ["Pacific/Apia", "2011-09-24T04:00", "2011-09-24T14:00:00Z"],
  // After Ramadan: 02:00 +00:00 → 03:00 +01:00.
  ["Africa/Casablanca", "2024-04-14T01:59", "2024-04-14T01:59:00Z"],
  ["Africa/Casablanca", "2024-04-14T02:30", "2024-04-14T02:30:00Z"],
  ["Africa/Casablanca", "2024-04-14T03:00", "2024-04-14T02:00:00Z"],
];

const OVERLAPS: readonly Case[] = [
  // 03:00 CEST → 02:00 CET.
  ["Europe/Berlin", "2027-10-31T01:59", "2027-10-30T23:59:00Z"],
  ["Europe/Berlin", "2027-10-31T02:00", "2027-10-31T00:00:00Z"],
  ["Europe/Berlin", "2027-10-31T02:30", "2027-10-31T00:30:00Z"],
  ["Europe/Berlin", "2027-10-31T02:59", "2027-10-31T00:59:00Z"],
  ["Europe/Berlin", "2027-10-31T03:00", "2027-10-31T02:00:00Z"],
  // 02:00 EDT → 01:00 EST.
  ["America/New_York", "2027-11-07T00:59", "2027-11-07T04:59:00Z"],
  ["America/New_York", "2027-11-07T01:00", "2027-11-07T05:00:00Z"],
  ["America/New_York", "2027-11-07T01:30", "2027-11-07T05:30:00Z"],
  ["America/New_York", "2027-11-07T02:00", "2027-11-07T07:00:00Z"],
  // Half an hour: 02:00 +11:00 → 01:30 +10:30.
  ["Australia/Lord_Howe", "2027-04-04T01:29", "2027-04-03T14:29:00Z"],
  ["Australia/Lord_Howe", "2027-04-04T01:30", "2027-04-03T14:30:00Z"],
  ["Australia/Lord_Howe", "2027-04-04T01:45", "2027-04-03T14:45:00Z"],
  ["Australia/Lord_Howe", "2027-04-04T02:00", "2027-04-03T15:30:00Z"],
  // 04:00 −10:00 → 03:00 −11:00.
  ["Pacific/Apia", "2011-04-02T02:59", "2011-04-02T12:59:00Z"],
  ["Pacific/Apia", "2011-04-02T03:00", "2011-04-02T13:00:00Z"],
  ["Pacific/Apia", "2011-04-02T03:30", "2011-04-02T13:30:00Z"],
  ["Pacific/Apia", "2011-04-02T04:00", "2011-04-02T15:00:00Z"],
  // Ramadan begins: 03:00 +01:00 → 02:00 +00:00.
  ["Africa/Casablanca", "2024-03-10T02:30", "2024-03-10T01:30:00Z"],
  ["Africa/Casablanca", "2024-03-10T03:00", "2024-03-10T03:00:00Z"],
];

const PLAIN: readonly Case[] = [
  ["Europe/Berlin", "2027-01-31T09:00", "2027-01-31T08:00:00Z"],
  ["Europe/Berlin", "2027-07-31T09:00", "2027-07-31T07:00:00Z"],
  ["America/New_York", "2027-07-31T09:00", "2027-07-31T13:00:00Z"],
  ["Australia/Lord_Howe", "2027-01-31T09:00", "2027-01-30T22:00:00Z"],
  ["Pacific/Apia", "2027-07-31T09:00", "2027-07-30T20:00:00Z"],
  ["Asia/Tokyo", "2027-03-28T02:30", "2027-03-27T17:30:00Z"],
  ["Asia/Kathmandu", "2027-03-28T02:30", "2027-03-27T20:45:00Z"],
  ["America/Phoenix", "2027-03-14T02:30", "2027-03-14T09:30:00Z"],
  ["UTC", "2027-03-28T02:30", "2027-03-28T02:30:00Z"],
  ["Etc/GMT+12", "2027-03-28T02:30", "2027-03-28T14:30:00Z"],
  ["Pacific/Kiritimati", "2027-03-28T02:30", "2027-03-27T12:30:00Z"],
];

for (const [name, cases] of [
  ["a time that is missing is as much later as the clocks were put forward", GAPS],
  ["of a time that comes twice the first is meant", OVERLAPS],
  ["without a change of clocks, and in zones that have none", PLAIN],
] as const) {
  test(name, () => {
    for (const [zone, localTime, instant] of cases) {
      const got = new Date(instantOf(localTime, zone)).toISOString();
      assert.equal(got, new Date(instant).toISOString(), `${localTime} in ${zone}`);
    }
  });
}

test("there are enough cases", () => assert.ok(GAPS.length + OVERLAPS.length + PLAIN.length >= 40));

test("every minute of such a night has one instant, and it says that minute or one that was skipped", () => {
  const nights = [
    ["Europe/Berlin", "2027-03-28"],
    ["Europe/Berlin", "2027-10-31"],
    ["America/New_York", "2027-03-14"],
    ["America/New_York", "2027-11-07"],
    ["Australia/Lord_Howe", "2027-10-03"],
    ["Australia/Lord_Howe", "2027-04-04"],
    ["Pacific/Apia", "2011-12-30"],
    ["Pacific/Apia", "2011-04-02"],
  ] as const;
  fc.assert(
    fc.property(fc.constantFrom(...nights), fc.nat({ max: 23 }), fc.nat({ max: 59 }), ([zone, day], hour, minute) => {
      const two = (n: number): string => String(n).padStart(2, "0");
      const localTime = `${day}T${two(hour)}:${two(minute)}`;
      const said = clockOf(instantOf(localTime, zone), zone);
      assert.ok(said >= localTime, `${said} is before ${localTime}`);
      // What was skipped was a day at most, and else it is the very minute.
      assert.ok(Date.parse(`${said}Z`) - Date.parse(`${localTime}Z`) <= 24 * 3_600_000);
    }),
  );
});

function clockOf(atMs: number, timeZone: string): string {
  return new Intl.DateTimeFormat("sv-SE", { timeZone, dateStyle: "short", timeStyle: "short" })
    .format(atMs)
    .replace(" ", "T");
}

test("a local time is a day and a time, and such a day must exist", () => {
  assert.equal(parseLocalTime("2027-03-28T09:00"), "2027-03-28T09:00:00");
  assert.equal(parseLocalTime("2028-02-29 23:59:59"), "2028-02-29T23:59:59");
  const wrong = [
    "2027-02-29T09:00",
    "2027-13-01T09:00",
    "2027-03-28",
    "09:00",
    "2027-03-28T25:00",
    "2027-03-28T09:60",
    "2027-03-28T09:00Z",
    "2027-03-28T09:00+01:00",
    "2027-3-28T9:00",
    "28.03.2027 09:00",
    "",
    "2027-03-28T09:00 ",
  ];
  for (const text of wrong) assert.equal(parseLocalTime(text), undefined, text);
});
