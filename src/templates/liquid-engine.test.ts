import assert from "node:assert/strict";
import { test } from "node:test";
import { fillTemplate, openTemplate } from "./fill-template.ts";

const fill = (text: string, v: unknown): string | undefined =>
  fillTemplate(openTemplate({ subject: "x", text }), { v }).text;

test("a list that is given for a property's name is refused, and not read anew for each element", () => {
  const many = Array.from({ length: 50_000 }, (_, index) => `x${index}`);
  for (const filter of [
    "map",
    "sort",
    "sort_natural",
    "sum",
    "where",
    "reject",
    "group_by",
    "has",
    "find",
    "find_index",
  ])
    assert.throws(() => fill(`{{ v | ${filter}: v }}`, many), /wants a name of at most 1000 characters/, filter);
  for (const filter of ["where_exp", "find_exp"])
    assert.throws(() => fill(`{{ v | ${filter}: 'one', v }}`, many), /wants a name/, filter);
  assert.equal(fill("{{ v | map: 'a.b' | join }}", [{ a: { b: 1 } }, { a: { b: 2 } }]), "1 2");
  assert.equal(fill("{{ v | sort | first }}", ["b", "a"]), "a");
});

test("where a slice begins is read once", () => {
  const beganAt = performance.now();
  assert.equal(fill("{{ v | slice: v }}", "9".repeat(100_000)), "");
  assert.ok(performance.now() - beganAt < 10_000);
  for (const [filter, result] of [
    ["slice: 1, 2", "bc"],
    ["slice: -2, 1", "c"],
    ["slice: '1'", "b"],
  ])
    assert.equal(fill(`{{ v | ${filter} }}`, "abcd"), result, filter);
});
