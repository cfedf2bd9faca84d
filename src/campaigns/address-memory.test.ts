// The memory of addresses: it may say "perhaps known" of one that is new, and never "new" of one that was here.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createAddressMemory } from "./address-memory.ts";

test("no address is new twice, in whatever case it comes", () => {
  const address = fc.emailAddress();
  const inSomeCase = fc
    .tuple(address, fc.infiniteStream(fc.boolean()))
    .map(([text, isUpper]) =>
      Array.from(text, (letter) => (isUpper.next().value ? letter.toUpperCase() : letter.toLowerCase())).join(""),
    );
  fc.assert(
    fc.property(fc.array(fc.oneof(inSomeCase, fc.constantFrom("a@x.example", "A@X.example", "b@x.example"))), (all) => {
      const memory = createAddressMemory();
      const here = new Set<string>();
      for (const one of all) {
        const name = one.toLowerCase();
        if (memory.isNew(one)) assert.ok(!here.has(name), one);
        here.add(name);
      }
    }),
  );
});

test("a hundred thousand different ones are all new, over two growths, and none of them afterwards", () => {
  const memory = createAddressMemory();
  const rows = 100_000;
  let wasNew = 0;
  for (let n = 0; n < rows; n++) if (memory.isNew(`user${n}@d${n % 977}.example`)) wasNew++;
  assert.equal(wasNew, rows, "64 bits tell so few apart");
  for (let n = 0; n < rows; n++) assert.equal(memory.isNew(`USER${n}@D${n % 977}.example`), false);
});

test("full, it takes everybody for known", () => {
  const memory = createAddressMemory(16);
  const answers = Array.from({ length: 20 }, (_, n) => memory.isNew(`user${n}@example.com`));
  assert.deepEqual(answers, [...Array.from({ length: 8 }, () => true), ...Array.from({ length: 12 }, () => false)]);
  assert.equal(memory.isNew("user3@example.com"), false);
});
