import assert from "node:assert/strict";
import { test } from "node:test";
import { assertRefused, campaignIn } from "../rig/campaign-statuses.ts";
import { booksOf } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";

test("start of one that was started says what is possible instead, and accepts nobody twice", async (t) => {
  const database = await testDatabase(t);
  for (const [status, possible] of [
    ["scheduled", /It can be paused, edited or canceled before its time comes\.$/],
    ["running", /It can be paused, edited or canceled\.$/],
    ["paused", /It can be resumed, edited or canceled\.$/],
  ] as const) {
    const id = await campaignIn(database.pool, status);
    const before = await booksOf(database.pool, id);
    await assertRefused(database, "start", status, possible);
    assert.deepEqual(await booksOf(database.pool, id), before);
  }
});
