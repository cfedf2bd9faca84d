import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonOf, runCommand } from "../integration/cli-command.ts";
import { draftNewsletter } from "../rig/campaign-list.ts";
import { testDatabase } from "../rig/postgres.ts";

test("preflight while running looks at those without a message", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const id = await draftNewsletter(pool, 5);
  await pool.query(
    "SELECT postlane.add_wave($1, 'everyone', NULL, now(), 0, (SELECT max(n) FROM postlane.recipient))",
    [id],
  );
  await pool.query("SELECT postlane.make_messages($1, 2)", [id]);
  await pool.query("UPDATE postlane.campaign SET status = 'running' WHERE id = $1", [id]);
  const report = await jsonOf<Readonly<Record<string, unknown>>>(database, ["campaign", "preflight", "march"]);
  assert.deepEqual([report["scope"], report["recipients"], report["rendered"]], ["not_made", 3, 3]);
  const { exitCode, stdout } = await runCommand(database, ["campaign", "preflight", "march"]);
  assert.equal(exitCode, 0, stdout);
  assert.match(stdout, /3 recipients without a message yet \(what is made already is not looked at\)/);
});
