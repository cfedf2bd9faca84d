// Relays that report too many refusals of policy: bulk stops there, what is refused from then on is held and not
// bounced, and a person who resumes it begins a new count. Mail that somebody waits for is not touched by it.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pool } from "pg";
import type { LaneId } from "../../src/mail/ids.ts";
import { listPauses, resumeTarget } from "../../src/queue/pause-store.ts";
import type { ReturnContext } from "../../src/returns/take-returns.ts";
import { watchBooks } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { byDoor, byMaildir, judgeOf, LANE, logLine, noticeFor, sentMail, takeAll } from "../rig/returned-mail.ts";

const BULK = { ...LANE, priority: "bulk" } as const;
const REFUSED = { status: "bounced", dsn: "5.7.1", reply: "550 5.7.1 your mail looks like spam" };

async function statesOf(pool: Pool): Promise<Readonly<Record<string, number>>> {
  const { rows } = await pool.query(
    "SELECT state, sum(n)::integer AS n FROM postlane.balance_sheet GROUP BY state ORDER BY state",
  );
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
}

async function refuse(context: ReturnContext, count: number, toOf: (n: number) => string): Promise<void> {
  for (let n = 0; n < count; n++) await logLine(context.pool, await sentMail(context, toOf(n)), REFUSED);
  await takeAll(context);
}

test("too many refusals of one destination stop bulk to it: the rest is held, until a person resumes it", async (t) => {
  const { pool } = await testDatabase(t);
  const alarms: string[] = [];
  const onAlarm = (line: string): void => void alarms.push(line);
  const context = await judgeOf(pool, { laneSettingsOf: () => BULK, onAlarm });
  await refuse(context, 25, (n) => `user${n}@big.example`);
  // The twentieth answer tells.
  assert.deepEqual(await statesOf(pool), { deferred: 19, held: 6 });
  const [pause, ...others] = await listPauses(pool);
  assert.deepEqual([pause?.kind, pause?.name, pause?.reason?.code], ["destination", "big.example", "policy_refusals"]);
  assert.deepEqual(others, []);
  assert.equal(alarms.length, 1);
  assert.match(alarms[0]!, /bulk stops: destination big\.example refused 20 of 20 .*looks like spam/);
  // Also by our relay's notice; a stranger's is a bounce.
  const [ours, foreign] = [await sentMail(context, "a@big.example"), await sentMail(context, "b@big.example")];
  await byMaildir(pool, ours, noticeFor(ours, { status: "5.7.1" }));
  await byDoor(pool, foreign.returnPath, noticeFor(foreign, { status: "5.7.1", reportingMta: "mx.big.example" }));
  await takeAll(context);
  assert.deepEqual(await statesOf(pool), { bounced: 1, deferred: 19, held: 7 });
  await resumeTarget(pool, { kind: "destination", name: "big.example", laneId: pause!.lane_id });
  await refuse(context, 1, () => "again@big.example");
  assert.deepEqual(await statesOf(pool), { bounced: 1, deferred: 20, held: 7 });
  await watchBooks(pool).stop();
});

test("many destinations that refuse stop the outlet, one that refuses often does not", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool, { laneSettingsOf: () => BULK });
  await refuse(context, 25, (n) => `user@d${n}.example`);
  assert.deepEqual(
    (await listPauses(pool)).map(({ kind, name }) => [kind, name]),
    [["outlet", "relay"]],
  );
  assert.deepEqual(await statesOf(pool), { deferred: 19, held: 6 });
});

test("few among many, refusals of a recipient, and transactional mail stop nothing", async (t) => {
  const { pool } = await testDatabase(t);
  const bulk = await judgeOf(pool, { laneSettingsOf: () => BULK });
  for (let n = 0; n < 30; n++) await logLine(pool, await sentMail(bulk, `user${n}@fine.example`));
  await refuse(bulk, 1, () => "one@fine.example");
  for (let n = 0; n < 25; n++) {
    await logLine(pool, await sentMail(bulk, `user${n}@gone.example`), { status: "bounced", dsn: "5.1.1" });
  }
  await takeAll(bulk);
  await refuse(await judgeOf(pool), 25, (n) => `user${n}@strict.example`);
  assert.deepEqual(await listPauses(pool), []);
  assert.deepEqual(await statesOf(pool), { bounced: 51, delivered: 30 });
});

test("a person's pause of a destination holds what its policy refuses", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool, { laneSettingsOf: () => BULK });
  await pool.query("INSERT INTO postlane.pause (kind, name, lane_id) VALUES ('destination', 'big.example', $1)", [
    0 as LaneId,
  ]);
  await refuse(context, 1, () => "user@big.example");
  assert.deepEqual(await statesOf(pool), { held: 1 });
});
