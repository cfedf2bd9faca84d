// What returns say of destinations: waves of failure and their probes, deliveries that set free, and whose word counts.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "pg";
import { testDatabase } from "../rig/postgres.ts";
import { byDoor, byMaildir, judgeOf, logLine, noticeFor, sentMail, takeAll } from "../rig/returned-mail.ts";

interface DestinationRow {
  readonly successes: number;
  readonly failures: number;
  readonly has_answered: boolean;
  /** From now on, to whole seconds; null: it is free. */
  readonly probe_in_s: number | null;
  readonly error: string | null;
  readonly tx: string;
}

async function destination(pool: Pool, name: string): Promise<DestinationRow | undefined> {
  const { rows } = await pool.query(
    `SELECT successes, failures, answered_at IS NOT NULL AS has_answered, error, tx::text AS tx,
       round(extract(epoch FROM probe_at - clock_timestamp()))::integer AS probe_in_s
     FROM postlane.destination WHERE name = $1`,
    [name],
  );
  return rows[0];
}

/** As if the last wave had begun so much earlier. */
async function later(pool: Pool, interval: string): Promise<void> {
  await pool.query(
    `UPDATE postlane.destination SET probe_at = probe_at - $1::interval, failed_at = failed_at - $1::interval,
       answered_at = answered_at - $1::interval`,
    [interval],
  );
}

const TIMEOUT = { status: "deferred", dsn: "4.4.1", relay: "none", reply: "connect to mx: Connection timed out" };

test("a wave of failures is one failure until its probe, and each one waits twice as long, up to a quarter of an hour", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const mails = [await sentMail(context, "ann@Dead.example"), await sentMail(context, "bob@dead.example")];
  const expected = [5, 10, 20, 40, 80, 160, 320, 640, 900, 900];
  let tx = "";
  for (const [wave, seconds] of expected.entries()) {
    for (const mail of mails) {
      await logLine(pool, mail, TIMEOUT);
      await takeAll(context);
    }
    const row = (await destination(pool, "dead.example"))!;
    assert.equal(row.failures, wave + 1);
    assert.ok(Math.abs(row.probe_in_s! - seconds) <= 1, `wave ${wave + 1}: ${row.probe_in_s} s`);
    assert.match(row.error!, /timed out/);
    assert.notEqual(row.tx, tx);
    tx = row.tx;
    await later(pool, `${seconds + 1} seconds`);
  }
  await logLine(pool, mails[0]!);
  await takeAll(context);
  const free = (await destination(pool, "dead.example"))!;
  assert.deepEqual(
    { ...free, tx: "" },
    { successes: 1, failures: 0, has_answered: true, probe_in_s: null, error: null, tx: "" },
  );
});

test("deliveries count up to three; one failure among many is no wave, nor one right behind a delivery", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const mails = [];
  for (let count = 0; count < 6; count++) mails.push(await sentMail(context, `user${count}@live.example`));
  for (const mail of mails.slice(0, 5)) await logLine(pool, mail);
  await logLine(pool, mails[5]!, TIMEOUT);
  await takeAll(context);
  assert.equal((await destination(pool, "live.example"))?.successes, 3);
  await logLine(pool, mails[5]!, TIMEOUT);
  await takeAll(context);
  assert.equal((await destination(pool, "live.example"))?.failures, 0);
  await later(pool, "10 seconds");
  await logLine(pool, mails[5]!, TIMEOUT);
  await takeAll(context);
  const row = await destination(pool, "live.example");
  assert.deepEqual([row?.failures, row?.successes], [1, 0]);
});

test("what one relay leaves alone is no news of a destination that has answered another one since", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const tell = async (name: string, parts: Parameters<typeof logLine>[2]): Promise<number | undefined> => {
    await logLine(pool, await sentMail(context, `a@${name}`), parts);
    await takeAll(context);
    return (await destination(pool, name))?.failures;
  };
  const suspended = { ...TIMEOUT, reply: "delivery temporarily suspended: connect to mx: Connection timed out" };
  assert.equal(await tell("back.example", TIMEOUT), 1);
  assert.equal(await tell("back.example", {}), 0);
  await later(pool, "1 minute");
  assert.equal(await tell("back.example", suspended), 0);
  await later(pool, "10 minutes");
  assert.equal(await tell("back.example", suspended), 1, "no relay remembers for so long");
  assert.equal(await tell("new.example", suspended), 1, "nobody else has seen it answer");
});

test("a full mailbox is not the destination's fault, and a mailbox that is not there was named by one that answers", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const line = async (to: string, parts: Parameters<typeof logLine>[2]): Promise<void> => {
    await logLine(pool, await sentMail(context, to), parts);
  };
  await line("a@full.example", { status: "deferred", dsn: "4.2.2", reply: "mailbox full" });
  await line("a@gone.example", { status: "bounced", dsn: "5.1.1", reply: "no such user" });
  await line("a@nowhere.example", { status: "bounced", dsn: "5.4.4", relay: "none", reply: "no such domain" });
  await line("a@busy.example", { status: "deferred", dsn: "4.7.1", reply: "try again later" });
  await line("a@odd.example", { status: "deferred", dsn: "4.0.0", reply: "450 no" });
  await takeAll(context);
  const figures = async (name: string): Promise<readonly unknown[]> => {
    const row = await destination(pool, name);
    return [row?.has_answered, row?.failures, row?.probe_in_s === null];
  };
  // Told of, so that nobody waits to hear, and neither for nor against it.
  assert.deepEqual(await figures("full.example"), [false, 0, true]);
  assert.deepEqual(await figures("gone.example"), [true, 0, true]);
  assert.deepEqual(await figures("nowhere.example"), [false, 0, true]);
  assert.deepEqual(await figures("busy.example"), [false, 1, false]);
  assert.deepEqual(await figures("odd.example"), [false, 1, false]);
});

test("a dispatcher hears of each message's end as long as the destination is not free", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const tell = async (parts: Parameters<typeof logLine>[2]): Promise<DestinationRow> => {
    await logLine(pool, await sentMail(context, "a@slow.example"), parts);
    await takeAll(context);
    return (await destination(pool, "slow.example"))!;
  };
  const full = { status: "deferred", dsn: "4.2.2", reply: "mailbox full" };
  const first = await tell(full);
  const second = await tell(full);
  assert.notEqual(second.tx, first.tx);
  const failing = await tell(TIMEOUT);
  const probed = await tell(full);
  assert.deepEqual([probed.failures, probed.error], [1, failing.error]);
  assert.notEqual(probed.tx, failing.tx);
  let free = await tell({});
  for (let count = 0; count < 2; count++) free = await tell({});
  assert.equal(free.successes, 3);
  assert.equal((await tell(full)).tx, free.tx);
});

test("our relay's notice counts, a stranger's does not; and neither does what is long past", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const [ours, foreign, old] = [
    await sentMail(context, "a@ours.example"),
    await sentMail(context, "a@foreign.example"),
    await sentMail(context, "a@old.example"),
  ];
  await byMaildir(pool, ours, noticeFor(ours));
  await byDoor(pool, foreign.returnPath, noticeFor(foreign));
  await logLine(pool, old, { ...TIMEOUT, at: new Date(Date.now() - 3_600_000).toISOString() });
  await takeAll(context);
  assert.equal((await destination(pool, "ours.example"))?.failures, 1);
  assert.equal(await destination(pool, "foreign.example"), undefined);
  assert.equal(await destination(pool, "old.example"), undefined);
});
