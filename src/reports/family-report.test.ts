import assert from "node:assert/strict";
import { test } from "node:test";
import type { State } from "../mail/state.ts";
import type { CampaignReport } from "./campaign-report.ts";
import { familyOf } from "./family-report.ts";
import { totalsOf } from "./status-report.ts";

type Counts = Readonly<Partial<Record<State, number>>>;

/** Only what a family reads. */
function reportOf(counts: Counts, notAccepted = 0): CampaignReport {
  const rows = Object.entries(counts).map(([state, n]) => ({ state: state as State, n }));
  return { not_accepted: notAccepted, books: totalsOf(rows) } as CampaignReport;
}

const nonZero = ({ states }: CampaignReport["books"]): Counts =>
  Object.fromEntries(Object.entries(states).filter(([, n]) => n !== 0));

test("whoever is in a rest stands where they stand there, and no more where they stood", () => {
  const root = reportOf({ sent: 90, canceled: 8, expired: 2 }, 5);
  const first = reportOf({ sent: 10, expired: 5 });
  const second = reportOf({ queued: 5 });
  const stood = [{ rest_stood: { canceled: 8, expired: 2, not_accepted: 5 } }, { rest_stood: { expired: 5 } }];
  const family = familyOf(root, stood, [first, second]);
  assert.deepEqual([family.recipients, family.not_accepted], [105, 0]);
  assert.deepEqual(nonZero(family.books), { sent: 100, queued: 5 });
});

test("a rest that has not started has accepted nobody", () => {
  const family = familyOf(reportOf({ sent: 1, expired: 2 }), [{ rest_stood: { expired: 2 } }], [reportOf({}, 2)]);
  assert.deepEqual([family.recipients, family.not_accepted], [3, 2]);
  assert.deepEqual(nonZero(family.books), { sent: 1 });
});

test("who was sent it, was named, and has moved on since, is taken out where they are now", () => {
  const root = reportOf({ delivered: 1, bounced: 1 });
  const family = familyOf(root, [{ rest_stood: { sent: 2 } }], [reportOf({ sent: 2 })]);
  // Which of both stays cannot be told; that they are two people can.
  assert.equal(family.books.accepted, 2);
  assert.ok(family.books.adds_up);
});

test("what cannot be shows: more taken out of a state than ever stood in it", () => {
  const family = familyOf(reportOf({ canceled: 1 }), [{ rest_stood: { canceled: 2 } }], [reportOf({ sent: 2 })]);
  assert.equal(family.books.adds_up, false);
});
