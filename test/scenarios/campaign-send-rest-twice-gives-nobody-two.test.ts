// The second time everybody waits in the first rest.

import assert from "node:assert/strict";
import { test } from "node:test";
import { runCommand } from "../integration/cli-command.ts";
import { makeDraft, makeNext, startNow } from "../rig/campaign-sheets.ts";
import { testDatabase } from "../rig/postgres.ts";

test("send-rest twice: the second one finds nobody, says so and makes nothing; named bounced, it still does not", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const run = (...words: readonly string[]) => runCommand(database, ["campaign", ...words]);
  const recipients = Array.from({ length: 20 }, (_, n) => ({ address: `p${n}@example.com` }));
  const id = await makeDraft(pool, { name: "march", recipients });
  await startNow(pool, id);
  await makeNext(pool, id, 8);
  assert.equal((await run("cancel", "march")).exitCode, 0);

  const [one, other] = await Promise.all([run("send-rest", "march"), run("send-rest", "march")]);
  const said = [one.stdout, other.stdout].toSorted((a, b) => a.length - b.length);
  assert.deepEqual([one.exitCode, other.exitCode], [0, 0], one.stderr + other.stderr);
  assert.match(said.join(""), /march-rest \(cmp_\d+\) sends to 20 recipients: 20 canceled\n/);
  assert.match(said.join(""), /nobody of "march" is left: 20 queued\n/);

  const again = await run("send-rest", "march", "--also", "bounced,unknown");
  assert.equal(again.exitCode, 0);
  assert.match(again.stdout, /^nobody of "march" is left: 20 queued\n$/);
  const { rows } = await pool.query("SELECT name, status FROM postlane.campaign ORDER BY id");
  assert.deepEqual(rows, [
    { name: "march", status: "canceled" },
    { name: "march-rest", status: "running" },
  ]);
});
