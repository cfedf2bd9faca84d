// docs/reference/relay-matrix.md is made from the matrix that the fault runs; this test keeps both the same, and the matrix
// whole. `POSTLANE_WRITE_REFERENCE=1 npm test -- relay-matrix` writes the page anew.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { printRelayMatrix } from "../../faults/rig/print-relay-matrix.ts";
import { allCells, MATRIX, REPLIES } from "../../faults/rig/relay-matrix.ts";

const PAGE = path.resolve(import.meta.dirname, "../../../docs/reference/relay-matrix.md");

test("docs/reference/relay-matrix.md is the matrix", () => {
  const wanted = printRelayMatrix();
  if (process.env["POSTLANE_WRITE_REFERENCE"] === "1") writeFileSync(PAGE, wanted);
  const hint = "write it with POSTLANE_WRITE_REFERENCE=1 npm test -- relay-matrix";
  assert.equal(readFileSync(PAGE, "utf8"), wanted, hint);
});

test("no cell is there twice, and every phase is answered with every reply but its good one", () => {
  const cells = allCells().map(({ phase, behaviour }) => `${phase}: ${behaviour}`);
  assert.equal(new Set(cells).size, cells.length);
  assert.ok(cells.length > 700, `${cells.length} cells`);
  for (const { name, good } of MATRIX)
    for (const reply of REPLIES) assert.equal(cells.includes(`${name}: ${reply}`), reply !== good, `${name}: ${reply}`);
});
