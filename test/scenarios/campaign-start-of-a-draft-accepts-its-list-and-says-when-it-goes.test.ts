import assert from "node:assert/strict";
import { test } from "node:test";
import { runCommand } from "../integration/cli-command.ts";
import { fillList, insertCampaign } from "../rig/campaign-list.ts";
import { campaignIn } from "../rig/campaign-statuses.ts";
import { testDatabase } from "../rig/postgres.ts";

const WHEN_MS = Date.now() + 200 * 86_400_000;
const DAY = new Date(WHEN_MS).toISOString().slice(0, 10);

test("start of a draft accepts its list, and says when it goes, at which pace and behind which canary", async (t) => {
  const database = await testDatabase(t);
  await campaignIn(database.pool, "draft");
  const { exitCode, stdout, stderr } = await runCommand(
    database,
    ["campaign", "start", "draft", "--at", `${DAY}T09:00:00Z`, "--pace", "50,000/hr", "--canary", "1%"].concat([
      "--canary-wait",
      "20 minutes",
      "--canary-limit",
      "2.5%",
    ]),
  );
  assert.equal(exitCode, 0, stderr);
  assert.equal(
    stdout.replaceAll(/cmp_\d+/g, "cmp_N"),
    [
      "draft (cmp_N) is started: 3 recipients accepted",
      `  in 1 wave, at ${DAY} 09:00:00Z`,
      "  at a pace of 50,000/hr",
      "  behind a canary of 1 recipient, watched for 20 min; it stops all when more than 2.5 % of them fail",
      "see `postlane campaign status cmp_N`",
      "",
    ].join("\n"),
  );
  const status = await runCommand(database, ["campaign", "status", "draft"]);
  assert.match(status.stdout, /: scheduled\n/);
  assert.match(
    status.stdout,
    /^pace 50,000\/hr\ncanary of 1 recipient: being sent; once all were tried, watched for 20 min$/m,
  );
  assert.match(status.stdout, /^3 recipients of these have no message yet$/m);
  assert.match(status.stdout, new RegExp(`^${DAY} 09:00:00Z +all +3 +0 +0$`, "m"));
});

test("by local time it says in how many waves, and where that time is over", async (t) => {
  const database = await testDatabase(t);
  const template = { from: "news@news.example", subject: "News", text: "Hello!" };
  const id = await insertCampaign(database.pool, { name: "march", lane: "bulk", status: "draft", template });
  const zones = ["Pacific/Kiritimati", "Pacific/Kiritimati", "Etc/GMT+11", null];
  await fillList(
    database.pool,
    id,
    "SELECT n, 'user' || n || '@example.com', '{}', zone FROM unnest($1::text[]) WITH ORDINALITY AS given (zone, n)",
    [zones],
  );
  // An hour ago on Kiritimati, which is the first of all zones.
  const localTime = new Date(Date.now() + 13 * 3_600_000).toISOString().slice(0, 16);
  const args = ["campaign", "start", "march", "--local", localTime, "--time-zone", "Pacific/Honolulu"];
  const { exitCode, stdout, stderr } = await runCommand(database, args);
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /is started: 4 recipients accepted\n {2}in 3 waves, from .*Z to .*Z\n/);
  assert.match(stdout, /^ {2}at once in 1 time zone, where that time is over: 2 recipients$/m);
  const status = await runCommand(database, ["campaign", "status", "march"]);
  assert.match(status.stdout, / Pacific\/Kiritimati +2 +0 +0\n.* not told +1 +0 +0\n.* Etc\/GMT\+11 +1 +0 +0\n/);
});
