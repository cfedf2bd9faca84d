import assert from "node:assert/strict";
import { test } from "node:test";
import type { LeaseId } from "../mail/ids.ts";
import { createOverdueLeases } from "./overdue-leases.ts";

const lease = (id: number, late_ms: number) => ({ id: id as LeaseId, late_ms });
const ids = (leases: readonly { readonly id: LeaseId }[]) => leases.map(({ id }) => id);

test("a lease is overdue a grace after its end", () => {
  const overdue = createOverdueLeases(60_000);
  assert.deepEqual(ids(overdue.among([lease(1, -5000), lease(2, 0)], 0)), []);
  assert.deepEqual(ids(overdue.among([lease(1, 54_999), lease(2, 59_999)], 59_999)), []);
  assert.deepEqual(ids(overdue.among([lease(1, 55_001), lease(2, 60_001)], 60_001)), [2]);
});

test("one that is long over when it is first seen is left to its holder for ten seconds more", () => {
  const overdue = createOverdueLeases(60_000);
  assert.deepEqual(ids(overdue.among([lease(1, 105_000)], 0)), []);
  assert.deepEqual(ids(overdue.among([lease(1, 114_999)], 9999)), []);
  assert.deepEqual(ids(overdue.among([lease(1, 115_000)], 10_000)), [1]);
});

test("one that was renewed begins anew", () => {
  const overdue = createOverdueLeases(1000);
  overdue.among([lease(1, 500)], 0);
  overdue.among([lease(1, -500)], 1000);
  assert.deepEqual(ids(overdue.among([lease(1, 2000)], 5000)), []);
  assert.deepEqual(ids(overdue.among([lease(1, 3000)], 6000)), [1]);
});
