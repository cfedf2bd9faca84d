import assert from "node:assert/strict";
import { test } from "node:test";
import { intakeChanges, whyFull, type IntakeFigures } from "./intake.ts";

const LIMITS = { waitingMax: 1000, databaseBytesMax: 10_000_000, freeDiskBytesMin: 1_000_000 };
const EMPTY: IntakeFigures = { waiting: 0, databaseBytes: 0, freeDiskBytes: 50_000_000 };

const isFull = (figures: Partial<IntakeFigures>, isBulk: boolean, wasFull = false): boolean =>
  whyFull({ ...EMPTY, ...figures }, LIMITS, { isBulk, isFull: wasFull }) !== undefined;

test("bulk is refused long before transactional mail, by each limit", () => {
  const cases: readonly (readonly [Partial<IntakeFigures>, boolean, boolean])[] = [
    [{}, false, false],
    [{ waiting: 799 }, false, false],
    [{ waiting: 800 }, true, false],
    [{ waiting: 1000 }, true, true],
    [{ databaseBytes: 8_000_000 }, true, false],
    [{ databaseBytes: 10_000_000 }, true, true],
    [{ freeDiskBytes: 2_000_001 }, false, false],
    [{ freeDiskBytes: 1_999_999 }, true, false],
    [{ freeDiskBytes: 999_999 }, true, true],
    [{ freeDiskBytes: undefined }, false, false],
  ];
  for (const [figures, bulk, urgent] of cases) {
    assert.deepEqual([isFull(figures, true), isFull(figures, false)], [bulk, urgent], JSON.stringify(figures));
  }
});

test("a closed lane opens again only below its limit by a margin", () => {
  assert.ok(isFull({ waiting: 960 }, false, true));
  assert.ok(!isFull({ waiting: 940 }, false, true));
  assert.ok(isFull({ freeDiskBytes: 1_040_000 }, false, true));
  assert.ok(!isFull({ freeDiskBytes: 1_060_000 }, false, true));
});

test("only what changes is told, with the key that can be raised", () => {
  const lanes = [
    { lane: "transactional", full_because: null },
    { lane: "bulk", full_because: null },
  ];
  const full = intakeChanges(lanes, new Set(["bulk"]), { ...EMPTY, waiting: 850 }, LIMITS);
  assert.deepEqual(full, [{ lane: "bulk", full_because: "850 messages wait, of 1,000 (queue.max_waiting)" }]);
  const closed = [lanes[0]!, full[0]!];
  assert.deepEqual(intakeChanges(closed, new Set(["bulk"]), { ...EMPTY, waiting: 900 }, LIMITS), []);
  assert.deepEqual(intakeChanges(closed, new Set(["bulk"]), EMPTY, LIMITS), [{ lane: "bulk", full_because: null }]);
});
