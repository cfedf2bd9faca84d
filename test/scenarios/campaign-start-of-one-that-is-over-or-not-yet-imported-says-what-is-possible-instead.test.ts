import { test } from "node:test";
import { assertRefused, campaignIn } from "../rig/campaign-statuses.ts";
import { testDatabase } from "../rig/postgres.ts";

test("start of one that is over or not yet imported says what is possible instead", async (t) => {
  const database = await testDatabase(t);
  for (const [status, possible] of [
    ["importing", /wait for that, or cancel it; if it was broken off, give the same command again\.$/],
    ["canceled", /`campaign send-rest` sends to those who did not get it\.$/],
    ["finished", /`campaign send-rest` sends to those who did not get it, and to who was added to its list since\.$/],
  ] as const) {
    await campaignIn(database.pool, status);
    await assertRefused(database, "start", status, possible);
  }
});
