import assert from "node:assert/strict";
import { test } from "node:test";
import { createRecentMap } from "./recent-map.ts";

test("the last entries are remembered, and it says since when all of them are", () => {
  const map = createRecentMap<number, string>(10);
  for (let key = 0; key < 35; key++) map.set(key, `value ${key}`, key * 100);
  assert.equal(map.get(34), "value 34");
  assert.equal(map.get(25), "value 25");
  assert.equal(map.get(20), "value 20");
  assert.equal(map.get(19), undefined);
  assert.equal(map.completeSince, 2000);
});

test("nothing is forgotten while there is room", () => {
  const map = createRecentMap<string, number>(2);
  map.set("a", 1, 5);
  map.set("a", 2, 6);
  map.set("b", 3, 7);
  assert.deepEqual([map.get("a"), map.get("b"), map.completeSince], [2, 3, -Infinity]);
});

test("what is set again stays", () => {
  const map = createRecentMap<string, number>(2);
  for (const [index, key] of ["a", "b", "a", "c", "a", "d", "a", "e"].entries()) map.set(key, index, index);
  assert.equal(map.get("a"), 6);
  assert.equal(map.get("b"), undefined);
});
