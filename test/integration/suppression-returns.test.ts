// What comes back suppresses, too: the relay's log and its notices say that there is no such address. However often and by
// whichever way the same bounce is told, it is one strike.

import assert from "node:assert/strict";
import { test } from "node:test";
import { booksOf, queueRow, storyOf, watchBooks } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { byDoor, byMaildir, judgeOf, logLine, noticeFor, sentMail, takeAll } from "../rig/returned-mail.ts";
import { endsInDays, suppressions } from "../rig/suppressing.ts";

const BOUNCED = { status: "bounced", dsn: "5.1.1", reply: "550 5.1.1 no such user" } as const;
const NOTICE = { status: "5.1.1", diagnostic: "smtp; 550 5.1.1 no such user" } as const;

test("a bounce that the log, the relay's notice and the door tell is one strike; another message's is the second", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const first = await sentMail(context, "Ann@example.com");
  await logLine(pool, first, BOUNCED);
  await takeAll(context);
  await byMaildir(pool, first, noticeFor(first, NOTICE));
  await byDoor(pool, first.returnPath, noticeFor(first, NOTICE));
  await takeAll(context);
  await logLine(pool, first, BOUNCED);
  await takeAll(context);
  assert.deepEqual(await suppressions(pool), [`bulk ann@example.com bounce msg_${first.id}`]);
  assert.equal(await endsInDays(pool, "bulk"), 90);
  // All of it in one batch.
  const second = await sentMail(context, "ann@EXAMPLE.com");
  await byMaildir(pool, second, noticeFor(second, NOTICE));
  await logLine(pool, second, BOUNCED);
  await takeAll(context);
  assert.deepEqual(await suppressions(pool), [
    `bulk ann@example.com bounce msg_${first.id}`,
    `everything ann@example.com bounce msg_${second.id}`,
  ]);
  assert.deepEqual(await booksOf(pool), { bounced: 2 });
  await watchBooks(pool).stop();
});

test("neither policy, nor a full mailbox, nor a deferral, nor somebody else's address suppresses", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const mails = await Promise.all([1, 2, 3, 4, 5].map(() => sentMail(context)));
  await logLine(pool, mails[0]!, { ...BOUNCED, dsn: "5.7.1" });
  await logLine(pool, mails[1]!, { ...BOUNCED, dsn: "5.2.2" });
  await logLine(pool, mails[2]!, { ...BOUNCED, status: "deferred", dsn: "4.1.1" });
  await logLine(pool, mails[3]!, { ...BOUNCED, recipient: "archive@example.com" });
  // Behind an alias: it bounces, and the address is not the recipient's.
  await byDoor(
    pool,
    mails[4]!.returnPath,
    noticeFor(mails[4]!, { ...NOTICE, finalRecipient: "elsewhere@example.net" }),
  );
  await takeAll(context);
  assert.deepEqual(await suppressions(pool), []);
  assert.deepEqual(await booksOf(pool), { bounced: 3, sent: 2 });
});

test("a notice without a valid token suppresses nobody", async (t) => {
  const { pool } = await testDatabase(t);
  const context = await judgeOf(pool);
  const mail = await sentMail(context);
  const forged = { ...mail, returnPath: mail.returnPath.replace(/.(?=@)/, (last) => (last === "a" ? "b" : "a")) };
  await byDoor(pool, forged.returnPath, noticeFor(forged, NOTICE));
  await takeAll(context);
  assert.deepEqual(await suppressions(pool), []);
  assert.equal(await queueRow(pool, mail.id), undefined);
  assert.deepEqual(
    (await storyOf(pool, mail.id)).map(({ kind }) => kind),
    ["sent"],
  );
});
