// Before the start the sheet is the list's.

import assert from "node:assert/strict";
import { test } from "node:test";
import { runCommand } from "../integration/cli-command.ts";
import { makeDraft } from "../rig/campaign-sheets.ts";
import { testDatabase } from "../rig/postgres.ts";

test("the report of a draft shows its list, and everybody on it as not accepted; as CSV, too", async (t) => {
  const database = await testDatabase(t);
  const recipients = ["ann@example.com", "bob@example.com"].map((address) => ({ address }));
  await makeDraft(database.pool, { name: "march", recipients });
  const report = await runCommand(database, ["campaign", "report", "march"]);
  assert.equal(report.exitCode, 0, report.stderr);
  assert.match(report.stdout, /^march \(cmp_\d+\), lane bulk, list news: draft\ncreated [^,]+, started –\n/);
  assert.match(report.stdout, /not_accepted +2 +100\.0 %\nrows +2\n/);
  assert.match(report.stdout, /accepted +0\n$/);
  const people = await runCommand(database, ["campaign", "report", "march", "--people", "not_accepted"]);
  assert.equal(
    people.stdout,
    "line,address,state,since,reply,attempts,message,version\r\n2,ann@example.com,,,,,,\r\n3,bob@example.com,,,,,,\r\n",
  );
  const nobody = await runCommand(database, ["campaign", "report", "march", "--people", "sent"]);
  assert.equal(nobody.stdout.split("\r\n").length, 2, "a header, and no line");
});
