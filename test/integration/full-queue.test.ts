// Back-pressure: a queue that is full refuses bulk first, says so through every door, and opens by itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { LaneIntake } from "../../src/upkeep/intake.ts";
import { createCampaign, enqueue, enqueueMany, fillCampaign, until } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startQuietUpkeep } from "../rig/quiet-upkeep.ts";

test("bulk is refused first, an earlier submission is still answered, and room opens the lane by itself", async (t) => {
  const { pool } = await testDatabase(t);
  const changes: LaneIntake[] = [];
  startQuietUpkeep(t, pool, {
    intake: { waitingMax: 10, databaseBytesMax: 1e12, freeDiskBytesMin: 1 },
    onIntake: (change) => changes.push(change),
  });
  const campaign = await createCampaign(pool, { name: "news" });
  const keyed = { to: "ann@example.com", lane: "bulk", idempotency_key: "first" };
  await enqueue(pool, keyed);
  await enqueueMany(
    pool,
    Array.from({ length: 8 }, (_, at) => ({ to: `p${at}@example.com`, lane: "bulk" })),
  );
  await until("bulk is closed", () => changes.length === 1);
  assert.deepEqual(changes[0], { lane: "bulk", full_because: "9 messages wait, of 10 (queue.max_waiting)" });

  await assert.rejects(enqueue(pool, { to: "bob@example.com", lane: "bulk" }), {
    code: "PL009",
    message: "lane bulk takes no more mail for now: 9 messages wait, of 10 (queue.max_waiting)",
    hint: /Nothing was queued/,
  });
  await assert.rejects(fillCampaign(pool, campaign, { rows: 1, destinations: 1, domain: "x.example" }), {
    code: "PL009",
  });
  await enqueue(pool, keyed);
  await enqueue(pool, { to: "bob@example.com" });
  await until("transactional is closed too", () => changes.length === 2);
  await assert.rejects(enqueue(pool, { to: "carol@example.com" }), { code: "PL009" });

  await pool.query("UPDATE postlane.balance_delta SET n = 0");
  await pool.query("UPDATE postlane.balance SET n = 0");
  await until("both take mail again", () => changes.length === 4);
  await enqueue(pool, { to: "carol@example.com", lane: "bulk" });
});
