import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePressure } from "./pressure.ts";

const rows: readonly (readonly [text: string, share: number | undefined])[] = [
  ["some avg10=1.30 avg60=0.71 avg300=0.45 total=239612445\nfull avg10=0.89 avg60=0.45 avg300=0.27 total=1\n", 0.013],
  ["some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n", 0],
  ["some avg10=100.00 avg60=99.00 avg300=50.00 total=1\n", 1],
  ["full avg10=0.89 avg60=0.45 avg300=0.27 total=133729701\n", undefined],
  ["some avg10=nan avg60=0.00\n", undefined],
  ["", undefined],
];

for (const [text, share] of rows) {
  test(`the pressure of ${JSON.stringify(text.slice(0, 24))} is ${share}`, () =>
    assert.equal(parsePressure(text), share));
}
