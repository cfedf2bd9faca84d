import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { controlCampaign } from "../../src/campaigns/control-campaign.ts";
import { endWithTest, lineOf, runCommand, startCommand } from "../integration/cli-command.ts";
import { campaignIn } from "../rig/campaign-statuses.ts";
import { testDatabase } from "../rig/postgres.ts";

test("status --watch shows a campaign again and again, and ends with it", async (t) => {
  const database = await testDatabase(t);
  const id = await campaignIn(database.pool, "running");
  const watching = startCommand(database, ["campaign", "status", "running", "--watch", "--json"]);
  endWithTest(t, watching);
  const end = once(watching, "close");
  const first = JSON.parse(await lineOf(watching, /"running"/)) as Readonly<Record<string, unknown>>;
  assert.deepEqual([first["unmade"], first["rate_per_s"]], [3, undefined]);
  const second = JSON.parse(await lineOf(watching, /"rate_per_s"/)) as Readonly<Record<string, unknown>>;
  assert.deepEqual([second["status"], second["rate_per_s"]], ["running", 0]);
  await controlCampaign(database.pool, id, "cancel");
  const last = JSON.parse(await lineOf(watching, /"canceled","created_at"/)) as Readonly<Record<string, unknown>>;
  assert.equal(last["unmade"], 0);
  assert.deepEqual(await end, [0, null]);
});

test("of one that is over already it shows that, and ends", async (t) => {
  const database = await testDatabase(t);
  await campaignIn(database.pool, "finished");
  const { exitCode, stdout } = await runCommand(database, ["campaign", "status", "finished", "--watch"]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /^finished \(cmp_\d+\), lane bulk: finished\n/);
});
