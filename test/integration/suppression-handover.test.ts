// Who came onto the suppression list after entry is found right before hand-over: the dispatcher asks for each claim, and what
// it cannot ask about it does not hand over. And who bounces as a bad address comes onto the list by itself.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { startLane, type LaneAtWork, type LaneOptions } from "../rig/lane.ts";
import {
  addRecipient,
  booksOf,
  createCampaign,
  enqueue,
  enqueueMany,
  queueRow,
  storyOf,
  untilEmpty,
  untilEvent,
  untilState,
  watchBooks,
  type BooksWatch,
} from "../rig/lane-mail.ts";
import { testDatabase, type TestDatabase } from "../rig/postgres.ts";
import { startScriptedSink, type ScriptedSink, type SinkScript } from "../rig/scripted-sink.ts";
import { endsInDays, suppress, suppressions } from "../rig/suppressing.ts";

interface Rig extends TestDatabase {
  readonly sink: ScriptedSink;
  readonly books: BooksWatch;
  start(options?: Partial<LaneOptions>): Promise<LaneAtWork>;
}

async function rig(t: TestContext, script: SinkScript = {}): Promise<Rig> {
  const database = await testDatabase(t);
  const sink = await startScriptedSink(t, script);
  const books = watchBooks(database.pool);
  return { ...database, sink, books, start: (options) => startLane(t, { database, relay: sink, ...options }) };
}

const BULK = { lane: { name: "bulk" } } as const;
const refuse = (text: string): SinkScript => ({ answer: ({ verb }) => (verb === "RCPT" ? text : undefined) });

test("what is suppressed after entry is not handed over: by address, domain, list and in any spelling", async (t) => {
  const { pool, sink, books, start } = await rig(t);
  const id = await createCampaign(pool, { name: "May" });
  await pool.query("UPDATE postlane.campaign SET list = 'news' WHERE id = $1", [id]);
  for (const to of ["ann@one.example", "bob@two.example", "cy@one.example", "dan@bücher.example", "eve@one.example"])
    await addRecipient(pool, id, to);
  await suppress(pool, "ANN@one.example");
  await suppress(pool, "@two.example", { scope: { kind: "everything" } });
  await suppress(pool, "cy@one.example", { scope: { kind: "list", list: "news" } });
  await suppress(pool, "dan@xn--bcher-kva.example");
  await suppress(pool, "eve@one.example", { scope: { kind: "list", list: "other" } });
  await start(BULK);
  await untilEmpty(pool);
  assert.deepEqual(
    sink.accepted.map(({ recipients }) => recipients),
    [["eve@one.example"]],
  );
  assert.deepEqual(await booksOf(pool, id), { sent: 1, suppressed: 4 });
  const { rows } = await pool.query(
    `SELECT m.recipient, e.reply, e.attempt FROM postlane.event AS e JOIN postlane.message AS m ON m.id = e.message_id
     WHERE kind = 'suppressed' ORDER BY 1`,
  );
  assert.match(rows[0].reply, /^the address is on the suppression list for bulk since .*: manual, by test$/);
  assert.match(rows[1].reply, /^the domain is on the suppression list for everything/);
  assert.match(rows[2].reply, /list for list news since/);
  await books.stop();
});

test("what was deferred is asked about again before its next try, also when its reply was lost", async (t) => {
  const { pool, sink, books, start } = await rig(t, refuse("450 4.2.1 mailbox busy"));
  const lane = { retry: { kind: "list", delaysMs: [86_400_000] }, unknownPolicy: "resend" } as const;
  await start({ lane });
  const ann = await enqueue(pool, { to: "ann@example.com" });
  const bob = await enqueue(pool, { to: "bob@example.com" });
  await untilState(pool, ann, "deferred");
  await untilState(pool, bob, "deferred");
  await suppress(pool, "@example.com", { scope: { kind: "everything" } });
  const asked = sink.commands.filter((line) => line.startsWith("RCPT")).length;
  // Days later; and one whose final dot was never answered, whose grace is over.
  await pool.query(
    `WITH moved AS (
       UPDATE postlane.queue SET due_at = now(), tx = pg_current_xact_id(),
         state = CASE message_id WHEN $1 THEN 'unknown' ELSE state END RETURNING message_id, lane_id, accepted_on
     ) INSERT INTO postlane.balance_delta (lane_id, campaign_id, accepted_on, state, n)
     SELECT lane_id, 0, accepted_on, entry.state, entry.n
     FROM moved, (VALUES ('unknown', 1), ('deferred', -1)) AS entry (state, n) WHERE message_id = $1`,
    [bob],
  );
  await untilEmpty(pool);
  assert.deepEqual(await booksOf(pool), { suppressed: 2 });
  assert.deepEqual(
    (await storyOf(pool, ann)).map(({ kind, attempt }) => [kind, attempt]),
    [
      ["deferred", 1],
      ["suppressed", 1],
    ],
  );
  assert.equal(sink.commands.filter((line) => line.startsWith("RCPT")).length, asked);
  await books.stop();
});

test("a lane that cannot ask hands nothing over", async (t) => {
  const { pool, sink, books, start } = await rig(t);
  await pool.query("ALTER FUNCTION postlane.suppressed_among RENAME TO hidden");
  const ann = await enqueue(pool, { to: "ann@example.com" });
  const lane = await start();
  await untilClaimedTwice(lane, pool);
  assert.equal((await queueRow(pool, ann))?.state, "queued");
  assert.equal(sink.accepted.length, 0);
  await pool.query("ALTER FUNCTION postlane.hidden RENAME TO suppressed_among");
  await untilEmpty(pool);
  assert.equal(sink.accepted.length, 1);
  await books.stop();
});

/** Until it has claimed twice, and given back what it had. */
async function untilClaimedTwice({ leaseId }: LaneAtWork, pool: TestDatabase["pool"]): Promise<void> {
  const batches = async () => {
    const { rows } = await pool.query(
      "SELECT coalesce(max(batch_id), 0) AS batch FROM postlane.claim_batch WHERE lease_id = $1",
      [leaseId],
    );
    return Number(rows[0].batch);
  };
  const first = await batches();
  while ((await batches()) < first + 2) await new Promise((resolve) => setTimeout(resolve, 20));
}

test("550 5.1.1 suppresses for bulk at once, and for everything at the second message within 30 days", async (t) => {
  const { pool, books, start } = await rig(t, refuse("550 5.1.1 no such user"));
  const news = await enqueue(pool, { to: "Ann@example.com", lane: "bulk" });
  await start(BULK);
  await untilEvent(pool, news, "bounced");
  assert.deepEqual(await suppressions(pool), [`bulk ann@example.com bounce msg_${news}`]);
  assert.equal(await endsInDays(pool, "bulk"), 90);
  // The next newsletter stays here; a receipt still goes, and is the second strike.
  const more = await enqueue(pool, { to: "ann@example.com", lane: "bulk" });
  assert.equal(await queueRow(pool, more), undefined);
  const receipt = await enqueue(pool, { to: "ann@example.com" });
  await start();
  await untilEvent(pool, receipt, "bounced");
  assert.deepEqual(await suppressions(pool), [
    `bulk ann@example.com bounce msg_${news}`,
    `everything ann@example.com bounce msg_${receipt}`,
  ]);
  assert.equal(await endsInDays(pool, "everything"), 90);
  const third = await enqueue(pool, { to: "ann@example.com" });
  assert.match((await storyOf(pool, third))[0]!.reply!, /for everything since .*: bounce, by msg_/);
  assert.deepEqual(await booksOf(pool), { bounced: 2, suppressed: 2 });
  await books.stop();
});

test("a second bounce after more than 30 days is a first one again", async (t) => {
  const { pool, books, start } = await rig(t, refuse("550 5.1.10 no mail here"));
  await start();
  await untilEvent(pool, await enqueue(pool, { to: "ann@example.com" }), "bounced");
  await pool.query("UPDATE postlane.suppression SET struck_at = struck_at - interval '31 days'");
  await untilEvent(pool, await enqueue(pool, { to: "ann@example.com" }), "bounced");
  assert.deepEqual((await suppressions(pool)).length, 1);
  await untilEvent(pool, await enqueue(pool, { to: "ann@example.com" }), "bounced");
  assert.deepEqual((await suppressions(pool)).length, 2);
  await books.stop();
});

test("two bounces that are settled together are two strikes", async (t) => {
  const { pool, books, start } = await rig(t, refuse("550 5.1.6 moved away"));
  const twice = { to: "ann@example.com" };
  await enqueueMany(pool, [twice, twice, { to: "bob@example.com" }]);
  await start();
  await untilEmpty(pool);
  assert.deepEqual(
    (await suppressions(pool)).map((line) => line.split(" ").slice(0, 2).join(" ")),
    ["bulk ann@example.com", "bulk bob@example.com", "everything ann@example.com"],
  );
  await books.stop();
});

test("no other refusal suppresses: policy, a full mailbox, the sender, the message, no code at all", async (t) => {
  const refusals = new Map([
    ["policy", "550 5.7.1 not from you"],
    ["full", "552 5.2.2 full"],
    ["closed", "550 5.2.1 closed"],
    ["sender", "550 5.1.8 bad sender"],
    ["domain", "550 5.1.2 no such domain"],
    ["bare", "550 5.1.1x no such user"],
    ["words", "550 user unknown 5.1.1"],
  ]);
  const { pool, books, start } = await rig(t, {
    answer: ({ verb, recipient }) => (verb === "RCPT" ? refusals.get(recipient.split("@")[0]!) : undefined),
  });
  await start({ lane: { retry: { kind: "list", delaysMs: [86_400_000] } } });
  for (const name of refusals.keys()) {
    const id = await enqueue(pool, { to: `${name}@example.com` });
    await untilEvent(pool, id, name === "full" ? "deferred" : "bounced");
  }
  assert.deepEqual(await suppressions(pool), []);
  await books.stop();
});

test("whose address was erased stays erased, and strikes count all the same", async (t) => {
  const { pool, books, start } = await rig(t, refuse("550 5.1.1 no such user"));
  await suppress(pool, "ann@example.com");
  await pool.query("UPDATE postlane.suppression SET address = NULL");
  const ann = await enqueue(pool, { to: "ann@example.com" });
  await start();
  await untilEvent(pool, ann, "bounced");
  assert.deepEqual(await suppressions(pool), ["bulk - manual test"]);
  assert.equal(await endsInDays(pool, "bulk"), null);
  const again = await enqueue(pool, { to: "ann@example.com" });
  await untilEvent(pool, again, "bounced");
  assert.deepEqual(await suppressions(pool), ["bulk - manual test", `everything - bounce msg_${again}`]);
  const news = await enqueue(pool, { to: "ann@example.com", lane: "bulk" });
  assert.equal((await storyOf(pool, news))[0]!.kind, "suppressed");
  await books.stop();
});
