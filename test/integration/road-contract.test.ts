// The contract when a dispatcher dies, stands still or cannot write: nothing lost, nothing handed over a second time
// without `unknown` in between. The relay is scripted to keep its replies back, so that each death comes at a known
// moment: before the dot, behind the dot, behind the reply, behind the reply and its line in the journal.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { Pool } from "pg";
import type { Journal } from "../../src/dispatcher/journal.ts";
import { RESCUES_MAX } from "../../src/dispatcher/rescue-decision.ts";
import type { MessageId } from "../../src/mail/ids.ts";
import { journalLines, startLane, type LaneAtWork, type LaneOptions } from "../rig/lane.ts";
import {
  booksOf,
  databaseMs,
  enqueue,
  queueRow,
  soon,
  storyOf,
  until,
  untilEmpty,
  untilEvent,
  untilState,
  watchBooks,
  type BooksWatch,
} from "../rig/lane-mail.ts";
import { testDatabase } from "../rig/postgres.ts";
import { startScriptedSink, type ScriptedSink, type SinkAnswer, type SinkVerb } from "../rig/scripted-sink.ts";

test("killed behind the dot, policy hold: unknown, and it stays so", async (t) => {
  const { pool, sink, books, start, keptBack } = await rig(t, "DOT");
  const first = await start({ lane: { unknownPolicy: "hold" } });
  const id = await enqueue(pool, { to: "victim@example.com" });
  await keptBack.asked;
  await first.kill();
  assert.deepEqual(await counts(first.rescue()), { answered: 0, givenBack: 0, unknown: 1, held: 0 });
  const row = await untilState(pool, id, "unknown");
  assert.equal(row.due_in_ms, null);
  assert.deepEqual(await first.rescue(), [], "a rescue is done once");

  const second = await start({ lane: { unknownPolicy: "hold" } });
  await untilEvent(pool, await enqueue(pool, { to: "other@example.com" }), "sent");
  await second.drain();
  assert.equal((await queueRow(pool, id))?.state, "unknown");
  assert.deepEqual(handedOver(sink), ["victim@example.com", "other@example.com"]);
  assert.deepEqual(await kindsOf(pool, id), ["unknown"]);
  await books.stop();
});

test("killed behind the dot, policy resend: unknown for the grace, then sent again", async (t) => {
  const { pool, sink, books, start, keptBack } = await rig(t, "DOT");
  const lane = { unknownPolicy: "resend", unknownGraceMs: 500 } as const;
  const first = await start({ lane });
  const id = await enqueue(pool, { to: "victim@example.com" });
  await keptBack.asked;
  await first.kill();
  await first.rescue();
  const rescuedAtMs = await databaseMs(pool);
  await start({ lane });
  keptBack.release();
  const { at_ms, attempt } = await untilEvent(pool, id, "sent");
  assert.equal(attempt, 2);
  assert.ok(at_ms - rescuedAtMs > 400, `it was sent again ${at_ms - rescuedAtMs} ms after the rescue`);
  await untilEmpty(pool);
  assert.deepEqual(handedOver(sink), ["victim@example.com", "victim@example.com"]);
  assert.deepEqual(await kindsOf(pool, id), ["unknown", "sent"]);
  await books.stop();
});

test("killed before the dot: given back, and sent exactly once", async (t) => {
  const { pool, sink, books, start, keptBack } = await rig(t, "DATA");
  const first = await start();
  const id = await enqueue(pool, { to: "victim@example.com" });
  await keptBack.asked;
  await first.kill();
  assert.deepEqual(await counts(first.rescue()), { answered: 0, givenBack: 1, unknown: 0, held: 0 });
  assert.equal((await queueRow(pool, id))?.state, "queued");
  keptBack.release();
  await start();
  await untilEvent(pool, id, "sent");
  await untilEmpty(pool);
  assert.deepEqual(handedOver(sink), ["victim@example.com"]);
  await books.stop();
});

for (const bootId of ["boot-1", "boot-2"]) {
  test(`killed with the reply in the journal, rescued under ${bootId}: settled by it, without a second copy`, async (t) => {
    const { pool, sink, books, start, keptBack } = await rig(t, "DOT");
    const first = await start();
    const id = await enqueue(pool, { to: "victim@example.com" });
    await keptBack.asked;
    // Whoever holds the lease's row keeps every settle waiting.
    const other = await pool.connect();
    await other.query("BEGIN");
    await other.query("SELECT FROM postlane.lease WHERE id = $1 FOR UPDATE", [first.leaseId]);
    keptBack.release();
    await until("the reply is in the journal", () =>
      journalLines(first.journalFile).some((line) => line.startsWith("a ")),
    );
    await first.kill();
    await other.query("ROLLBACK");
    other.release();
    assert.deepEqual(await counts(first.rescue(bootId)), { answered: 1, givenBack: 0, unknown: 0, held: 0 });
    const [event] = await storyOf(pool, id);
    assert.equal(event?.kind, "sent");
    assert.match(event?.reply ?? "", /250 2\.0\.0 taken/);
    assert.deepEqual(await booksOf(pool), { sent: 1 });
    assert.deepEqual(handedOver(sink), ["victim@example.com"]);
    await books.stop();
  });
}

test("after another boot the journal proves nothing but replies: all that was claimed is unknown", async (t) => {
  const { pool, sink, books, start, keptBack } = await rig(t, "DATA");
  // Room for one connection, so that all but the first are claimed and wait.
  const first = await start({ openMax: 2, outlet: { connectionsMax: 1 } });
  await enqueue(pool, { to: "victim@example.com" });
  await keptBack.asked;
  for (let n = 0; n < 3; n++) await enqueue(pool, { to: `behind${n}@example.com` });
  await until("all are claimed", async () => {
    const { rows } = await pool.query("SELECT FROM postlane.queue WHERE lease_id IS NOT NULL");
    return rows.length === 4;
  });
  await first.kill();
  assert.deepEqual(await counts(first.rescue("boot-2")), { answered: 0, givenBack: 0, unknown: 4, held: 0 });
  assert.deepEqual(await booksOf(pool), { unknown: 4 });
  assert.deepEqual(handedOver(sink), []);
  await books.stop();
});

test("a lease that is lost: nothing new starts, nothing is settled, and a late reply settles what is still unknown", async (t) => {
  const { pool, sink, books, start, keptBack } = await rig(t, "DOT");
  const lane = { unknownPolicy: "hold" } as const;
  const first = await start({ lane });
  const id = await enqueue(pool, { to: "victim@example.com" });
  await keptBack.asked;
  await pool.query("UPDATE postlane.lease SET deadline = clock_timestamp() - interval '1 second' WHERE id = $1", [
    first.leaseId,
  ]);
  const late = await enqueue(pool, { to: "late@example.com" });
  assert.deepEqual(await counts(first.rescueWithoutJournal()), { answered: 0, givenBack: 0, unknown: 1, held: 0 });
  assert.equal((await untilState(pool, id, "unknown")).due_in_ms, null);
  keptBack.release();
  const end = await soon("it notices", first.ended);
  assert.equal(end.kind, "lease_lost");
  await untilEvent(pool, id, "sent");
  assert.deepEqual(await kindsOf(pool, id), ["unknown", "sent"]);
  assert.equal((await queueRow(pool, late))?.state, "queued");
  assert.deepEqual(handedOver(sink), ["victim@example.com"]);

  await start({ lane });
  await untilEvent(pool, late, "sent");
  await untilEmpty(pool);
  assert.deepEqual(await booksOf(pool), { sent: 2 });
  assert.deepEqual(handedOver(sink), ["victim@example.com", "late@example.com"]);
  await books.stop();
});

test("a late reply never overwrites a newer claim, and is kept in the story all the same", async (t) => {
  const { pool, sink, books, start, keptBack } = await rig(t, "DOT");
  const lane = { unknownPolicy: "resend", unknownGraceMs: 0 } as const;
  const first = await start({ lane });
  const id = await enqueue(pool, { to: "victim@example.com" });
  await keptBack.asked;
  await pool.query("UPDATE postlane.lease SET deadline = clock_timestamp() - interval '1 second' WHERE id = $1", [
    first.leaseId,
  ]);
  await first.rescueWithoutJournal();
  await start({ lane });
  await untilEvent(pool, id, "sent");
  const sentBefore = await booksOf(pool);
  keptBack.release();
  await soon("it notices", first.ended);
  assert.deepEqual(await booksOf(pool), sentBefore);
  assert.deepEqual(await kindsOf(pool, id), ["unknown", "sent", "late_sent"]);
  assert.deepEqual(handedOver(sink), ["victim@example.com", "victim@example.com"]);
  await books.stop();
});

test("a journal that comes back after a rescue without it settles what is still unknown", async (t) => {
  const { pool, sink, books, start, keptBack } = await rig(t, "DOT");
  const first = await start({ lane: { unknownPolicy: "hold" } });
  const id = await enqueue(pool, { to: "victim@example.com" });
  await keptBack.asked;
  const other = await pool.connect();
  await other.query("BEGIN");
  await other.query("SELECT FROM postlane.lease WHERE id = $1 FOR UPDATE", [first.leaseId]);
  keptBack.release();
  await until("the reply is in the journal", () =>
    journalLines(first.journalFile).some((line) => line.startsWith("a ")),
  );
  await first.kill();
  await other.query("UPDATE postlane.lease SET deadline = clock_timestamp() - interval '1 second'");
  await other.query("COMMIT");
  other.release();
  assert.deepEqual(await counts(first.rescueWithoutJournal()), { answered: 0, givenBack: 0, unknown: 1, held: 0 });
  assert.deepEqual(await first.rescue(), []);
  assert.deepEqual(await kindsOf(pool, id), ["unknown", "sent"]);
  assert.deepEqual(await booksOf(pool), { sent: 1 });
  assert.deepEqual(handedOver(sink), ["victim@example.com"]);
  await books.stop();
});

test("a journal that cannot be written stops the hand-overs, and costs no message", async (t) => {
  const { pool, sink, books, start } = await rig(t);
  for (let n = 0; n < 20; n++) await enqueue(pool, { to: `user${n}@example.com` });
  let lines = 0;
  const failing = (journal: Journal): Journal => ({
    ...journal,
    dots(attempts) {
      if (++lines > 3) throw new Error("ENOSPC: no space left on device, write");
      journal.dots(attempts);
    },
  });
  const first = await start({ openMax: 2, journal: failing });
  assert.equal((await soon("it stops", first.ended)).kind, "drained");
  const before = sink.messages.length;
  assert.ok(before > 0 && before < 20, `${before} were handed over`);
  const { rows } = await pool.query("SELECT FROM postlane.queue WHERE lease_id IS NOT NULL");
  assert.equal(rows.length, 0, "a message is still claimed");
  await start();
  await untilEmpty(pool);
  assert.equal(new Set(handedOver(sink)).size, 20);
  assert.equal(sink.messages.length, 20);
  assert.deepEqual(await booksOf(pool), { sent: 20 });
  await books.stop();
});

test("a message whose merging kills the dispatcher is set aside alone", async (t) => {
  const { pool, sink, books, start } = await rig(t);
  const ids: MessageId[] = [];
  for (let n = 0; n < 5; n++) ids.push(await enqueue(pool, { to: `before${n}@example.com` }));
  const poison = await enqueue(pool, { to: "poison@example.com" });
  for (let n = 0; n < 5; n++) ids.push(await enqueue(pool, { to: `after${n}@example.com` }));
  // What was behind its dot when the others' dispatcher died is unknown, and tried again.
  const options = { openMax: 2, lane: { unknownPolicy: "resend", unknownGraceMs: 0 } } as const;
  let deaths = 0;
  for (;;) {
    let died: () => void = () => undefined;
    const death = new Promise<"died">((resolve) => (died = () => resolve("died")));
    const deadly: LaneOptions["compose"] = (compose) => (row, wallMs) => {
      if (row.message_id !== poison) return compose(row, wallMs);
      void lane.kill().then(died);
      throw new Error("out of memory");
    };
    const lane: LaneAtWork = await start({ ...options, compose: deadly });
    const survived = untilOthersAreSent(pool, ids).then(() => "survived" as const);
    if ((await soon("it dies or survives", Promise.race([death, survived]))) === "survived") break;
    deaths++;
    assert.ok(deaths <= RESCUES_MAX + 1, `it died ${deaths} times`);
    await lane.rescue();
    if ((await queueRow(pool, poison))?.state === "held") {
      await start(options);
      await untilOthersAreSent(pool, ids);
      break;
    }
  }
  // The first death says nothing of who it was; the next ones name it.
  assert.equal(deaths, RESCUES_MAX + 1);
  assert.equal((await untilState(pool, poison, "held")).due_in_ms, null);
  assert.match((await storyOf(pool, poison)).at(-1)?.reply ?? "", /died 3 times/);
  const recipients = handedOver(sink);
  assert.ok(!recipients.includes("poison@example.com"));
  assert.equal(new Set(recipients).size, ids.length);
  await books.stop();
});

// ---- the rig -----------------------------------------------------------------------------------------------------------

interface Rig {
  readonly pool: Pool;
  readonly sink: ScriptedSink;
  readonly books: BooksWatch;
  start(options?: Partial<LaneOptions>): Promise<LaneAtWork>;
  /** The first answer to that verb for the victim: asked for, and kept back until it is released. */
  readonly keptBack: { readonly asked: Promise<void>; release(): void };
}

async function rig(t: TestContext, verb?: SinkVerb): Promise<Rig> {
  const database = await testDatabase(t);
  let isAsked: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => (isAsked = resolve));
  let release: () => void = () => undefined;
  const released = new Promise<undefined>((resolve) => (release = () => resolve(undefined)));
  const answer = (verbNow: SinkVerb, isVictim: boolean): Promise<SinkAnswer | undefined> | undefined => {
    if (verbNow !== verb || !isVictim || wasAsked) return undefined;
    wasAsked = true;
    isAsked();
    return released;
  };
  let wasAsked = false;
  // DATA names nobody, and only the victim is on its way when it is asked for.
  const sink = await startScriptedSink(t, {
    answer: (command) => answer(command.verb, command.verb === "DATA" || command.recipient.startsWith("victim@")),
  });
  t.after(() => release());
  return {
    pool: database.pool,
    sink,
    books: watchBooks(database.pool),
    start: (options = {}) => startLane(t, { database, relay: sink, ...options }),
    keptBack: { asked: soon(`${verb} is asked for`, verb === undefined ? Promise.resolve() : asked), release },
  };
}

async function counts(rescuing: ReturnType<LaneAtWork["rescue"]>): Promise<Readonly<Record<string, number>>> {
  const [report, ...more] = await rescuing;
  assert.ok(report !== undefined && more.length === 0, "one lease is rescued");
  const { leaseId: _, ...numbers } = report;
  return numbers;
}

const handedOver = (sink: ScriptedSink): readonly string[] => sink.messages.flatMap(({ recipients }) => recipients);

async function kindsOf(pool: Pool, id: MessageId): Promise<readonly string[]> {
  return (await storyOf(pool, id)).map(({ kind }) => kind);
}

async function untilOthersAreSent(pool: Pool, ids: readonly MessageId[]): Promise<void> {
  await until("all others are sent", async () => {
    const { rows } = await pool.query("SELECT FROM postlane.queue WHERE message_id = ANY ($1)", [ids]);
    return rows.length === 0;
  });
}
