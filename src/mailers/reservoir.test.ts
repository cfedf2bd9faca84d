import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../platform/random.ts";
import { createReservoir } from "./reservoir.ts";

test("few items are all taken", () => {
  const reservoir = createReservoir<number>(10, seededRandom(1));
  for (let item = 0; item < 7; item++) reservoir.offer(() => item);
  assert.deepEqual(reservoir.taken(), [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(reservoir.seen(), 7);
});

test("of many items each is as likely as any other, and few random numbers are drawn", () => {
  const tenths = Array.from({ length: 10 }, () => 0);
  let draws = 0;
  for (let seed = 0; seed < 200; seed++) {
    const { unit } = seededRandom(seed);
    const reservoir = createReservoir<number>(20, {
      unit() {
        draws++;
        return unit();
      },
    });
    for (let item = 0; item < 1000; item++) reservoir.offer(() => item);
    assert.equal(new Set(reservoir.taken()).size, 20);
    for (const item of reservoir.taken()) tenths[Math.floor(item / 100)]!++;
  }
  // 400 are expected in each tenth, with a standard deviation of 19: five of them to both sides.
  for (const count of tenths) assert.ok(count > 305 && count < 495, String(tenths));
  assert.ok(draws < 200 * 400, String(draws));
});
