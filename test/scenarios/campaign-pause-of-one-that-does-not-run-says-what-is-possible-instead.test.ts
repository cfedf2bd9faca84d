import assert from "node:assert/strict";
import { test } from "node:test";
import { assertRefused, campaignIn, campaignSays } from "../rig/campaign-statuses.ts";
import { testDatabase } from "../rig/postgres.ts";

test("pause of one that does not run says what is possible instead", async (t) => {
  const database = await testDatabase(t);
  for (const [status, possible] of [
    ["importing", /wait for that, or cancel it/],
    ["draft", /It can be started, edited or canceled\.$/],
    ["canceled", /`campaign send-rest` sends to those who did not get it\.$/],
    ["finished", /`campaign send-rest` sends to those who did not get it/],
  ] as const) {
    await campaignIn(database.pool, status);
    await assertRefused(database, "pause", status, possible);
  }
});

test("pause stops one that runs or waits for its time, and of a paused one is no failure", async (t) => {
  const database = await testDatabase(t);
  for (const status of ["running", "scheduled", "paused"] as const) {
    await campaignIn(database.pool, status);
    assert.deepEqual(await campaignSays(database, "pause", status), { exitCode: 0, status: "paused" });
  }
});
