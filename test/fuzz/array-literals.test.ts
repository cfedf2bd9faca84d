// What our own array literals say is what PostgreSQL reads, whatever a reply or a domain holds.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { numberArray, textArray } from "../../src/postgres/statement.ts";
import { testDatabase } from "../rig/postgres.ts";

const TEXT = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: fc.constantFrom('"', "\\", "{", "}", ",", " ", "\n", "N", "U", "L", "'", "$", "&") }),
  fc.constant("NULL"),
);

test("an array literal arrives as it was meant", async (t) => {
  const { pool } = await testDatabase(t);
  const property = fc.asyncProperty(
    fc.array(fc.option(TEXT.map((text) => text.replaceAll("\0", "")))),
    fc.array(fc.option(fc.integer())),
    async (texts, numbers) => {
      const { rows } = await pool.query("SELECT $1::text[] AS texts, $2::integer[] AS numbers", [
        textArray(texts),
        numberArray(numbers),
      ]);
      assert.deepEqual(rows[0], { texts, numbers });
    },
  );
  await fc.assert(property, { numRuns: 500 });
});
