import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonOf, runCommand } from "../integration/cli-command.ts";
import { draftNewsletter } from "../rig/campaign-list.ts";
import { booksOf } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";

interface Sent {
  readonly test_of: string;
  readonly copies: readonly { readonly recipient: string; readonly submission: string }[];
}

test("a test of a draft goes to oneself and changes nothing", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const id = await draftNewsletter(pool, 4);
  const TEST = ["campaign", "test", "march", "--to", "me@office.example"];
  const first = await jsonOf<Sent>(database, TEST);
  assert.deepEqual(
    first.copies.map(({ recipient }) => recipient),
    ["p1@d1.example", "p2@d2.example", "p3@d3.example"],
  );
  const named = await jsonOf<Sent>(database, [...TEST, "--recipient", "p4@d4.example", "--recipient", "p1@d1.example"]);
  assert.equal(named.test_of, `cmp_${id}`);
  assert.deepEqual(
    named.copies.map(({ recipient }) => recipient),
    ["p4@d4.example", "p1@d1.example"],
  );
  const missing = await runCommand(database, [...TEST, "--recipient", "no@body.example"]);
  assert.equal(missing.exitCode, 1);
  assert.match(missing.stderr, /Not on the list of campaign "march": no@body\.example\. Nothing was sent\./);
  const { rows } = await pool.query(
    "SELECT recipient, count(*)::integer AS n, max(campaign_id) AS of FROM postlane.message GROUP BY 1",
  );
  assert.deepEqual(rows, [{ recipient: "me@office.example", n: 5, of: 0 }]);
  assert.deepEqual(await booksOf(pool, id), {});
  assert.match((await runCommand(database, ["campaign", "status", "march"])).stdout, /: draft$/m);
});
