// What is heard of an attempt late, from a relay, a person or an old journal, is told with the version of the campaign's
// template that this attempt carried: it alone says who got which text.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Pool } from "pg";
import { settleLate } from "../../src/dispatcher/rescue.ts";
import { acceptUnknown } from "../../src/queue/control-messages.ts";
import type { ReturnContext } from "../../src/returns/take-returns.ts";
import { testDatabase } from "../rig/postgres.ts";
import {
  byMaildir,
  evidence,
  judgeOf,
  logLine,
  nextAttempt,
  noticeFor,
  settleAs,
  takeAll,
  waitingMail,
  type SentMail,
} from "../rig/returned-mail.ts";

const ANSWER = { kind: "sent", outlet: "relay", host: "h", reply: "250 2.0.0 Ok", isOwnFault: true } as const;

test("a line of the log, evidence and a notice are about the text that was sent", async (t) => {
  const { pool, context } = await rigFor(t);
  const [unknown, proven, sent] = [await claimed(context, 2), await claimed(context, 3), await claimed(context, 4)];
  for (const mail of [unknown, proven]) await settleAs(pool, mail, "unknown");
  await settleAs(pool, sent, "sent");
  await logLine(pool, unknown);
  await evidence(pool, proven, "accepted");
  await byMaildir(pool, sent, noticeFor(sent, { status: "5.1.1" }));
  await takeAll(context);
  for (const [mail, version] of [
    [unknown, 2],
    [proven, 3],
    [sent, 4],
  ] as const) {
    const story = await storyOf(pool, mail);
    assert.ok(story.length >= 2, JSON.stringify(story));
    assert.deepEqual(new Set(story.map((event) => event.version)), new Set([version]), JSON.stringify(story));
  }
});

test("a notice about an earlier attempt is not told with the version of a later one", async (t) => {
  const { pool, context } = await rigFor(t);
  const first = await claimed(context, 2);
  await settleAs(pool, first, "unknown");
  const second = nextAttempt(context, first);
  await pool.query("UPDATE postlane.queue SET version = 3 WHERE message_id = $1", [first.id]);
  await settleAs(pool, second, "unknown");
  await logLine(pool, first);
  await takeAll(context);
  const told = (await storyOf(pool, first)).filter(({ attempt }) => attempt === 1);
  assert.ok(told.length > 1, JSON.stringify(told));
  assert.deepEqual(new Set(told.map(({ version }) => version)), new Set([2]));
});

test("the first version is told by none", async (t) => {
  const { pool, context } = await rigFor(t);
  const mail = await claimed(context, null);
  await settleAs(pool, mail, "unknown");
  await logLine(pool, mail);
  await takeAll(context);
  assert.deepEqual(new Set((await storyOf(pool, mail)).map(({ version }) => version)), new Set([null]));
});

test("a person who accepts, and an answer that comes after its lease", async (t) => {
  const { pool, context } = await rigFor(t);
  const [accepted, late, again] = [await claimed(context, 2), await claimed(context, 3), await claimed(context, 4)];
  for (const mail of [accepted, late]) await settleAs(pool, mail, "unknown");
  await settleAs(pool, again, "unknown");
  await acceptUnknown(pool, [accepted.id]);
  await settleLate({ pool }, [{ messageId: late.id, attempt: 1, answer: ANSWER }]);
  assert.deepEqual((await storyOf(pool, accepted)).at(-1), { attempt: 1, kind: "sent", version: 2 });
  assert.deepEqual((await storyOf(pool, late)).at(-1), { attempt: 1, kind: "sent", version: 3 });

  // Tried again since: the reply to the first attempt changes nothing, and stays evidence.
  await pool.query("UPDATE postlane.queue SET version = 5, attempts = 2 WHERE message_id = $1", [again.id]);
  await settleLate({ pool }, [{ messageId: again.id, attempt: 1, answer: ANSWER }]);
  assert.deepEqual((await storyOf(pool, again)).at(-1), { attempt: 1, kind: "late_sent", version: 4 });
});

test("a dispatcher that lost its lease knows which version it sent, though nothing was told yet", async (t) => {
  const { pool, context } = await rigFor(t);
  const mail = await claimed(context, 2);
  await settleLate({ pool }, [{ messageId: mail.id, attempt: 1, answer: ANSWER, version: 2 }]);
  assert.deepEqual(await storyOf(pool, mail), [{ attempt: 1, kind: "late_sent", version: 2 }]);
});

async function rigFor(t: TestContext): Promise<{ readonly pool: Pool; readonly context: ReturnContext }> {
  const { pool } = await testDatabase(t);
  return { pool, context: await judgeOf(pool) };
}

/** As a claim leaves it; no campaign is needed for that. */
async function claimed(context: ReturnContext, version: number | null): Promise<SentMail> {
  const mail = await waitingMail(context);
  await context.pool.query("UPDATE postlane.queue SET version = $2 WHERE message_id = $1", [mail.id, version]);
  return mail;
}

interface Told {
  readonly attempt: number;
  readonly kind: string;
  readonly version: number | null;
}

async function storyOf(pool: Pool, { id }: SentMail): Promise<readonly Told[]> {
  const { rows } = await pool.query(
    "SELECT attempt, kind, version FROM postlane.event WHERE message_id = $1 ORDER BY at",
    [id],
  );
  return rows;
}
