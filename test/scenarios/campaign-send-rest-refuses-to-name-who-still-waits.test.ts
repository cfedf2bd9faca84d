// --also is for those who ended otherwise; who waits is never sent a second one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { runCommand } from "../integration/cli-command.ts";
import { makeDraft, startNow } from "../rig/campaign-sheets.ts";
import { testDatabase } from "../rig/postgres.ts";

test("send-rest --also takes no waiting state, nor a word that is no state; a taken name is refused", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const id = await makeDraft(pool, { name: "march", recipients: [{ address: "ann@example.com" }] });
  await startNow(pool, id);
  for (const named of ["queued", "deferred", "held", "scheduled", "everyone", "bounced,held"]) {
    const { exitCode, stderr } = await runCommand(database, ["campaign", "send-rest", "march", "--also", named]);
    assert.equal(exitCode, 2, named);
    assert.match(stderr, /give bounced, unknown, suppressed, sent, delivered\. Who still waits gets it without a rest/);
  }
  const taken = await runCommand(database, ["campaign", "send-rest", "march", "--name", "march"]);
  assert.equal(taken.exitCode, 1);
  assert.match(taken.stderr, /There is a campaign "march" already\. Give another --name/);
});
