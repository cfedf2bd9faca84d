// What comes back, judged on a real database: one test for each rule, and for "try again" one for each condition that
// must hold. After each the books add up.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Pool } from "pg";
import { reopenWaitingCampaigns } from "../../src/campaigns/campaign-store.ts";
import { sweepCanceled } from "../../src/upkeep/sweep.ts";
import { takeReturns, type ReturnContext } from "../../src/returns/take-returns.ts";
import { createCampaign, addRecipient, queueRow, storyOf, watchBooks, booksOf } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import {
  byDoor,
  byMaildir,
  evidence,
  judgementsOf,
  judgeOf,
  LANE,
  logLine,
  nextAttempt,
  noticeFor,
  RELAY_NAME,
  sentMail,
  settleAs,
  takeAll,
  unknownMail,
  waitingMail,
  type SentMail,
} from "../rig/returned-mail.ts";

interface Rig {
  readonly pool: Pool;
  readonly context: ReturnContext;
}

/** The judge, and the books that are held against the queue when the test ends. */
async function rigFor(t: TestContext, given: Partial<ReturnContext> = {}): Promise<Rig> {
  const { pool } = await testDatabase(t);
  return { pool, context: await judgeOf(pool, given) };
}

async function booksAddUp({ pool }: Rig): Promise<void> {
  await watchBooks(pool).stop();
}

async function kindsOf({ pool }: Rig, { id }: SentMail): Promise<readonly string[]> {
  return (await storyOf(pool, id)).map(({ kind }) => kind);
}

// ---- a temporary failure comes home ---------------------------------------------------------------------------------

test("a 4.x.x notice of our relay makes the message a row again, on its retry schedule", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const mail = await sentMail(context);
  await byMaildir(pool, mail, noticeFor(mail));
  await takeAll(context);
  const row = await queueRow(pool, mail.id);
  assert.equal(row?.state, "deferred");
  assert.equal(row?.attempts, 1);
  assert.equal(row?.tries, 1);
  assert.ok(row.due_in_ms! > 14 * 60_000 && row.due_in_ms! <= 15 * 60_000, `due in ${row.due_in_ms} ms`);
  assert.deepEqual(await kindsOf(rig, mail), ["sent", "deferred"]);
  assert.deepEqual(await judgementsOf(pool), ["deferred"]);
  await booksAddUp(rig);
});

test("the second time home it waits for the second place of its schedule", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const first = await sentMail(context);
  await byMaildir(pool, first, noticeFor(first));
  await takeAll(context);
  const second = nextAttempt(context, first);
  await settleAs(pool, second, "sent");
  await byMaildir(pool, second, noticeFor(second));
  await takeAll(context);
  const row = await queueRow(pool, first.id);
  assert.equal(row?.attempts, 2);
  assert.equal(row?.tries, 2);
  assert.ok(row.due_in_ms! > 59 * 60_000, `due in ${row.due_in_ms} ms`);
  await booksAddUp(rig);
});

test("the same notice twice acts once, whether it comes together or later, by Maildir or by the door", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const mail = await sentMail(context);
  const raw = noticeFor(mail);
  await byMaildir(pool, mail, raw);
  await byMaildir(pool, mail, raw);
  await takeAll(context);
  await byDoor(pool, mail.returnPath, raw);
  await takeAll(context);
  assert.deepEqual(await kindsOf(rig, mail), ["sent", "deferred", "late_bounced"]);
  assert.equal((await queueRow(pool, mail.id))?.tries, 1);
  assert.deepEqual(await judgementsOf(pool), ["deferred", "repeated", "stale"]);
  await booksAddUp(rig);
});

const CONDITIONS: readonly { readonly name: string; readonly bring: (pool: Pool, mail: SentMail) => Promise<void> }[] =
  [
    { name: "it came by the door", bring: (pool, mail) => byDoor(pool, mail.returnPath, noticeFor(mail)) },
    {
      name: "another host wrote it",
      bring: (pool, mail) => byMaildir(pool, mail, noticeFor(mail, { reportingMta: "mx.stranger.example" })),
    },
    {
      name: "the relay of that Maildir has another name",
      bring: (pool, mail) => byMaildir(pool, mail, noticeFor(mail), "other.news.example"),
    },
    {
      name: "it is about another queue id",
      bring: (pool, mail) => byMaildir(pool, mail, noticeFor(mail, { queueId: "4QSomeOtherMail" })),
    },
    { name: "it names no queue id", bring: (pool, mail) => byMaildir(pool, mail, noticeFor(mail, { queueId: null })) },
  ];

for (const { name, bring } of CONDITIONS) {
  test(`a 4.x.x notice is a final soft bounce when ${name}`, async (t) => {
    const rig = await rigFor(t);
    const mail = await sentMail(rig.context);
    await bring(rig.pool, mail);
    await takeAll(rig.context);
    assert.equal(await queueRow(rig.pool, mail.id), undefined);
    assert.deepEqual(await kindsOf(rig, mail), ["sent", "bounced"]);
    assert.deepEqual(await judgementsOf(rig.pool), ["soft_bounced"]);
    await booksAddUp(rig);
  });
}

test("a 4.x.x notice of an attempt that is not the latest changes nothing", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const first = await unknownMail(context);
  const second = nextAttempt(context, first);
  await settleAs(pool, second, "sent");
  await byMaildir(pool, first, noticeFor(first));
  await takeAll(context);
  assert.equal(await queueRow(pool, first.id), undefined);
  assert.deepEqual(await kindsOf(rig, first), ["unknown", "sent", "late_deferred"]);
  assert.deepEqual(await judgementsOf(pool), ["stale"]);
  await booksAddUp(rig);
});

test("a 4.x.x notice of a message that is no longer sent changes nothing", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const mail = await sentMail(context);
  await logLine(pool, mail);
  await byMaildir(pool, mail, noticeFor(mail));
  await takeAll(context);
  assert.equal(await queueRow(pool, mail.id), undefined);
  assert.deepEqual(await kindsOf(rig, mail), ["sent", "delivered", "late_deferred"]);
  await booksAddUp(rig);
});

test("a relay's name is compared without regard to case", async (t) => {
  const rig = await rigFor(t);
  const mail = await sentMail(rig.context);
  await byMaildir(rig.pool, mail, noticeFor(mail, { reportingMta: RELAY_NAME.toUpperCase() }), RELAY_NAME);
  await takeAll(rig.context);
  assert.equal((await queueRow(rig.pool, mail.id))?.state, "deferred");
});

test("the field Status counts, not the Diagnostic-Code", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const soft = await sentMail(context);
  await byMaildir(pool, soft, noticeFor(soft, { status: "4.4.7", diagnostic: "550 5.1.1 no such user" }));
  const hard = await sentMail(context);
  await byMaildir(pool, hard, noticeFor(hard, { status: "5.1.1", diagnostic: "451 4.3.0 try again" }));
  await takeAll(context);
  assert.equal((await queueRow(pool, soft.id))?.state, "deferred");
  assert.deepEqual(await kindsOf(rig, hard), ["sent", "bounced"]);
  await booksAddUp(rig);
});

test("a message whose time to live is over when it comes home is expired", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const mail = await sentMail(context);
  await pool.query("UPDATE postlane.message SET expires_at = clock_timestamp() - interval '1 second' WHERE id = $1", [
    mail.id,
  ]);
  await byMaildir(pool, mail, noticeFor(mail));
  await takeAll(context);
  assert.equal(await queueRow(pool, mail.id), undefined);
  assert.deepEqual(await kindsOf(rig, mail), ["sent", "expired"]);
  await booksAddUp(rig);
});

const CUT =
  "lost connection with mx.example.com[192.0.2.1] while sending end of data -- message may be sent more than once";

test("a connection that the relay lost at the end of the data is unknown, under the lane's policy", async (t) => {
  for (const [unknownPolicy, dueMs] of [
    ["hold", null],
    ["resend", LANE.unknownGraceMs],
  ] as const) {
    const rig = await rigFor(t, { laneSettingsOf: () => ({ ...LANE, unknownPolicy }) });
    const mail = await sentMail(rig.context);
    await byMaildir(rig.pool, mail, noticeFor(mail, { status: "4.4.2", diagnostic: CUT }));
    await takeAll(rig.context);
    const row = await queueRow(rig.pool, mail.id);
    assert.equal(row?.state, "unknown");
    assert.equal(row?.attempts, 1);
    if (dueMs === null) assert.equal(row?.due_in_ms, null);
    else assert.ok(row.due_in_ms! > dueMs / 2 && row.due_in_ms! <= dueMs);
    assert.deepEqual(await kindsOf(rig, mail), ["sent", "unknown"]);
    await booksAddUp(rig);
    // That the relay had taken it is no news, and no answer to the question.
    await evidence(rig.pool, mail, "accepted");
    await logLine(rig.pool, mail, { status: "deferred", dsn: "4.4.2", reply: CUT });
    await takeAll(rig.context);
    assert.equal((await queueRow(rig.pool, mail.id))?.state, "unknown");
    await booksAddUp(rig);
  }
});

test("any other 4.4.2 is tried again", async (t) => {
  const rig = await rigFor(t);
  const mail = await sentMail(rig.context);
  await byMaildir(
    rig.pool,
    mail,
    noticeFor(mail, { status: "4.4.2", diagnostic: "lost connection while sending RCPT TO" }),
  );
  await takeAll(rig.context);
  assert.equal((await queueRow(rig.pool, mail.id))?.state, "deferred");
});

test("a message of a finished campaign that comes home sets the campaign running again", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const campaignId = await createCampaign(pool, { name: "march" });
  const id = await addRecipient(pool, campaignId, "ann@example.com");
  const mail = { ...nextAttempt(context, { id, attempt: 0, to: "ann@example.com", queueId: "", returnPath: "" }) };
  await settleAs(pool, mail, "sent");
  await pool.query("UPDATE postlane.campaign SET status = 'finished' WHERE id = $1", [campaignId]);
  await byMaildir(pool, mail, noticeFor(mail));
  await takeAll(context);
  const { rows } = await pool.query("SELECT status FROM postlane.campaign WHERE id = $1", [campaignId]);
  assert.equal(rows[0].status, "running");
  assert.deepEqual(await booksOf(pool, campaignId), { deferred: 1 });
  await booksAddUp(rig);
});

test("a campaign that was called finished in that very moment is found, and a canceled one is swept once more", async (t) => {
  const rig = await rigFor(t);
  const { pool } = rig;
  const ids = [await createCampaign(pool, { name: "finished" }), await createCampaign(pool, { name: "canceled" })];
  for (const id of ids) await addRecipient(pool, id, "ann@example.com");
  const empty = await createCampaign(pool, { name: "empty" });
  await pool.query("UPDATE postlane.campaign SET status = 'finished' WHERE id = ANY ($1)", [[ids[0], empty]]);
  await pool.query("UPDATE postlane.campaign SET status = 'canceled', swept_at = now() WHERE id = $1", [ids[1]]);
  await reopenWaitingCampaigns(pool);
  const { rows } = await pool.query("SELECT name, status, swept_at FROM postlane.campaign ORDER BY id");
  assert.deepEqual(
    rows.map(({ name, status, swept_at }) => [name, status, swept_at]),
    [
      ["finished", "running", null],
      ["canceled", "canceled", null],
      ["empty", "finished", null],
    ],
  );
  assert.equal(await sweepCanceled(pool), 1);
  await booksAddUp(rig);
});

// ---- for good -------------------------------------------------------------------------------------------------------

test("a 5.x.x notice bounces, wherever it comes from, also what was delivered", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const mails = [await sentMail(context), await sentMail(context), await sentMail(context)] as const;
  await byMaildir(pool, mails[0], noticeFor(mails[0], { status: "5.1.1" }));
  await byDoor(pool, mails[1].returnPath, noticeFor(mails[1], { status: "5.2.2", reportingMta: "mx.example.com" }));
  await logLine(pool, mails[2]);
  await byDoor(pool, mails[2].returnPath, noticeFor(mails[2], { status: "5.1.1", reportingMta: "mx.example.com" }));
  await takeAll(context);
  assert.deepEqual(await kindsOf(rig, mails[0]), ["sent", "bounced"]);
  assert.deepEqual(await kindsOf(rig, mails[1]), ["sent", "bounced"]);
  assert.deepEqual(await kindsOf(rig, mails[2]), ["sent", "delivered", "bounced"]);
  await booksAddUp(rig);
});

test("delayed and relayed are told, and change nothing; delivered counts from the recipient's own system alone", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const [delayed, relayed, forwarded, delivered] = [
    await sentMail(context),
    await sentMail(context),
    await sentMail(context),
    await sentMail(context),
  ];
  await byMaildir(pool, delayed, noticeFor(delayed, { action: "delayed" }));
  await byMaildir(pool, relayed, noticeFor(relayed, { action: "relayed", status: "2.0.0" }));
  await byDoor(
    pool,
    forwarded.returnPath,
    noticeFor(forwarded, { action: "delivered", status: "2.0.0", finalRecipient: "bob@elsewhere.example" }),
  );
  await byDoor(pool, delivered.returnPath, noticeFor(delivered, { action: "delivered", status: "2.1.5" }));
  await takeAll(context);
  assert.deepEqual(await kindsOf(rig, delayed), ["sent", "relay_delayed"]);
  assert.deepEqual(await kindsOf(rig, relayed), ["sent", "relayed"]);
  assert.deepEqual(await kindsOf(rig, forwarded), ["sent", "relayed"]);
  assert.deepEqual(await kindsOf(rig, delivered), ["sent", "delivered"]);
  await booksAddUp(rig);
});

// ---- the relay's log ------------------------------------------------------------------------------------------------

test("the log's lines: delivered, relayed, deferred at most three times, bounced, expired; judged lines are gone", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const [delivered, relayed, deferred, bounced, expired] = [
    await sentMail(context),
    await sentMail(context),
    await sentMail(context),
    await sentMail(context),
    await sentMail(context),
  ];
  await logLine(pool, delivered);
  await logLine(pool, relayed, { means: "relayed" });
  for (let line = 0; line < 5; line++) await logLine(pool, deferred, { status: "deferred", dsn: "4.4.1" });
  await logLine(pool, bounced, { status: "bounced", dsn: "5.1.1" });
  await logLine(pool, expired, { status: "expired", dsn: "4.4.1" });
  await takeAll(context);
  assert.deepEqual(await kindsOf(rig, delivered), ["sent", "delivered"]);
  assert.deepEqual(await kindsOf(rig, relayed), ["sent", "relayed"]);
  assert.deepEqual(await kindsOf(rig, deferred), ["sent", ...Array.from({ length: 3 }, () => "relay_deferred")]);
  assert.deepEqual(await kindsOf(rig, bounced), ["sent", "bounced"]);
  assert.deepEqual(await kindsOf(rig, expired), ["sent", "relay_expired"]);
  assert.deepEqual(await judgementsOf(pool), []);
  await booksAddUp(rig);
});

test("a line without a return path is known by the queue id and its recipient; a copy to an archive is nobody's", async (t) => {
  const rig = await rigFor(t, { verpOutlets: new Set() });
  const { pool, context } = rig;
  const [mail, copied] = [await sentMail(context), await sentMail(context)];
  await logLine(pool, mail, { returnPath: null });
  await logLine(pool, copied, { returnPath: null, recipient: "archive@news.example" });
  await takeAll(context);
  assert.deepEqual(await kindsOf(rig, mail), ["sent", "delivered"]);
  assert.deepEqual(await kindsOf(rig, copied), ["sent"]);
});

test("a line that comes before its attempt was settled waits, and is judged then", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const mail = await waitingMail(context);
  await pool.query("UPDATE postlane.queue SET lease_id = 1 WHERE message_id = $1", [mail.id]);
  await logLine(pool, mail);
  // However old it is: the claim is still open.
  await pool.query("UPDATE postlane.return SET received_at = received_at - interval '1 hour'");
  await takeAll(context);
  assert.deepEqual(await judgementsOf(pool), [null]);
  await settleAs(pool, mail, "sent");
  await pool.query("UPDATE postlane.return SET judge_at = clock_timestamp()");
  await takeAll(context);
  assert.deepEqual(await judgementsOf(pool), []);
  assert.deepEqual(await kindsOf(rig, mail), ["sent", "delivered"]);
  await booksAddUp(rig);
});

test("a line whose attempt never comes is nobody's after a quarter of an hour, and not before", async (t) => {
  const rig = await rigFor(t, { verpOutlets: new Set() });
  const { pool, context } = rig;
  const mail = await waitingMail(context);
  await logLine(pool, { ...mail, queueId: "NOBODYS" }, { returnPath: null });
  await takeAll(context);
  assert.deepEqual(await judgementsOf(pool), [null]);
  await pool.query(
    "UPDATE postlane.return SET received_at = received_at - interval '16 minutes', judge_at = clock_timestamp()",
  );
  await takeAll(context);
  assert.deepEqual(await judgementsOf(pool), []);
});

// ---- unknown --------------------------------------------------------------------------------------------------------

test("what was unknown is settled by the log: delivered, or taken by the relay", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const [delivered, taken, gaveUp] = [
    await unknownMail(context),
    await unknownMail(context),
    await unknownMail(context),
  ];
  await logLine(pool, delivered);
  await logLine(pool, taken, { status: "deferred", dsn: "4.4.1" });
  await byMaildir(pool, gaveUp, noticeFor(gaveUp));
  await takeAll(context);
  assert.equal(await queueRow(pool, delivered.id), undefined);
  assert.deepEqual(await kindsOf(rig, delivered), ["unknown", "delivered"]);
  assert.deepEqual(await kindsOf(rig, taken), ["unknown", "sent", "relay_deferred"]);
  assert.deepEqual(await kindsOf(rig, gaveUp), ["unknown", "sent", "deferred"]);
  assert.equal((await queueRow(pool, gaveUp.id))?.state, "deferred");
  await booksAddUp(rig);
});

test("evidence settles what is still unknown after that attempt, and nothing else", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const [accepted, refused, again, sent] = [
    await unknownMail(context),
    await unknownMail(context),
    await unknownMail(context),
    await sentMail(context),
  ];
  await pool.query("UPDATE postlane.queue SET lease_id = 1 WHERE message_id = $1", [again.id]);
  await evidence(pool, accepted, "accepted");
  await evidence(pool, refused, "not_accepted");
  await evidence(pool, again, "accepted");
  await evidence(pool, sent, "not_accepted");
  await takeAll(context);
  assert.deepEqual(await kindsOf(rig, accepted), ["unknown", "sent"]);
  assert.equal(await queueRow(pool, accepted.id), undefined);
  const row = await queueRow(pool, refused.id);
  assert.equal(row?.state, "deferred");
  assert.ok(row.due_in_ms! <= 0);
  assert.deepEqual(await kindsOf(rig, again), ["unknown", "late_sent"]);
  assert.equal((await queueRow(pool, again.id))?.state, "unknown");
  assert.deepEqual(await kindsOf(rig, sent), ["sent"]);
  // The queue id that the evidence brought makes the relay's notice good.
  await byMaildir(pool, accepted, noticeFor(accepted));
  await takeAll(context);
  assert.equal((await queueRow(pool, accepted.id))?.state, "deferred");
  await booksAddUp(rig);
});

// ---- what changes nothing -------------------------------------------------------------------------------------------

test("without a valid token nothing is changed, and the mail itself is not kept", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const mail = await sentMail(context);
  const [local = "", domain = ""] = mail.returnPath.split("@");
  const forged = `${local.slice(0, -1)}${local.endsWith("a") ? "b" : "a"}@${domain}`;
  const hard = noticeFor(mail, { status: "5.1.1" });
  await byDoor(pool, forged, hard);
  await byDoor(pool, `b+nonsense@${domain}`, hard);
  await byDoor(pool, `ann@${domain}`, hard);
  await byDoor(pool, mail.returnPath.replace(domain, "other.example"), hard);
  await byDoor(
    pool,
    mail.returnPath,
    "Auto-Submitted: auto-replied\r\nSubject: away\r\n\r\nI am away",
    "ann@example.com",
  );
  await byDoor(pool, mail.returnPath, "Subject: Re: your order\r\n\r\nThanks", "ann@example.com");
  await byDoor(pool, mail.returnPath, "Subject: failure notice\r\n\r\nno such user", "");
  await byDoor(pool, mail.returnPath, "\0\0\0");
  await takeAll(context);
  assert.deepEqual(await kindsOf(rig, mail), ["sent"]);
  assert.deepEqual(await judgementsOf(pool), [
    "forged_token",
    "no_token",
    "no_token",
    "no_token",
    "auto_reply",
    "reply",
    "unreadable",
    "unreadable",
  ]);
  const { rows } = await pool.query("SELECT count(raw)::integer AS kept FROM postlane.return");
  assert.equal(rows[0].kept, 0);
  await booksAddUp(rig);
});

test("what no program wrote right is set aside alone, and the others are taken", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const mail = await sentMail(context);
  for (const body of [null, [], "text", {}, { status: "sent" }, { queue_id: 5, status: "sent", recipient: [] }]) {
    await pool.query("INSERT INTO postlane.return (outlet, source, body) VALUES ('relay', 'log', $1)", [
      JSON.stringify(body),
    ]);
  }
  await pool.query(
    `INSERT INTO postlane.return (source, body) VALUES ('evidence', '{"message_id": 9007199254740993, "attempt": 70000}')`,
  );
  await logLine(pool, mail);
  await takeAll(context);
  assert.deepEqual(await kindsOf(rig, mail), ["sent", "delivered"]);
  assert.deepEqual(await judgementsOf(pool), []);
});

test("two judges at the same time: each return acts once", async (t) => {
  const rig = await rigFor(t);
  const { pool, context } = rig;
  const mails: SentMail[] = [];
  for (let count = 0; count < 30; count++) mails.push(await sentMail(context));
  for (const mail of mails) {
    await logLine(pool, mail, { status: "deferred", dsn: "4.4.1" });
    await byMaildir(pool, mail, noticeFor(mail));
  }
  const judge = async (): Promise<void> => {
    while ((await takeReturns(context, 0, 7)).taken > 0);
  };
  await Promise.all([judge(), judge(), judge()]);
  for (const mail of mails) {
    const kinds = await kindsOf(rig, mail);
    assert.equal(kinds.filter((kind) => kind === "deferred").length, 1);
    assert.equal((await queueRow(pool, mail.id))?.state, "deferred");
  }
  await booksAddUp(rig);
});
