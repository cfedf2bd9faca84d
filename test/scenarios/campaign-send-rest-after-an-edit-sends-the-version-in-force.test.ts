// Who did not get the first text gets the corrected one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { addCampaignVersion } from "../../src/campaigns/campaign-store.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { jsonOf } from "../integration/cli-command.ts";
import { insertContent, makeDraft, startNow } from "../rig/campaign-sheets.ts";
import { testDatabase } from "../rig/postgres.ts";

test("send-rest after an edit sends the version in force, as a draft when that is asked for", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const id = await makeDraft(pool, { name: "march", recipients: [{ address: "ann@example.com" }] });
  await startNow(pool, id);
  await inTransaction(pool, async (client) => addCampaignVersion(client, id, await insertContent(client, "Corrected")));
  await jsonOf(database, ["campaign", "cancel", "march"]);
  const made = await jsonOf<{ readonly status: string; readonly stood: unknown }>(database, [
    "campaign",
    "send-rest",
    "march",
    "--name",
    "corrected",
    "--draft",
  ]);
  assert.deepEqual([made.status, made.stood], ["draft", { canceled: 1 }]);
  const { rows } = await pool.query(
    `SELECT c.body ->> 'text' AS text FROM postlane.campaign JOIN postlane.content AS c ON c.id = content_id
     WHERE name = 'corrected'`,
  );
  assert.deepEqual(rows, [{ text: "Corrected" }]);
});
