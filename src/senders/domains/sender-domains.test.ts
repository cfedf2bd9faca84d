import assert from "node:assert/strict";
import { test } from "node:test";
import { domainNameOf, selectorsFor } from "./sender-domains.ts";

test("a domain is kept as A-labels in lower case, and what mail cannot come from is none", () => {
  assert.equal(domainNameOf(" Example.COM. "), "example.com");
  assert.equal(domainNameOf("bücher.example"), "xn--bcher-kva.example");
  const bad = [
    "",
    "example",
    "a b.example",
    "-x.example",
    "ann@example.com",
    "example..com",
    `${"a".repeat(64)}.example`,
  ];
  for (const text of bad) assert.equal(domainNameOf(text), undefined, text);
});

test("selectors tell their day, and none is given twice", () => {
  const wallMs = Date.parse("2027-01-31T23:59:59Z");
  const taken = new Set<string>();
  const stems: string[] = [];
  for (let count = 0; count < 30; count += 1) {
    const { rsa, ed25519 } = selectorsFor(wallMs, taken);
    assert.equal(rsa.replace(/-rsa$/, ""), ed25519.replace(/-ed$/, ""));
    assert.match(rsa, /^[a-z0-9-]{1,63}$/);
    stems.push(rsa.replace(/-rsa$/, ""));
    taken.add(rsa).add(ed25519);
  }
  assert.deepEqual(stems.slice(0, 3), ["pl20270131", "pl20270131b", "pl20270131c"]);
  assert.equal(new Set(stems).size, 30);
});
