import assert from "node:assert/strict";
import { test } from "node:test";
import { runCommand } from "../integration/cli-command.ts";
import { campaignIn, campaignSays } from "../rig/campaign-statuses.ts";
import { booksOf } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";

test("start with what cannot be meant says what to write, all of it at once, and starts nothing", async (t) => {
  const database = await testDatabase(t);
  const id = await campaignIn(database.pool, "draft");
  const args = ["start", "draft", "--at", "2020-01-31T09:00:00Z", "--pace", "fast", "--canary", "150%"];
  const { exitCode, code } = await campaignSays(database, ...args);
  assert.deepEqual([exitCode, code], [2, "usage"]);
  const { stderr } = await runCommand(database, ["campaign", ...args]);
  assert.match(stderr, /--at: "2020-01-31T09:00:00Z" is over: give a time to come, or none to start at once\./);
  assert.match(stderr, /--pace: "fast" is not a rate such as "100\/s", "500\/min" or "10,000\/hr"\./);
  assert.match(stderr, /--canary: "150%" is not a share from 0 % to 100 %, such as "5 %"\./);
  assert.deepEqual(await booksOf(database.pool, id), {});
});

test("nobody on the list, and no such campaign", async (t) => {
  const database = await testDatabase(t);
  const id = await campaignIn(database.pool, "draft");
  await database.pool.query("DELETE FROM postlane.recipient");
  await database.pool.query("UPDATE postlane.list_import SET added = 0");
  const empty = await campaignSays(database, "start", `cmp_${id}`);
  assert.deepEqual([empty.exitCode, empty.code], [1, "campaign_refused"]);
  assert.equal(
    empty.message,
    'Campaign "draft" was not started: nobody is on its list; import recipients into it first.',
  );
  const missing = await campaignSays(database, "start", "march");
  assert.deepEqual([missing.exitCode, missing.code], [1, "campaign_not_found"]);
});
