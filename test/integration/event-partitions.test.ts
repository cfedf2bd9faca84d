// Days of the story: each has a partition of its own, made ahead; a day that began without one keeps its rows in the
// default partition, and takes nothing from the days after it.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "pg";
import { createPartitionsAhead } from "../../src/events/event-store.ts";
import { testDatabase } from "../rig/postgres.ts";

async function tell(pool: Pool, daysAhead: number): Promise<string> {
  const { rows } = await pool.query(
    `INSERT INTO postlane.event (message_id, attempt, kind, at) VALUES (1, 1, 'sent', now() + $1 * interval '1 day')
     RETURNING tableoid::regclass::text AS partition`,
    [daysAhead],
  );
  return rows[0].partition;
}

test("mail that was quicker than the first round of upkeep leaves the days ahead their partitions", async (t) => {
  const { pool } = await testDatabase(t);
  assert.match(await tell(pool, 0), /event_default$/);
  await createPartitionsAhead(pool, 2);
  assert.match(await tell(pool, 0), /event_default$/);
  assert.match(await tell(pool, 1), /event_\d{8}$/);
  assert.match(await tell(pool, 2), /event_\d{8}$/);
  await createPartitionsAhead(pool, 3);
  assert.match(await tell(pool, 3), /event_\d{8}$/);
});
