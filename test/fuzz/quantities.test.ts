// Quantities: whatever the text, an answer and no exception; whatever was printed, read back as the same.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  parseDuration,
  parseRate,
  parseSize,
  printDuration,
  printRate,
  printSize,
  QUANTITY_CHARS_MAX,
} from "../../src/platform/quantities.ts";

const PARSERS = [parseDuration, parseRate, parseSize];
const RUNS = { numRuns: 2000 };
const almostQuantity = fc.stringMatching(/^[\d,. /a-zA-Z]{0,40}$/);

test("any text is read or refused; what is read is a finite number, not below zero", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), almostQuantity), (text) => {
      for (const parse of PARSERS) {
        const quantity = parse(text);
        if (quantity.kind === "refused") assert.notEqual(quantity.problem, "");
        else assert.ok(Number.isFinite(quantity.value) && quantity.value >= 0 && text.length <= QUANTITY_CHARS_MAX);
      }
    }),
    RUNS,
  );
});

test("a printed duration is read back to the millisecond", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e14 }), (durationMs) => {
      assert.deepEqual(parseDuration(printDuration(durationMs)), { kind: "quantity", value: durationMs });
    }),
    RUNS,
  );
});

test("a printed size is read back to the byte", () => {
  const sizes = fc.oneof(
    fc.maxSafeNat(),
    fc.integer({ min: 0, max: 5000 }).map((mebibytes) => mebibytes * 2 ** 20),
  );
  fc.assert(
    fc.property(sizes, (bytes) => {
      assert.deepEqual(parseSize(printSize(bytes)), { kind: "quantity", value: bytes });
    }),
    RUNS,
  );
});

test("a rate that people wrote is printed as one that means the same", () => {
  const unit = fc.constantFrom("s", "min", "hr", "day");
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1e9 }), unit, (count, name) => {
      const written = parseRate(`${count}/${name}`);
      assert.ok(written.kind === "quantity");
      const again = parseRate(printRate(written.value));
      assert.ok(again.kind === "quantity");
      assert.ok(Math.abs(again.value - written.value) <= written.value * 1e-8, `${count}/${name}`);
    }),
    RUNS,
  );
});

test("a text of many parts is answered at once", () => {
  const text = "1 s ".repeat(100_000);
  const startedMs = performance.now();
  for (const parse of PARSERS) assert.equal(parse(text).kind, "refused");
  for (const parse of PARSERS) parse(`${"1".repeat(QUANTITY_CHARS_MAX - 1)}!`);
  for (const parse of PARSERS) parse(`${"1a".repeat(QUANTITY_CHARS_MAX / 2 - 1)}!`);
  assert.ok(performance.now() - startedMs < 1000);
});
