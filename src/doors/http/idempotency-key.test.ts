import assert from "node:assert/strict";
import { test } from "node:test";
import { readIdempotencyKey } from "./idempotency-key.ts";
import { Problem } from "./problem.ts";

test("quoted and bare are the same key, and none is none", () => {
  assert.equal(readIdempotencyKey(undefined), undefined);
  assert.equal(readIdempotencyKey(["order-4711"]), "order-4711");
  assert.equal(readIdempotencyKey(['"order-4711"']), "order-4711");
  assert.equal(readIdempotencyKey([String.raw`"a \"b\" \\ c"`]), String.raw`a "b" \ c`);
  assert.equal(readIdempotencyKey(["x".repeat(256)])?.length, 256);
});

test("what cannot be a key is refused with what to do", () => {
  const bad = ["", '""', '"', '"open', '"a"b', String.raw`"\a"`, "x".repeat(257), "é", "a\u0007"];
  for (const values of [...bad.map((value) => [value]), ["a", "b"]]) {
    assert.throws(
      () => readIdempotencyKey(values),
      (error: unknown) => error instanceof Problem && error.code === "bad_idempotency_key" && error.facts.hint !== "",
      JSON.stringify(values),
    );
  }
});
