import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandFailure } from "./command-failure.ts";
import { readKeyId, readKeyRights, readLife, readSpan, type KeyRightsGiven } from "./key-rights.ts";

const GIVEN: KeyRightsGiven = { name: "shop", scope: "send", notices: true, dedup: true };
const rightsOf = (changes: Partial<KeyRightsGiven>) =>
  readKeyRights({ ...GIVEN, ...changes }, ["transactional", "bulk"]);

test("what is not said is not limited", () => {
  assert.deepEqual(rightsOf({}), {
    name: "shop",
    scope: "send",
    lanes: null,
    from_domains: null,
    max_rate: null,
    gets_notices: true,
    is_deduplicated: true,
  });
});

test("lanes and domains are kept once, in their order, domains as A-labels", () => {
  const rights = rightsOf({
    lane: ["bulk", "transactional", "bulk"],
    fromDomain: ["Shop.Example", "bücher.example", "shop.example"],
  });
  assert.deepEqual(rights.lanes, ["bulk", "transactional"]);
  assert.deepEqual(rights.from_domains, ["shop.example", "xn--bcher-kva.example"]);
});

test("rates and spans are read as people write them", () => {
  assert.equal(rightsOf({ rate: "100/s" }).max_rate, 100);
  assert.equal(rightsOf({ rate: "3,600/hr" }).max_rate, 1);
  assert.equal(readLife("--expires", "30 days"), 30 * 86_400_000);
  assert.equal(readLife("--expires", "never"), null);
  assert.equal(readSpan("--keep", "0 s", 0), 0);
});

test("what cannot be meant is refused with what to do", () => {
  const refused: readonly (readonly [RegExp, () => unknown])[] = [
    [/--name must be 1 to 100/, () => rightsOf({ name: " " })],
    [/--name must be/, () => rightsOf({ name: "x".repeat(101) })],
    [/--name must be/, () => rightsOf({ name: "a\u001b[2J" })],
    [/--scope "admin" is none: send/, () => rightsOf({ scope: "admin" })],
    [/no lane "news"\. Lanes: transactional, bulk/, () => rightsOf({ lane: ["bulk", "news"] })],
    [/"\*\.example\.com" is no domain.*each subdomain/, () => rightsOf({ fromDomain: ["*.example.com"] })],
    [/"a@example\.com" is no domain/, () => rightsOf({ fromDomain: ["a@example.com"] })],
    [/"localhost" is no domain/, () => rightsOf({ fromDomain: ["localhost"] })],
    [/"" is no domain/, () => rightsOf({ fromDomain: [""] })],
    [
      /100 domains at most, not 101/,
      () => rightsOf({ fromDomain: Array.from({ length: 101 }, (_, i) => `d${i}.example`) }),
    ],
    [/expected a rate such as/, () => rightsOf({ rate: "fast" })],
    [/more than nothing/, () => rightsOf({ rate: "0/s" })],
    [/at most 1000000\/s/, () => rightsOf({ rate: "2,000,000/s" })],
    [/--expires "soon": expected a duration/, () => readLife("--expires", "soon")],
    [/more than nothing and at most 3650 days/, () => readLife("--expires", "0 s")],
    [/at most 3650 days/, () => readSpan("--keep", "4,000 days", 0)],
    [/by its id, such as 7/, () => readKeyId("shop")],
    [/by its id/, () => readKeyId("0")],
  ];
  for (const [pattern, read] of refused) {
    assert.throws(read, (error: unknown) => {
      assert.ok(error instanceof CommandFailure);
      assert.match(error.message, pattern);
      assert.match(error.message, /^[ -~]+$/);
      return true;
    });
  }
});

test("a key is named by its id, or as it was found where it had leaked", () => {
  assert.equal(readKeyId("7"), 7);
  assert.equal(readKeyId(`plk_12_${"x".repeat(43)}`), 12);
});
