import assert from "node:assert/strict";
import { test } from "node:test";
import { assertRefused, campaignIn, campaignSays } from "../rig/campaign-statuses.ts";
import { testDatabase } from "../rig/postgres.ts";

test("resume of a canceled one, or of one that never ran or is over, says what is possible instead", async (t) => {
  const database = await testDatabase(t);
  for (const [status, possible] of [
    ["importing", /wait for that, or cancel it/],
    ["draft", /It can be started, edited or canceled\.$/],
    ["canceled", /`campaign send-rest` sends to those who did not get it\.$/],
    ["finished", /`campaign send-rest` sends to those who did not get it, and to who was added to its list since\.$/],
  ] as const) {
    await campaignIn(database.pool, status);
    await assertRefused(database, "resume", status, possible);
  }
});

test("resume of a paused one goes on, and of one that goes on already is no failure", async (t) => {
  const database = await testDatabase(t);
  for (const status of ["paused", "running", "scheduled"] as const) {
    await campaignIn(database.pool, status);
    const now = status === "scheduled" ? "scheduled" : "running";
    assert.deepEqual(await campaignSays(database, "resume", status), { exitCode: 0, status: now });
  }
});
