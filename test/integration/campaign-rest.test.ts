// Sending the rest: who gets it and who does not, by every state and in every status of the campaign; nobody twice, however many
// rests are made and at the same time; and a family in which everybody stands once.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Pool } from "pg";
import { addCampaignVersion, listRests, type CampaignStatus } from "../../src/campaigns/campaign-store.ts";
import { controlCampaign } from "../../src/campaigns/control-campaign.ts";
import { ALSO, createRest, type Also, type RestAnswer } from "../../src/campaigns/send-rest.ts";
import { EXTENDABLE, startCampaign } from "../../src/campaigns/start-campaign.ts";
import type { CampaignId } from "../../src/mail/ids.ts";
import { STATES, type State } from "../../src/mail/state.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { reportInFull } from "../../src/reports/family-report.ts";
import { sweepCanceled } from "../../src/upkeep/sweep.ts";
import {
  addToList,
  becomes,
  campaignRow,
  draftOf,
  insertContent,
  makeDraft,
  makeNext,
  sheetProblems,
  startNow,
} from "../rig/campaign-sheets.ts";
import { testDatabase } from "../rig/postgres.ts";
import { suppress } from "../rig/suppressing.ts";

const person = (n: number): string => `p${n}@example.com`;
const people = (count: number, from = 0) => Array.from({ length: count }, (_, n) => ({ address: person(from + n) }));

test("by default only who ended canceled or expired, or came since; each other state only when it is named", async (t) => {
  const { pool } = await testDatabase(t);
  for (const also of [undefined, ...ALSO]) {
    const name = `by ${also ?? "default"}`;
    const id = await inEveryState(pool, name);
    const made = madeOf(await createRest(pool, id, { also: also === undefined ? [] : [also] }));
    const expected = ["canceled", "expired", "since", ...(also === undefined ? [] : [also])];
    assert.deepEqual(
      await addressesOf(pool, made.campaignId),
      expected.map((one) => `${one}@example.com`).toSorted(),
      name,
    );
    assert.equal(made.recipients, expected.length);
    assert.deepEqual(made.stood, {
      canceled: 1,
      expired: 1,
      not_accepted: 1,
      ...(also === undefined ? {} : { [also]: 1 }),
    });
    const left = Object.values(made.left).reduce((sum, n) => sum + n, 0);
    assert.equal(left, STATES.length - 2 - (also === undefined ? 0 : 1));
    assert.deepEqual(await sheetProblems(pool), []);
  }
});

test("an unknown message that will be sent again by itself waits, also when unknown is named", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await running(pool, "march", 2);
  await becomes(pool, id, [person(0), person(1)], "unknown");
  await pool.query(
    `UPDATE postlane.queue SET due_at = clock_timestamp() + interval '1 hour' WHERE message_id IN (
       SELECT id FROM postlane.message WHERE recipient = $1)`,
    [person(0)],
  );
  const made = madeOf(await createRest(pool, id, { also: ["unknown"] }));
  assert.deepEqual(await addressesOf(pool, made.campaignId), [person(1)]);
});

test("a campaign that was canceled in the middle: who had no message gets one, and everybody stands once", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await running(pool, "march", 10, 6);
  await becomes(pool, id, [person(0), person(1)], "sent");
  await becomes(pool, id, [person(2)], "bounced");
  await controlCampaign(pool, id, "cancel");
  const early = madeOf(await createRest(pool, id, { name: "early" }));
  assert.deepEqual(
    await addressesOf(pool, early.campaignId),
    [6, 7, 8, 9].map(person),
    "the others may be on their way",
  );
  assert.deepEqual(early.left, { queued: 3, sent: 2, bounced: 1 });
  await sweepCanceled(pool);
  const rest = madeOf(await createRest(pool, id));
  assert.equal(rest.name, "march-rest");
  assert.deepEqual(await addressesOf(pool, rest.campaignId), [3, 4, 5].map(person));
  for (const one of [early, rest]) await makeAll(pool, one.campaignId);
  await becomes(pool, early.campaignId, [6, 7, 8, 9].map(person), "sent");
  await becomes(pool, rest.campaignId, [3, 4].map(person), "sent");
  await becomes(pool, rest.campaignId, [person(5)], "expired");

  const report = await reportInFull(pool, await campaignRow(pool, id));
  assert.equal(report.books.states.canceled, 7);
  assert.deepEqual(
    report.rests.map(({ name, rest_of }) => [name, rest_of]),
    [
      ["early", report.id],
      ["march-rest", report.id],
    ],
  );
  assert.equal(report.family?.recipients, 10);
  assert.equal(report.family.not_accepted, 0);
  assert.deepEqual(nonZero(report.family.books.states), { sent: 8, bounced: 1, expired: 1 });
  assert.ok(report.family.books.adds_up);
  assert.deepEqual(await sheetProblems(pool), []);
});

test("a rest has the lane, the template in force, the list to unsubscribe from; and the original's lines", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await running(pool, "march", 3);
  await becomes(pool, id, [person(1)], "expired");
  await inTransaction(pool, async (client) => {
    await client.query("UPDATE postlane.campaign SET no_unsubscribe = 'a notice' WHERE id = $1", [id]);
    await addCampaignVersion(client, id, await insertContent(client, "Hello again"));
  });
  const made = madeOf(await createRest(pool, id, { isDraft: true }));
  assert.equal(made.status, "draft");
  const [root, rest] = [await campaignRow(pool, id), await campaignRow(pool, made.campaignId)];
  assert.equal(rest.status, "draft");
  assert.equal(rest.content_id, root.content_id);
  assert.deepEqual(
    [rest.version, rest.lane, rest.list, rest.no_unsubscribe, rest.list_name, rest.rest_of],
    [1, "bulk", "news", "a notice", null, id],
  );
  const { rows } = await pool.query("SELECT line, data FROM postlane.recipient WHERE list_id = $1", [rest.list_id]);
  assert.deepEqual(rows, [{ line: 3, data: '{"first_name" : "Ann"}' }]);
  const { rows: imports } = await pool.query("SELECT source, added FROM postlane.list_import WHERE list_id = $1", [
    rest.list_id,
  ]);
  assert.deepEqual(imports, [{ source: `rest of cmp_${id}`, added: 1 }]);
});

test("a draft that waits to be started keeps its people, and one that is canceled gives them back", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await running(pool, "march", 2);
  await becomes(pool, id, [person(0)], "expired");
  const draft = madeOf(await createRest(pool, id, { isDraft: true }));
  assert.deepEqual(await createRest(pool, id), { kind: "nobody", left: { queued: 2 } });
  await controlCampaign(pool, draft.campaignId, "cancel");
  const again = madeOf(await createRest(pool, id));
  assert.deepEqual(await addressesOf(pool, again.campaignId), [person(0)]);
  assert.deepEqual(again.stood, { not_accepted: 1 });
  const { family } = await reportInFull(pool, await campaignRow(pool, id));
  assert.deepEqual([family!.recipients, family!.not_accepted], [2, 0]);
  assert.deepEqual(nonZero(family!.books.states), { queued: 2 });
});

test("a rest that was canceled while it ran: a rest of the rest belongs to the same family", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await running(pool, "march", 8);
  await becomes(
    pool,
    id,
    people(8).map(({ address }) => address),
    "expired",
  );
  const first = madeOf(await createRest(pool, id));
  await makeNext(pool, first.campaignId, 5);
  await becomes(pool, first.campaignId, [person(0), person(1)], "sent");
  await controlCampaign(pool, first.campaignId, "cancel");
  await sweepCanceled(pool);
  const second = madeOf(await createRest(pool, first.campaignId));
  assert.equal(second.name, "march-rest-2");
  assert.equal((await campaignRow(pool, second.campaignId)).rest_of, id, "families are one level deep");
  assert.deepEqual(await addressesOf(pool, second.campaignId), [2, 3, 4, 5, 6, 7].map(person));
  const { family, rests } = await reportInFull(pool, await campaignRow(pool, id));
  assert.equal(rests.length, 2);
  assert.deepEqual(nonZero(family!.books.states), { sent: 2, queued: 6 });
});

test("two at once, and a second one while the first still runs, give nobody two", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await running(pool, "march", 500);
  await becomes(
    pool,
    id,
    people(100).map(({ address }) => address),
    "expired",
  );
  const answers = await Promise.all([1, 2, 3, 4].map(() => createRest(pool, id)));
  assert.deepEqual(answers.map(({ kind }) => kind).toSorted(), ["made", "nobody", "nobody", "nobody"]);
  const rest = madeOf(answers.find(({ kind }) => kind === "made")!);
  assert.equal(rest.recipients, 100);
  await becomes(
    pool,
    id,
    people(50, 100).map(({ address }) => address),
    "expired",
  );
  const second = madeOf(await createRest(pool, id));
  assert.equal(second.recipients, 50);
  const third = await createRest(pool, second.campaignId);
  assert.equal(third.kind, "nobody");
  assert.equal((await listRests(pool, id)).length, 2, "nobody left makes nothing");
  const { rows } = await pool.query("SELECT count(*)::integer AS n FROM postlane.list");
  assert.equal(rows[0].n, 3, "nor a list");
});

test("who was added since goes to the rest once: the campaign itself does not send to them any more", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await running(pool, "march", 3);
  const { list_id } = await campaignRow(pool, id);
  await addToList(pool, list_id, people(2, 10));
  const rest = madeOf(await createRest(pool, id));
  assert.deepEqual(await addressesOf(pool, rest.campaignId), [person(10), person(11)]);
  await addToList(pool, list_id, people(1, 12));
  const extended = await startCampaign(pool, id, { when: { kind: "now" } }, EXTENDABLE);
  assert.ok(extended.kind === "started");
  assert.deepEqual([extended.accepted, extended.status], [1, "running"]);
  assert.deepEqual(await createRest(pool, id), { kind: "nobody", left: { queued: 6 } });
  assert.deepEqual(await sheetProblems(pool), []);
});

test("another campaign of the same kept list has nothing to do with it", async (t) => {
  const { pool } = await testDatabase(t);
  const march = await running(pool, "march", 4, 4, "members");
  const { list_id } = await campaignRow(pool, march);
  const april = await draftOf(pool, { name: "april", listId: list_id });
  await startNow(pool, april);
  await makeAll(pool, april);
  await becomes(
    pool,
    april,
    people(4).map(({ address }) => address),
    "sent",
  );
  await becomes(pool, march, [person(0)], "expired");
  const rest = madeOf(await createRest(pool, march));
  assert.deepEqual(await addressesOf(pool, rest.campaignId), [person(0)]);
  assert.equal((await createRest(pool, april)).kind, "nobody");
});

test("who is suppressed meanwhile is copied when named, and suppressed again by the rules", async (t) => {
  const { pool } = await testDatabase(t);
  const id = await running(pool, "march", 0, 0);
  assert.equal((await campaignRow(pool, id)).status, "running");
  const { list_id } = await campaignRow(pool, id);
  await suppress(pool, person(0));
  await addToList(pool, list_id, people(2));
  await startCampaign(pool, id, { when: { kind: "now" } }, EXTENDABLE);
  await makeAll(pool, id);
  await becomes(pool, id, [person(1)], "expired");
  const rest = madeOf(await createRest(pool, id, { also: ["suppressed"] }));
  await makeAll(pool, rest.campaignId);
  const { books } = await reportInFull(pool, await campaignRow(pool, rest.campaignId));
  assert.deepEqual(nonZero(books.states), { suppressed: 1, queued: 1 });
});

test("in each status it is possible, or refused with the status; a taken name and a busy list are refused", async (t) => {
  const { pool } = await testDatabase(t);
  const possible: Readonly<Record<CampaignStatus, boolean>> = {
    importing: false,
    draft: false,
    scheduled: false,
    running: true,
    paused: true,
    canceled: true,
    finished: true,
  };
  for (const [status, isPossible] of Object.entries(possible)) {
    const id = await running(pool, status, 2);
    await becomes(pool, id, [person(0)], "expired");
    await pool.query("UPDATE postlane.campaign SET status = $2 WHERE id = $1", [id, status]);
    const answer = await createRest(pool, id);
    assert.equal(
      answer.kind === "refused" ? `${answer.why} ${answer.root.status}` : answer.kind,
      isPossible ? "made" : `status ${status}`,
    );
  }
  const id = await running(pool, "march", 2);
  await becomes(pool, id, [person(0)], "expired");
  const taken = await createRest(pool, id, { name: "paused" });
  assert.equal(taken.kind === "refused" && taken.why, "name");
  const { list_id } = await campaignRow(pool, id);
  const client = await pool.connect();
  await client.query("SELECT pg_advisory_lock(hashtext('postlane.list_import'), $1)", [list_id]);
  const busy = await createRest(pool, id);
  assert.equal(busy.kind === "refused" && busy.why, "importing");
  client.release(true);
});

test("property: over random standings in families of up to three, who gets it is who the plain rule says", async (t) => {
  const { pool } = await testDatabase(t);
  let round = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(standings, { minLength: 1, maxLength: 12 }),
      fc.uniqueArray(fc.constantFrom(...ALSO)),
      async (given, also) => {
        const id = await familyOf(pool, `round ${++round}`, given);
        const expected = given.flatMap((one, n) => (isEligible(one, also) ? [person(n)] : [])).toSorted();
        const answer = await createRest(pool, id, { also });
        const got = answer.kind === "made" ? await addressesOf(pool, answer.campaignId) : [];
        assert.deepEqual(got, expected, JSON.stringify({ given, also }));
        const sheet = await reportInFull(pool, await campaignRow(pool, id));
        if (sheet.family !== null) assert.equal(sheet.family.recipients, given.length);
        if (sheet.family !== null) assert.ok(sheet.family.books.adds_up);
        const again = await createRest(pool, id, { also });
        assert.equal(again.kind, "nobody", "the same once more is for nobody");
      },
    ),
    { numRuns: 40 },
  );
  assert.deepEqual(await sheetProblems(pool), []);
});

// ---- the model -------------------------------------------------------------------------------------------------------

/** `none`: accepted, and no message yet; `since`: not on the list when it started. */
type Standing = State | "none" | "since";
/** In the campaign, then in its rests, as far as somebody was in them. */
type Standings = readonly [Standing, ...State[]];

const standings: fc.Arbitrary<Standings> = fc.oneof(
  fc
    .constantFrom<Standing>(...STATES.filter((state) => state !== "scheduled"), "none", "since")
    .map((one) => [one] as const),
  fc.tuple(
    fc.constantFrom<Standing>("expired", "canceled", "since"),
    fc.constantFrom<State>("sent", "expired", "queued", "bounced"),
  ),
  fc.tuple(
    fc.constantFrom<Standing>("expired"),
    fc.constantFrom<State>("expired"),
    fc.constantFrom<State>("sent", "expired", "held"),
  ),
);

function isEligible(given: Standings, also: readonly Also[]): boolean {
  const allowed: readonly string[] = ["canceled", "expired", "since", ...also];
  return given.every((one) => allowed.includes(one));
}

async function familyOf(pool: Pool, name: string, given: readonly Standings[]): Promise<CampaignId> {
  const at = (depth: number, wanted: (one: Standing) => boolean) =>
    given.flatMap((one, n) => (one[depth] !== undefined && wanted(one[depth]) ? [n] : []));
  // Those without a message come last, as the feeder has not come to them.
  const first = at(0, (one) => one !== "none" && one !== "since");
  const last = at(0, (one) => one === "none");
  const id = await makeDraft(pool, { name, recipients: [...first, ...last].map((n) => ({ address: person(n) })) });
  if (first.length + last.length === 0)
    await pool.query("UPDATE postlane.campaign SET status = 'running' WHERE id = $1", [id]);
  else await startNow(pool, id);
  if (first.length > 0) await makeNext(pool, id, first.length);
  await addToList(
    pool,
    (await campaignRow(pool, id)).list_id,
    at(0, (one) => one === "since").map((n) => ({ address: person(n) })),
  );
  await move(pool, id, given, 0);
  for (const depth of [1, 2]) {
    // The rest takes all that may be taken; those of whom the story says nothing more are canceled in it.
    if (given.every((one) => one[depth] === undefined)) break;
    const rest = await createRest(pool, id, { name: `${name}, ${depth}` });
    if (rest.kind !== "made") break;
    await makeAll(pool, rest.campaignId);
    await move(pool, rest.campaignId, given, depth);
    const others = given.flatMap((one, n) => (one[depth] === undefined ? [person(n)] : []));
    const members = await addressesOf(pool, rest.campaignId);
    await becomes(
      pool,
      rest.campaignId,
      others.filter((one) => members.includes(one)),
      "canceled",
    );
  }
  return id;
}

async function move(pool: Pool, id: CampaignId, given: readonly Standings[], depth: number): Promise<void> {
  for (const state of STATES) {
    if (state === "queued") continue;
    const addresses = given.flatMap((one, n) => (one[depth] === state ? [person(n)] : []));
    await becomes(pool, id, addresses, state);
  }
}

// ---- campaigns -------------------------------------------------------------------------------------------------------

async function running(pool: Pool, name: string, count: number, made = count, listName?: string): Promise<CampaignId> {
  const id = await makeDraft(pool, {
    name,
    recipients: people(count),
    ...(listName === undefined ? {} : { listName }),
  });
  if (count === 0) await pool.query("UPDATE postlane.campaign SET status = 'running' WHERE id = $1", [id]);
  else await startNow(pool, id);
  await makeNext(pool, id, made);
  return id;
}

/** One recipient in each state, who is called like it, and one who came since. */
async function inEveryState(pool: Pool, name: string): Promise<CampaignId> {
  const id = await makeDraft(pool, { name, recipients: STATES.map((state) => ({ address: `${state}@example.com` })) });
  await startNow(pool, id);
  await makeAll(pool, id);
  for (const state of STATES) if (state !== "queued") await becomes(pool, id, [`${state}@example.com`], state);
  await addToList(pool, (await campaignRow(pool, id)).list_id, [{ address: "since@example.com" }]);
  return id;
}

async function makeAll(pool: Pool, id: CampaignId): Promise<void> {
  await makeNext(pool, id, 1_000);
}

function madeOf(answer: RestAnswer): Extract<RestAnswer, { kind: "made" }> {
  assert.ok(answer.kind === "made", JSON.stringify(answer));
  return answer;
}

async function addressesOf(pool: Pool, id: CampaignId): Promise<readonly string[]> {
  const { rows } = await pool.query(
    "SELECT address FROM postlane.recipient WHERE list_id = (SELECT list_id FROM postlane.campaign WHERE id = $1) ORDER BY address",
    [id],
  );
  return rows.map(({ address }) => address as string);
}

function nonZero(states: Readonly<Record<State, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(states).filter(([, n]) => n !== 0));
}
