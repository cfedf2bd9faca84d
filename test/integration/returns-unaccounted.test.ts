// Hand-overs that nobody confirmed: found when their relay has had its time and not before, taken off the list by what
// comes back after all, listed and sent again by the command line.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "pg";
import { lookForUnaccounted, resendUnaccounted } from "../../src/returns/unaccounted.ts";
import { countUnaccounted, listUnaccounted } from "../../src/returns/unaccounted-store.ts";
import { readReturnFigures } from "../../src/returns/return-counts.ts";
import { jsonOf, runCommand } from "./cli-command.ts";
import { acceptEarlier, queueRow, storyOf, watchBooks } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import {
  byMaildir,
  judgeOf,
  LANE,
  logLine,
  nextAttempt,
  noticeFor,
  OUTLET,
  sentMail,
  settleAs,
  takeAll,
  unknownMail,
  type SentMail,
} from "../rig/returned-mail.ts";

/** As if the hand-overs so far had happened so much earlier, and the first look before them. */
async function later(pool: Pool, interval: string): Promise<void> {
  await acceptEarlier(pool, interval);
  await pool.query("UPDATE postlane.event SET at = at - $1::interval", [interval]);
  await pool.query("UPDATE postlane.accounted SET until = until - $1::interval", [interval]);
}

async function listed(pool: Pool): Promise<readonly number[]> {
  const rows = await listUnaccounted(pool, { outlet: undefined, after: 0, rowsMax: 1000 });
  return rows.map((row) => row.message_id);
}

async function lookUntilDone(pool: Pool): Promise<void> {
  for (let count = 0; count < 200; count++) await lookForUnaccounted(pool, [OUTLET]);
}

test("what is confirmed in time is not listed; what is not, is, an hour after the relay's lifetime", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  await pool.query(
    `INSERT INTO postlane.reading (outlet, number, at, body, agent) VALUES ($1, 1, now(), '{"queue_lifetime_s": 600}', '{}')`,
    [OUTLET],
  );
  await lookForUnaccounted(pool, [OUTLET]);
  const mails: SentMail[] = [];
  for (let count = 0; count < 6; count++) mails.push(await sentMail(context));
  const [delivered, relayed, bounced, home, deferring, silent] = mails as [
    SentMail,
    SentMail,
    SentMail,
    SentMail,
    SentMail,
    SentMail,
  ];
  await logLine(pool, delivered);
  await logLine(pool, relayed, { means: "relayed" });
  await byMaildir(pool, bounced, noticeFor(bounced, { status: "5.1.1" }));
  await byMaildir(pool, home, noticeFor(home));
  await logLine(pool, deferring, { status: "deferred", dsn: "4.4.1" });
  await takeAll(context);
  await later(pool, "69 minutes");
  await lookUntilDone(pool);
  assert.deepEqual(await listed(pool), []);
  await later(pool, "2 minutes");
  await lookUntilDone(pool);
  assert.deepEqual(await listed(pool), [deferring.id, silent.id]);
  assert.deepEqual(await countUnaccounted(pool), [{ outlet: OUTLET, n: 2 }]);
  assert.deepEqual((await readReturnFigures(pool)).unaccounted, { [OUTLET]: 2 });
  // Nothing is assumed of them, and what comes back after all counts.
  assert.equal((await storyOf(pool, silent.id)).at(-1)?.kind, "sent");
  await logLine(pool, silent);
  await byMaildir(pool, deferring, noticeFor(deferring));
  await takeAll(context);
  assert.deepEqual(await listed(pool), []);
  assert.equal((await queueRow(pool, deferring.id))?.state, "deferred");
  await watchBooks(pool).stop();
});

test("an attempt that was unknown and then found to be taken is not confirmed by that", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  await lookForUnaccounted(pool, [OUTLET]);
  const mail = await unknownMail(context);
  await logLine(pool, mail, { status: "deferred", dsn: "4.4.1" });
  await takeAll(context);
  assert.equal(await queueRow(pool, mail.id), undefined);
  await later(pool, "5 days 61 minutes");
  // Without a word of the relay's lifetime: Postfix's five days. One call covers an hour.
  await pool.query("UPDATE postlane.accounted SET until = clock_timestamp() - interval '5 days 70 minutes'");
  await lookUntilDone(pool);
  assert.deepEqual(await listed(pool), [mail.id]);
});

test("what is sent again is due now, once, and what was settled meanwhile is left alone", async (t) => {
  const database = await testDatabase(t);
  const { pool } = database;
  const context = await judgeOf(pool);
  const [lost, settled, again] = [await sentMail(context), await sentMail(context), await sentMail(context)];
  for (const { id } of [lost, settled, again]) {
    await pool.query(
      "INSERT INTO postlane.unaccounted (message_id, attempt, outlet, sent_at) VALUES ($1, 1, $2, now())",
      [id, OUTLET],
    );
  }
  await pool.query("INSERT INTO postlane.event (message_id, attempt, kind) VALUES ($1, 1, 'bounced')", [settled.id]);
  const ids = [lost.id, settled.id];
  const both = await Promise.all([resendUnaccounted(pool, ids, () => LANE), resendUnaccounted(pool, ids, () => LANE)]);
  assert.deepEqual(both.flat(), [lost.id]);
  const row = await queueRow(pool, lost.id);
  assert.equal(row?.state, "deferred");
  assert.equal(row?.attempts, 1);
  assert.ok(row.due_in_ms! <= 0);
  assert.deepEqual(await listed(pool), [again.id]);

  // By the command line: the same with a word of warning.
  const list = await jsonOf<{ total: number; messages: readonly { id: string; outlet: string }[] }>(database, [
    "unaccounted",
    "list",
    "--outlet",
    OUTLET,
  ]);
  assert.equal(list.total, 1);
  assert.equal(list.messages[0]!.id, `msg_${again.id}`);
  const unsure = await runCommand(database, ["unaccounted", "resend", "--outlet", OUTLET]);
  assert.equal(unsure.exitCode, 1);
  assert.match(unsure.stderr, /1 message would be sent again.*second copy.*--yes/);
  assert.deepEqual(await listed(pool), [again.id]);
  const sure = await runCommand(database, ["unaccounted", "resend", "--outlet", OUTLET, "--yes"]);
  assert.deepEqual([sure.exitCode, sure.stdout], [0, "1 message due again now\n"]);
  assert.equal((await queueRow(pool, again.id))?.state, "deferred");
  const twice = await runCommand(database, ["unaccounted", "resend", `msg_${again.id}`, "--yes"]);
  assert.equal(twice.exitCode, 1);
  assert.match(twice.stderr, /is not unaccounted for \(any more\)/);
  assert.match((await runCommand(database, ["unaccounted", "list"])).stdout, /every hand-over is accounted for/);
  for (const args of [[], ["msg_1", "--outlet", OUTLET]]) {
    assert.equal((await runCommand(database, ["unaccounted", "resend", ...args])).exitCode, 2);
  }
});

test("a message sent again meanwhile is not listed for its earlier attempt", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  await lookForUnaccounted(pool, [OUTLET]);
  const first = await sentMail(context);
  await byMaildir(pool, first, noticeFor(first));
  await takeAll(context);
  await settleAs(pool, nextAttempt(context, first), "sent");
  await later(pool, "5 days 30 minutes");
  await pool.query("UPDATE postlane.accounted SET until = clock_timestamp() - interval '5 days 65 minutes'");
  await pool.query("UPDATE postlane.event SET at = at - interval '31 minutes' WHERE attempt = 1");
  await lookUntilDone(pool);
  assert.deepEqual(await listed(pool), []);
});
