// docs/reference/guarantees.md says what the rig found and nothing else, and every fault is a sentence about a promise.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { findFaults } from "../../faults/find-faults.ts";
import { printGuarantees, readPublished } from "../../faults/guarantees.ts";
import { PROMISES } from "../../faults/promises.ts";

const PAGE = path.resolve(import.meta.dirname, "../../../docs/reference/guarantees.md");

describe("the faults", async () => {
  const faults = await findFaults();

  it("are there, each with a sentence for a name and with counts", () => {
    assert.ok(faults.length > 0);
    for (const { name, fault } of faults) {
      assert.ok(name.split("-").length >= 3, `${name} is no sentence`);
      assert.ok(fault.small >= 1 && fault.full >= fault.small, `${name} has no counts`);
      assert.ok(fault.promises.length > 0, `${name} tries no promise`);
    }
  });

  it("try every promise", () => {
    const tried = new Set(faults.flatMap(({ fault }) => fault.promises));
    assert.deepEqual(tried, new Set(Object.keys(PROMISES)));
  });

  it("stand in the reference as they were measured", () => {
    assert.equal(readFileSync(PAGE, "utf8"), printGuarantees(faults, readPublished()));
  });
});
