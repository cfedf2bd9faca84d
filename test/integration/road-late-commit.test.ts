// A transaction of the site that enqueues and commits late, while thousands of newer messages pass: its message goes out
// within a second of the commit, whatever the dispatcher has seen and forgotten meanwhile, restarts included.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Pool, PoolClient } from "pg";
import type { MessageId } from "../../src/mail/ids.ts";
import { startLane } from "../rig/lane.ts";
import {
  createCampaign,
  databaseMs,
  enqueue,
  enqueueMany,
  fillCampaign,
  untilEmpty,
  untilEvent,
  watchBooks,
} from "../rig/lane-mail.ts";
import { needs } from "../rig/needs.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startSmtpSink, type SmtpSink } from "../rig/smtp-sink.ts";

const NEWER = { transactional: 5_000, bulk: 100_000 } as const;
const WITHIN_MS = 1_000;

for (const lane of ["transactional", "bulk"] as const) {
  test(`${lane}: a message that was committed late goes out within a second, restart or not`, async (t) => {
    if (!needs(t, "smtp-sink")) return;
    const database = await testDatabase(t);
    const { pool } = database;
    const sink = await startSmtpSink(t);
    const books = watchBooks(pool);
    const start = () => startLane(t, { database, relay: sink, lane: { name: lane } });
    const first = await start();
    const passing = await enqueueLate(t, pool, lane);
    const overRestart = await enqueueLate(t, pool, lane);
    const whileAway = await enqueueLate(t, pool, lane);

    await passNewer(pool, sink, lane, NEWER[lane] / 2);
    await assertGoesOutSoon(pool, passing, await passing.commit());

    await first.drain();
    await whileAway.commit();
    const startedAtMs = await databaseMs(pool);
    const second = await start();
    await assertGoesOutSoon(pool, whileAway, startedAtMs);

    await passNewer(pool, sink, lane, NEWER[lane] / 2);
    await assertGoesOutSoon(pool, overRestart, await overRestart.commit());

    await untilEmpty(pool);
    assert.equal(sink.count(), NEWER[lane] + 3);
    await second.drain();
    await books.stop();
  });
}

interface LateMessage {
  readonly id: MessageId;
  /** Answers when it was committed, by the database's clock. */
  commit(): Promise<number>;
}

/** Its transaction is left open. To a destination that the newer messages have, too. */
async function enqueueLate(t: TestContext, pool: Pool, lane: string): Promise<LateMessage> {
  const client: PoolClient = await pool.connect();
  let isOut = true;
  const giveBack = (): void => {
    if (isOut) client.release();
    isOut = false;
  };
  t.after(giveBack);
  await client.query("BEGIN");
  const id = await enqueue(client, { to: "late@d1.example", lane });
  return {
    id,
    async commit() {
      await client.query("COMMIT");
      const committedAtMs = await databaseMs(client);
      giveBack();
      return committedAtMs;
    },
  };
}

/** Emails in one transaction, and of how many messages one is an email; the others are a campaign's, which are cheaper. */
const CHUNK = 500;
const EMAIL_SHARE = 0.2;

/** Until the sink has them all. */
async function passNewer(pool: Pool, sink: SmtpSink, lane: string, count: number): Promise<void> {
  const before = sink.count();
  const campaign = await createCampaign(pool, { name: `newer than ${before}`, lane });
  const rows = count * (1 - EMAIL_SHARE);
  await fillCampaign(pool, campaign, { rows, destinations: 50, domain: "example" });
  for (let chunk = 0; chunk < (count * EMAIL_SHARE) / CHUNK; chunk++) {
    const emails = Array.from({ length: CHUNK }, (_, n) => ({ to: `user${chunk}-${n}@d${n % 50}.example`, lane }));
    await enqueueMany(pool, emails);
  }
  await sink.waitForCount(before + count, 120_000);
}

async function assertGoesOutSoon(pool: Pool, { id }: LateMessage, sinceMs: number): Promise<void> {
  const { at_ms } = await untilEvent(pool, id, "sent");
  assert.ok(at_ms - sinceMs < WITHIN_MS, `it went out after ${Math.round(at_ms - sinceMs)} ms`);
}
