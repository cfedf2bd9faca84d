import assert from "node:assert/strict";
import { test } from "node:test";
import { createCpuPressure } from "./cpu-pressure.ts";

const text = (totalUs: number): string =>
  `some avg10=1.00 avg60=0.50 avg300=0.10 total=${totalUs}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n`;

test("the share is of the last three seconds, whatever came before", () => {
  const pressure = createCpuPressure();
  pressure.take(text(0), 0);
  assert.equal(pressure.share(), null);
  pressure.take(text(1_000_000), 1000);
  assert.equal(pressure.share(), 1);
  for (const second of [2, 3, 4, 5, 6]) pressure.take(text(1_000_000), second * 1000);
  assert.equal(pressure.share(), 0);
  pressure.take(text(1_600_000), 7000);
  assert.equal(pressure.share(), 0.2);
});

test("without the file, or with another one, nothing is known", () => {
  const pressure = createCpuPressure();
  for (const given of [undefined, "", "total=5", "some total=x"]) pressure.take(given, 1000);
  assert.equal(pressure.share(), null);
});
