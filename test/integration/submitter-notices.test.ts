// What submitters by SMTP and sendmail are told, from the acceptance of their mail to the notice in the queue: accepted by
// the doors' own functions, settled as a dispatcher settles, and read back by our own reader and another parser.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Pool } from "pg";
import PostalMime from "postal-mime";
import { createDatabaseQueue } from "../../src/dispatcher/database-queue.ts";
import { expired } from "../../src/dispatcher/fate.ts";
import type { LaneQueue, Settlement } from "../../src/dispatcher/lane-queue.ts";
import { appendEvents } from "../../src/events/event-store.ts";
import { sendOwedNotices } from "../../src/events/submitter-notices.ts";
import { NO_CAMPAIGN, type LaneId, type MessageId } from "../../src/mail/ids.ts";
import type { Notice } from "../../src/mail/notice.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { acquireLease } from "../../src/queue/lease-store.ts";
import type { ClaimedRow } from "../../src/queue/queue-store.ts";
import { parseNotice } from "../../src/returns/parse-notice.ts";
import { acceptSubmission } from "../../src/submission/accept-submission.ts";
import type { Door, KeptMail } from "../../src/submission/submission.ts";
import { createCampaign, enqueue, fillCampaign } from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";

const RAW =
  "Received: from app\r\nFrom: app@site.example\r\nTo: ann@example.com\r\nSubject: Order 4711\r\nMessage-ID: <order-4711@site.example>\r\n\r\nYour order is on its way.\r\n";
const HOST = "mx.example.com[192.0.2.1]:25";

interface Rig {
  readonly pool: Pool;
  /** One mail to these recipients, accepted as the SMTP door does. */
  submit(
    mail?: Partial<KeptMail>,
    given?: { readonly to?: readonly string[]; readonly door?: Door; readonly raw?: string },
  ): Promise<void>;
  /** What waits for `example.com` is claimed, and settled as it is said. */
  settle(fate: (row: ClaimedRow) => Settlement): Promise<void>;
  /** Sends what is owed; answers how many. */
  send(...tellingOutlets: readonly string[]): Promise<number>;
  notices(): Promise<readonly Told[]>;
}

interface Told {
  readonly to: string;
  readonly sender: string;
  readonly raw: Buffer;
  readonly notice: Notice;
}

async function rig(t: TestContext): Promise<Rig> {
  const { pool } = await testDatabase(t);
  const laneId = (await pool.query("SELECT id FROM postlane.lane WHERE name = 'transactional'")).rows[0].id as LaneId;
  const { id: leaseId } = await acquireLease(pool, { laneId, holder: "test", bootId: "boot", leaseMs: 600_000 });
  const queue: LaneQueue = createDatabaseQueue({
    pool,
    laneId,
    leaseId,
    leaseMs: 600_000,
    clock: systemClock,
    prepare: async () => {},
    release: () => {},
  });
  let batchId = 0;
  return {
    pool,
    async submit(mail = {}, { to = ["ann@example.com"], door = "smtp", raw = RAW } = {}) {
      const answer = await acceptSubmission(pool, {
        kind: "mail",
        door,
        credential: "key:1",
        raw: Buffer.from(raw),
        envelope: { to, mail: { sender: "app@site.example", ...mail } },
      });
      assert.equal(answer.kind, "accepted");
    },
    async settle(fate) {
      const wants = [{ campaignId: NO_CAMPAIGN, destination: "example.com", rowsMax: 100, cursorUs: 0 }];
      const rows = await queue.claim(wants, ++batchId, [], []);
      assert.ok(rows.length > 0, "something waits");
      assert.equal(await queue.settle(rows.map(fate)), "settled");
    },
    send: (...telling) =>
      sendOwedNotices({
        pool,
        clock: systemClock,
        log: silentLog,
        from: "Site <hello@site.example>",
        tellingOutlets: new Set(telling),
      }),
    async notices() {
      const { rows } = await pool.query(
        `SELECT m.recipient, c.body, c.raw, q.state, s.door FROM postlane.submission AS s
         JOIN postlane.message AS m ON m.submission_id = s.id JOIN postlane.content AS c ON c.id = m.content_id
         JOIN postlane.queue AS q ON q.message_id = m.id WHERE s.door = 'notice' ORDER BY m.id`,
      );
      return rows.map(({ recipient, body, raw }) => {
        const notice = parseNotice(raw as Buffer, "");
        assert.equal(notice.kind, "notice");
        return { to: recipient as string, sender: body.sender as string, raw: raw as Buffer, notice };
      });
    },
  };
}

const bounced = (row: ClaimedRow): Settlement => ({
  row,
  attempt: 1,
  becomes: { kind: "settled", state: "bounced" },
  event: { kind: "bounced", outlet: "relay", host: HOST, reply: "550 5.1.1 no such user" },
});
const sent = (row: ClaimedRow): Settlement => ({
  row,
  attempt: 1,
  becomes: { kind: "settled", state: "sent" },
  event: { kind: "sent", outlet: "relay", host: HOST, reply: "250 2.0.0 Ok: queued as 4Q12345" },
});

async function owedRows(pool: Pool): Promise<number> {
  return (await pool.query("SELECT count(*)::integer AS n FROM postlane.owed_notice")).rows[0].n as number;
}

test("what a relay took and then bounced is told from here, unless the relay tells MAIL FROM itself", async (t) => {
  const { pool, submit, settle, send } = await rig(t);
  await submit();
  await submit();
  await settle(sent);
  const { rows } = await pool.query("SELECT id FROM postlane.message ORDER BY id");
  for (const [telling, count] of [
    ["relay", 0],
    ["other", 1],
  ] as const) {
    const { id } = rows[count];
    await inTransaction(pool, (client) =>
      appendEvents(client, [{ messageId: id, attempt: 1, kind: "bounced", outlet: "relay", reply: "550 5.1.1 no" }]),
    );
    assert.equal(await send(telling), count);
    assert.equal(await owedRows(pool), 0);
  }
});

test("a bounce is told once, to MAIL FROM, from the null sender, with the header of what was sent", async (t) => {
  const { pool, submit, settle, send, notices } = await rig(t);
  await submit({ envid: "order+2B4711", ret: "HDRS", orcpt: { "ann@example.com": "rfc822;Ann+2Bx@example.com" } });
  await settle(bounced);
  assert.equal(await send(), 1);
  assert.equal(await send(), 0);
  assert.equal(await owedRows(pool), 0);
  const [told, ...more] = await notices();
  assert.deepEqual(more, []);
  assert.equal(told!.to, "app@site.example");
  assert.equal(told!.sender, "");
  assert.deepEqual(told!.notice, {
    kind: "notice",
    reportingMta: "site.example",
    originalEnvelopeId: "order+4711",
    arrivalDate: told!.notice.arrivalDate,
    messageId: "<order-4711@site.example>",
    recipients: [
      {
        action: "failed",
        status: "5.1.1",
        finalRecipient: "ann@example.com",
        originalRecipient: "Ann+x@example.com",
        diagnostic: "550 5.1.1 no such user",
        remoteMta: "mx.example.com",
      },
    ],
  });
  const parsed = await PostalMime.parse(told!.raw);
  assert.deepEqual(parsed.from, { name: "Mail Delivery System", address: "MAILER-DAEMON@site.example" });
  assert.equal(parsed.headers.find(({ key }) => key === "auto-submitted")?.value, "auto-replied");
  assert.match(
    parsed.text!,
    /could not be delivered to\n\n {4}ann@example\.com\n\nmx\.example\.com said:\n\n {4}550 5\.1\.1 no such user\n/,
  );
  assert.equal(told!.raw.includes("Your order is on its way"), false);

  // The notice itself fails: nobody is told of that.
  await pool.query("UPDATE postlane.queue SET destination = 'example.com'");
  await settle(bounced);
  assert.equal(await owedRows(pool), 0);
  assert.equal(await send(), 0);
});

test("mail whose time is over is told as failed, with the code of what kept it, or 4.4.7", async (t) => {
  const { submit, settle, send, notices } = await rig(t);
  await submit({}, { door: "sendmail" });
  await settle((row) => expired(row));
  await submit();
  const kept = "451 4.3.2 not now";
  await settle((row) => ({
    ...sent(row),
    becomes: { kind: "settled", state: "expired" },
    event: { kind: "expired", host: HOST, reply: kept },
  }));
  assert.equal(await send(), 2);
  const told = (await notices()).map(({ notice }) => notice.recipients[0]!);
  assert.deepEqual(
    told.map(({ action, status, diagnostic }) => [action, status, diagnostic]),
    [
      ["failed", "4.4.7", "its time to live was over before it could be handed over"],
      ["failed", "4.3.2", kept],
    ],
  );
});

test("who wants no notice gets none", async (t) => {
  const { pool, submit, settle, send, notices } = await rig(t);
  const to = ["ann@example.com", "Bob@example.com", "carl@example.com"];
  await submit({ sender: "" });
  await submit({ is_silent: true });
  await submit({ notify: { "ann@example.com": "NEVER", "bob@example.com": "SUCCESS,DELAY" } }, { to });
  await settle(bounced);
  assert.equal(await send(), 1);
  const [told] = await notices();
  assert.equal(told!.notice.recipients[0]!.finalRecipient, "carl@example.com");
  assert.equal(await owedRows(pool), 0);
  assert.equal((await pool.query("SELECT FROM postlane.success_asked")).rowCount, 0);
});

test("campaigns and the other doors make none", async (t) => {
  const { pool, submit, settle, send } = await rig(t);
  await enqueue(pool, { to: "ann@example.com" });
  await submit({}, { door: "http" });
  const campaign = await createCampaign(pool, { name: "news", lane: "transactional" });
  await fillCampaign(pool, campaign, { rows: 3, destinations: 1, domain: "news.example" });
  const { rows } = await pool.query("SELECT id FROM postlane.message WHERE campaign_id = $1", [campaign]);
  await settle(bounced);
  await inTransaction(pool, (client) =>
    appendEvents(
      client,
      rows.map(({ id }) => ({ messageId: id as MessageId, attempt: 1, kind: "bounced" })),
    ),
  );
  assert.equal(await owedRows(pool), 0);
  assert.equal(await send(), 0);
});

test("success that was asked for is told once: relayed when it is sent, delivered if that comes first", async (t) => {
  const { pool, submit, settle, send, notices } = await rig(t);
  await submit({ notify: { "ann@example.com": "SUCCESS,FAILURE" } });
  await settle(sent);
  const { rows } = await pool.query("SELECT message_id FROM postlane.event WHERE kind = 'sent'");
  const later = (kind: string) =>
    inTransaction(pool, (client) =>
      appendEvents(client, [{ messageId: rows[0].message_id, attempt: 1, kind, host: HOST }]),
    );
  await later("delivered");
  assert.equal(await send(), 1);
  assert.equal((await notices())[0]!.notice.recipients[0]!.action, "relayed");
  // A failure that comes after all is told too: FAILURE was asked for.
  await later("bounced");
  assert.equal(await send(), 1);

  await submit({ notify: { "ann@example.com": "success" } });
  await settle((row) => ({
    ...sent(row),
    becomes: { kind: "settled", state: "delivered" },
    event: { kind: "delivered", host: HOST },
  }));
  assert.equal(await send(), 1);
  await submit({ notify: { "ann@example.com": "FAILURE" } });
  await settle(sent);
  assert.equal(await send(), 0);
  const actions = (await notices()).map(({ notice }) => notice.recipients[0]!.action);
  assert.deepEqual(actions, ["relayed", "failed", "delivered"]);
});

test("all of it comes back where RET=FULL asks for it and it is not too large", async (t) => {
  const { submit, settle, send, notices } = await rig(t);
  await submit({ ret: "FULL" });
  await settle(bounced);
  await submit(
    { ret: "FULL" },
    { raw: `${RAW}${"x".repeat(70)}\r\n`.padEnd(RAW.length, " ") + `${"y".repeat(70)}\r\n`.repeat(20_000) },
  );
  await settle(bounced);
  assert.equal(await send(), 2);
  const [whole, large] = await notices();
  assert.ok(whole!.raw.includes(RAW));
  assert.equal(large!.raw.includes("yyyy"), false);
  assert.ok(large!.raw.includes("Message-ID: <order-4711@site.example>"));
});

test("a full lane keeps a notice waiting, an address that cannot be one ends it, and a failure delays no other", async (t) => {
  const { pool, submit, settle, send, notices } = await rig(t);
  await submit({ sender: "root@localhost" });
  await settle(bounced);
  assert.equal(await send(), 0);
  assert.equal(await owedRows(pool), 0, "nobody can be told");

  await submit();
  await settle(bounced);
  await pool.query("UPDATE postlane.lane SET full_because = 'the disk is full'");
  assert.equal(await send(), 0);
  assert.equal(await owedRows(pool), 1);
  await pool.query("UPDATE postlane.lane SET full_because = NULL");
  assert.equal(await send(), 0, "not before a minute");
  await pool.query("UPDATE postlane.owed_notice SET due_at = now()");
  assert.equal(await send(), 1);

  // The database refuses one of two.
  await submit({ sender: "poison@site.example" });
  await submit({ sender: "well@site.example" });
  await pool.query(
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
     CREATE TRIGGER refuse BEFORE INSERT ON postlane.message FOR EACH ROW WHEN (NEW.recipient = 'poison@site.example')
       EXECUTE FUNCTION refuse()`,
  );
  await settle(bounced);
  assert.equal(await send(), 1);
  assert.equal(await owedRows(pool), 1);
  assert.equal((await notices()).at(-1)!.to, "well@site.example");
  await pool.query("DROP TRIGGER refuse ON postlane.message; UPDATE postlane.owed_notice SET due_at = now()");
  assert.equal(await send(), 1);
});
