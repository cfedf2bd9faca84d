// While a campaign runs, who still waits will get it from there; who ended without it gets it from the rest.

import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonOf, runCommand } from "../integration/cli-command.ts";
import { becomes, makeDraft, makeNext, startNow } from "../rig/campaign-sheets.ts";
import { testDatabase } from "../rig/postgres.ts";

test("send-rest of a running campaign sends to those who ended already, and says that others still wait", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const addresses = ["ann@example.com", "bob@example.com", "carol@example.com", "dan@example.com"];
  const id = await makeDraft(pool, { name: "march", recipients: addresses.map((address) => ({ address })) });
  await startNow(pool, id);
  await makeNext(pool, id, 3);
  await becomes(pool, id, ["ann@example.com"], "expired");
  await becomes(pool, id, ["bob@example.com"], "bounced");
  const { exitCode, stdout, stderr } = await runCommand(database, ["campaign", "send-rest", "march"]);
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /^march-rest \(cmp_\d+\) sends to 1 recipient: 1 expired\nnot to 2 queued, 1 bounced\n$/);
  assert.match(stderr, /2 recipients may still get it/);
  const report = await jsonOf<{ readonly rests: readonly { name: string; status: string }[] }>(database, [
    "campaign",
    "report",
    "march",
  ]);
  assert.deepEqual(
    report.rests.map(({ name, status }) => [name, status]),
    [["march-rest", "running"]],
  );
});
