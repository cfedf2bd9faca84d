import assert from "node:assert/strict";
import { test } from "node:test";
import { runCommand } from "../integration/cli-command.ts";
import { draftNewsletter } from "../rig/campaign-list.ts";
import { testDatabase } from "../rig/postgres.ts";

test("preflight ends with 1 when something must be mended, and what it found is kept", async (t) => {
  const database = await testDatabase(t);
  const html = '<a href="http://localhost/{{ first_name }}">\u001b[31mshop</a>';
  await draftNewsletter(database.pool, 7, { html });
  const { exitCode, stdout } = await runCommand(database, ["campaign", "preflight", "march"]);
  assert.equal(exitCode, 1, stdout);
  assert.match(stdout, /^stop  link_private, 7: a link or an image is on a host that recipients cannot reach$/m);
  assert.match(stdout, /^ +5 {2}p5@d5\.example {2}http:\/\/localhost\/Ann5$/m);
  assert.doesNotMatch(stdout, /p6@d6/);
  const { rows } = await database.pool.query(
    "SELECT version, report ->> 'must_stop' AS must_stop, finished_at IS NOT NULL AS is_done FROM postlane.campaign_preflight",
  );
  assert.deepEqual(rows, [{ version: 1, must_stop: "true", is_done: true }]);
});
