import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { runCommand } from "../integration/cli-command.ts";
import { campaignSays } from "../rig/campaign-statuses.ts";
import { testDatabase } from "../rig/postgres.ts";

const AT = `${new Date(Date.now() + 200 * 86_400_000).toISOString().slice(0, 10)}T09:00:00Z`;

test("send at a time imports now and waits for it; the same again accepts nobody twice", async (t) => {
  const database = await testDatabase(t);
  writeFileSync(path.join(database.dataDir, "march.csv"), "email\nann@example.com\nbob@example.com\n");
  mkdirSync(path.join(database.dataDir, "news"));
  writeFileSync(path.join(database.dataDir, "news/template.yaml"), "subject: News\nfrom: news@example.com\n");
  writeFileSync(path.join(database.dataDir, "news/body.txt"), "Hello!\n");
  const args = ["send", "--list", "march.csv", "--template", "news", "--at", AT];
  const bad = await campaignSays(database, ...args, "--pace", "much");
  assert.deepEqual([bad.exitCode, bad.code], [2, "usage"]);
  assert.equal((await campaignSays(database, "status", "march")).code, "campaign_not_found", "nothing was imported");

  const { exitCode, stdout } = await runCommand(database, ["campaign", ...args, "--pace", "10/min"]);
  assert.equal(exitCode, 0);
  assert.match(stdout, /2 messages queued from 2 rows\n {2}in 1 wave, at .* 09:00:00Z\n {2}at a pace of 10\/min\n/);
  assert.deepEqual(await campaignSays(database, ...args), { exitCode: 0, status: "scheduled" });
  const { rows } = await database.pool.query("SELECT sum(rows)::integer AS n FROM postlane.campaign_wave");
  assert.equal(rows[0].n, 2);
});
