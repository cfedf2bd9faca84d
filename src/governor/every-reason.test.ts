import assert from "node:assert/strict";
import { test } from "node:test";
import { GOVERNED_CODES, GOVERNED_REASONS } from "../../test/rig/governed-reasons.ts";
import { REASONS, tellReason } from "../mail/reasons.ts";

for (const code of GOVERNED_CODES) {
  test(`the law gives ${code} as the first reason, with its evidence`, () => {
    const [first] = GOVERNED_REASONS[code]();
    assert.equal(first?.code, code);
    for (const name of REASONS[code].evidence) assert.ok(name in first.evidence, `no ${name}`);
    assert.doesNotMatch(tellReason(first), /undefined|NaN/);
  });
}
