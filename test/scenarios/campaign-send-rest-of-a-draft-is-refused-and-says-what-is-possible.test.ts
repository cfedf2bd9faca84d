// A draft has sent to nobody: there is no rest of it yet.

import assert from "node:assert/strict";
import { test } from "node:test";
import { runCommand } from "../integration/cli-command.ts";
import { makeDraft } from "../rig/campaign-sheets.ts";
import { testDatabase } from "../rig/postgres.ts";

test("send-rest of a draft is refused, says that it can be started, and makes nothing", async (t) => {
  const database = await testDatabase(t);
  await makeDraft(database.pool, { name: "march", recipients: [{ address: "ann@example.com" }] });
  const { exitCode, stdout, stderr } = await runCommand(database, ["campaign", "send-rest", "march"]);
  assert.equal(exitCode, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /Campaign "march" is a draft: send-rest is not possible\. It can be started/);
  const { rows } = await database.pool.query("SELECT count(*)::integer AS n FROM postlane.campaign");
  assert.equal(rows[0].n, 1);
});
