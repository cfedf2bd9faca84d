// What is asked for is checked before anything is written.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { jsonOf, runCommand } from "../integration/cli-command.ts";
import { becomes, makeDraft, makeNext, startNow } from "../rig/campaign-sheets.ts";
import { testDatabase } from "../rig/postgres.ts";

test("the people behind a number go into a file, whole or not at all; what is no number is refused", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const id = await makeDraft(pool, { name: "march", recipients: [{ address: "ann@example.com" }] });
  await startNow(pool, id);
  await makeNext(pool, id, 1);
  await becomes(pool, id, ["ann@example.com"], "bounced", { reply: "550 5.1.1 no such user" });
  const file = path.join(database.dataDir, "bounced.csv");
  const ask = ["campaign", "report", "march", "--people", "bounced", "--out", file];
  assert.deepEqual(await jsonOf(database, ask), { people: 1, file });
  assert.match(
    readFileSync(file, "utf8"),
    /\r\n2,ann@example\.com,bounced,[^,]+Z,550 5\.1\.1 no such user,1,msg_\d+,1\r\n$/,
  );
  assert.equal(existsSync(`${file}.part`), false);
  const lane = await runCommand(database, ["lane", "report", "bulk", "--people", "bounced"]);
  assert.match(lane.stdout, /\r\n,ann@example\.com,bounced,/);
  const sheet = await runCommand(database, ["lane", "report", "bulk"]);
  assert.match(
    sheet.stdout,
    /^lane bulk: 1 message accepted\n\naccepted on +bounced +accepted\n\S+ +1 +1\nall days +1 +1\n$/,
  );

  const refused: readonly (readonly [RegExp, ...string[]])[] = [
    [
      /--people sents: give rejected, double, accepted, not_accepted, /,
      "campaign",
      "report",
      "march",
      "--people",
      "sents",
    ],
    [/leave --json away, or give the list a file/, "campaign", "report", "march", "--people", "sent", "--json"],
    [/--out is where --people goes/, "campaign", "report", "march", "--out", file],
    [/--people rejected: give scheduled, queued, /, "lane", "report", "bulk", "--people", "rejected"],
    [/--day 2027-02-30: write it as 2027-01-31/, "lane", "report", "bulk", "--day", "2027-02-30"],
  ];
  for (const [said, ...words] of refused) {
    const { exitCode, stdout, stderr } = await runCommand(database, words);
    assert.equal(exitCode, 2, stderr);
    assert.match(stdout + stderr, said);
  }
  const nowhere = path.join(database.dataDir, "no/such/folder.csv");
  const { exitCode, stderr } = await runCommand(database, [...ask.slice(0, -1), nowhere]);
  assert.equal(exitCode, 1);
  assert.match(stderr, /no such file or directory/);
});
