import assert from "node:assert/strict";
import { test } from "node:test";
import { JSON_DEPTH_MAX } from "./http-limits.ts";
import { readJson, refuseUnkeepable } from "./json-body.ts";
import { Problem, type ProblemCode } from "./problem.ts";

function read(text: string, valuesMax = 1000): unknown {
  const value = readJson(Buffer.from(text), valuesMax);
  refuseUnkeepable(value);
  return value;
}

function assertRefused(code: ProblemCode, act: () => unknown, what: RegExp): void {
  assert.throws(act, (error: unknown) => error instanceof Problem && error.code === code && what.test(error.message));
}

test("what is JSON is read, and brackets in texts count for nothing", () => {
  assert.deepEqual(read('{"a":"[[[{{{,,,:::","b":"\\"[","c":"\\\\"}'), { a: "[[[{{{,,,:::", b: '"[', c: "\\" });
  assert.equal(read(""), undefined);
  assert.deepEqual(read("\ufeff[1]"), [1]);
});

test("depth, values and items are counted before anything is made of them", () => {
  const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
  assert.doesNotThrow(() => read(nested(JSON_DEPTH_MAX)));
  assertRefused("body_too_complex", () => read(nested(JSON_DEPTH_MAX + 1)), /nested more than 20 deep/);
  // Not even JSON: counted all the same, without an end.
  assertRefused("body_too_complex", () => read("[".repeat(1e6)), /nested/);
  assertRefused("body_too_complex", () => read(`[[${"1,".repeat(1000)}1]]`), /more than 1,000 values/);
  const items = (count: number): string => `[${Array<string>(count).fill("1").join(",")}]`;
  assert.equal((read(items(1000), 2000) as readonly unknown[]).length, 1000);
  assertRefused("limit_exceeded", () => read(items(1001), 2000), /more than 1,000 emails/);
});

test("what is no JSON, no UTF-8, or cannot be kept is refused, and quoted without control characters", () => {
  assertRefused("bad_json", () => read('{"a":\u0007}'), /^\P{Cc}*$/u);
  assertRefused("bad_json", () => read('{"a'), /no JSON/);
  assertRefused("bad_json", () => readJson(Buffer.from([0x22, 0xff, 0x22]), 10), /UTF-8/);
  for (const bad of [String.raw`"\u0000"`, String.raw`["\ud800"]`, String.raw`{"a":{"\udc00":1}}`]) {
    assertRefused("bad_field", () => read(bad), /NUL or half a surrogate pair/);
  }
  assert.equal(read(String.raw`"\ud83d\ude00 \\u0000"`), "\u{1f600} \\u0000");
});
