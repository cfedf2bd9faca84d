import assert from "node:assert/strict";
import { test } from "node:test";
import { runCommand } from "../integration/cli-command.ts";
import { draftNewsletter } from "../rig/campaign-list.ts";
import { testDatabase } from "../rig/postgres.ts";

const CASES = [
  ["canceled", /is canceled: preflight is not possible\. `campaign send-rest`/],
  ["finished", /is finished: preflight is not possible\. `campaign send-rest`/],
  ["importing", /is importing: preflight is not possible\. Its list is being read: wait for the end/],
] as const;

test("preflight of a campaign that is over, or whose list is read, says what is possible instead", async (t) => {
  const database = await testDatabase(t);
  const id = await draftNewsletter(database.pool, 1);
  for (const [status, said] of CASES) {
    await database.pool.query("UPDATE postlane.campaign SET status = $2 WHERE id = $1", [id, status]);
    const { exitCode, stderr } = await runCommand(database, ["campaign", "preflight", "march"]);
    assert.equal(exitCode, 1);
    assert.match(stderr, said);
  }
  const { rows } = await database.pool.query("SELECT count(*)::integer AS n FROM postlane.campaign_preflight");
  assert.equal(rows[0].n, 0);
});
