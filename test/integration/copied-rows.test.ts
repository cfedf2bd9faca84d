// Recipients by binary COPY into the real table and back: what was written is what is there.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CopyRows, type CopiedRow } from "../../src/campaigns/copy-rows.ts";
import { copyQuickly } from "../../src/campaigns/import-store.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { testDatabase } from "../rig/postgres.ts";

const LIST_ID = 7;
const IMPORT_ID = 2 ** 31 - 1;

test("rows that are copied are there as they were, of every script and length, with and without a time zone", async (t) => {
  const { pool } = await testDatabase(t);
  // PostgreSQL's text has no NUL, nor half a surrogate pair; the reader of lists and JSON let none through.
  const text = fc
    .string({
      unit: fc.oneof(
        fc.constantFrom("ä", "用", "😀", "\t", '"', "\\", "\u00a0"),
        fc.string({ minLength: 1, maxLength: 1, unit: "grapheme" }),
      ),
    })
    .filter((given) => !given.includes("\0"));
  const row = fc.record({
    line: fc.oneof(fc.nat(), fc.bigInt({ min: 2n ** 31n, max: 2n ** 52n }).map(Number)),
    address: text,
    data: fc.oneof(
      text,
      fc.nat({ max: 200_000 }).map((chars) => "用".repeat(chars)),
    ),
    timeZone: fc.option(fc.constantFrom("Europe/Vienna", "America/Argentina/Buenos_Aires", ""), { nil: undefined }),
  });
  const distinct = fc.uniqueArray(row, {
    minLength: 1,
    maxLength: 20,
    selector: ({ address }) => address.toLowerCase(),
  });
  await fc.assert(
    fc.asyncProperty(distinct, async (rows) => {
      const copied = new CopyRows(LIST_ID, IMPORT_ID);
      for (const one of rows) copied.add(one);
      assert.equal(copied.count, rows.length);
      const taken = copied.take();
      const undo = new Error("undone");
      await assert.rejects(
        inTransaction(pool, async (client) => {
          await copyQuickly(client, [taken]);
          const { rows: found } = await client.query<CopiedRow & { list_id: number; import_id: number }>(
            `SELECT line, address, data, time_zone AS "timeZone", list_id, import_id FROM postlane.recipient ORDER BY n`,
          );
          assert.deepEqual(
            found,
            rows.map((one) => ({ ...one, timeZone: one.timeZone ?? null, list_id: LIST_ID, import_id: IMPORT_ID })),
          );
          throw undo;
        }),
        undo,
      );
    }),
    { numRuns: 60 },
  );
});
