import assert from "node:assert/strict";
import { test } from "node:test";
import { assertRefused, campaignIn, campaignSays } from "../rig/campaign-statuses.ts";
import { booksOf } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";

test("cancel of a finished one says what is possible instead", async (t) => {
  const database = await testDatabase(t);
  await campaignIn(database.pool, "finished");
  await assertRefused(database, "cancel", "finished", /`campaign send-rest` sends to those who did not get it/);
});

test("cancel withdraws all of one that is on its way, whatever its status, and of a canceled one is no failure", async (t) => {
  const database = await testDatabase(t);
  for (const status of ["importing", "draft", "scheduled", "running", "paused", "canceled"] as const) {
    const id = await campaignIn(database.pool, status);
    assert.deepEqual(await campaignSays(database, "cancel", status), { exitCode: 0, status: "canceled" }, status);
    const wasAccepted = status !== "importing" && status !== "draft";
    assert.deepEqual(await booksOf(database.pool, id), wasAccepted ? { canceled: 3 } : {}, status);
  }
});
