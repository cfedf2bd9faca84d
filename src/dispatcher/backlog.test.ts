import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_CAMPAIGN, type CampaignId } from "../mail/ids.ts";
import type { Want } from "../queue/queue-store.ts";
import { createBacklog, type Backlog, type Room } from "./backlog.ts";

const SPRING = 1 as CampaignId;
const AUTUMN = 2 as CampaignId;
const RUNNING: ReadonlySet<CampaignId> = new Set([NO_CAMPAIGN, SPRING, AUTUMN]);
const NOW_US = 1_000_000;
const roomy = (): Room => ({ rows: 1000 });

function pick(backlog: Backlog, rowsMax: number, roomOf: (destination: string) => Room = roomy): readonly Want[] {
  return backlog.pick(rowsMax, RUNNING, roomOf);
}

const destinationsOf = (wants: readonly Want[]): readonly string[] => wants.map(({ destination }) => destination);
const rowsOf = (wants: readonly Want[]): number => wants.reduce((sum, { rowsMax }) => sum + rowsMax, 0);

/** Every destination has more rows than it was asked for. */
function answerAllFull(backlog: Backlog, wants: readonly Want[]): void {
  for (const want of wants) assert.equal(backlog.answered(want, want.rowsMax, NOW_US), "full");
}

function fill(backlog: Backlog, count: number, campaignId: CampaignId = NO_CAMPAIGN): void {
  for (let n = 0; n < count; n++) backlog.report(campaignId, `d${n}.example`, 0, NOW_US, "found");
}

/** All have had a turn, so that none is a newcomer any more. */
function goRound(backlog: Backlog, rowsMax: number, claims: number): void {
  for (let n = 0; n < claims; n++) answerAllFull(backlog, pick(backlog, rowsMax));
}

test("with 10,000 destinations in backlog, a newcomer is in the next claim", () => {
  const backlog = createBacklog();
  fill(backlog, 10_000);
  goRound(backlog, 500, 25);
  backlog.report(NO_CAMPAIGN, "newcomer.example", NOW_US, NOW_US, "arrived");
  assert.ok(destinationsOf(pick(backlog, 2)).includes("newcomer.example"));
});

test("what discovery finds waits its turn, and a newcomer does not wait for it", () => {
  const backlog = createBacklog();
  fill(backlog, 10_000);
  backlog.report(NO_CAMPAIGN, "newcomer.example", NOW_US, NOW_US, "arrived");
  assert.ok(destinationsOf(pick(backlog, 2)).includes("newcomer.example"));
});

test("with many destinations each has one row in a round, and all have had their turn after it", () => {
  const backlog = createBacklog();
  fill(backlog, 10_000);
  const seen = new Set<string>();
  for (let claim = 0; claim < 20; claim++) {
    const wants = pick(backlog, 500);
    assert.equal(rowsOf(wants), 500);
    for (const { destination } of wants) seen.add(destination);
    answerAllFull(backlog, wants);
  }
  assert.equal(seen.size, 10_000);
});

test("a few destinations fill the claim", () => {
  const backlog = createBacklog();
  fill(backlog, 3);
  assert.deepEqual(
    pick(backlog, 100).map(({ rowsMax }) => rowsMax),
    [34, 34, 32],
  );
});

test("a steady stream of newcomers starves nobody", () => {
  const backlog = createBacklog();
  fill(backlog, 4);
  goRound(backlog, 4, 1);
  const seen = new Set<string>();
  for (let claim = 0; claim < 16; claim++) {
    for (let n = 0; n < 4; n++) backlog.report(NO_CAMPAIGN, `new${claim}-${n}.example`, 0, NOW_US, "arrived");
    const wants = pick(backlog, 4);
    for (const { destination } of wants) seen.add(destination);
    answerAllFull(backlog, wants);
  }
  for (let n = 0; n < 4; n++) assert.ok(seen.has(`d${n}.example`), `d${n}.example had no turn`);
});

test("two campaigns share each claim, however many destinations each has", () => {
  const backlog = createBacklog();
  fill(backlog, 1000, SPRING);
  fill(backlog, 3, AUTUMN);
  const rows = new Map<CampaignId, number>();
  for (let claim = 0; claim < 50; claim++) {
    const wants = pick(backlog, 100);
    for (const { campaignId, rowsMax } of wants) {
      rows.set(campaignId, (rows.get(campaignId) ?? 0) + rowsMax);
    }
    answerAllFull(backlog, wants);
  }
  assert.deepEqual([rows.get(SPRING), rows.get(AUTUMN)], [2500, 2500]);
});

test("claims of a single row alternate between campaigns", () => {
  const backlog = createBacklog();
  fill(backlog, 5, SPRING);
  fill(backlog, 5, AUTUMN);
  const turns: CampaignId[] = [];
  for (let claim = 0; claim < 6; claim++) {
    const wants = pick(backlog, 1);
    turns.push(wants[0]!.campaignId);
    answerAllFull(backlog, wants);
  }
  assert.deepEqual(turns, [SPRING, AUTUMN, SPRING, AUTUMN, SPRING, AUTUMN]);
});

test("what one campaign cannot fill, the other gets", () => {
  const backlog = createBacklog();
  backlog.report(SPRING, "small.example", 0, NOW_US, "arrived");
  fill(backlog, 10, AUTUMN);
  const wants = pick(backlog, 100, (destination) => ({ rows: destination === "small.example" ? 1 : 1000 }));
  assert.equal(rowsOf(wants), 100);
});

test("a campaign that does not run is not asked, and takes its turn when it does", () => {
  const backlog = createBacklog();
  fill(backlog, 2, SPRING);
  assert.deepEqual(backlog.pick(10, new Set([NO_CAMPAIGN]), roomy), []);
  assert.equal(pick(backlog, 10).length, 2);
});

test("a destination without room is not asked until it is freed", () => {
  const backlog = createBacklog();
  fill(backlog, 3);
  const full = (destination: string): Room => ({ rows: destination === "d1.example" ? 0 : 5 });
  const wants = pick(backlog, 30, full);
  assert.deepEqual(destinationsOf(wants), ["d0.example", "d2.example"]);
  answerAllFull(backlog, wants);
  assert.deepEqual(destinationsOf(pick(backlog, 30)).toSorted(), ["d0.example", "d2.example"]);
  backlog.freed("d1.example");
  assert.deepEqual(destinationsOf(pick(backlog, 30)), ["d1.example"]);
});

test("a failing destination is asked again when its time has come", () => {
  const backlog = createBacklog();
  fill(backlog, 1);
  assert.deepEqual(
    pick(backlog, 10, () => ({ rows: 0, againAtUs: NOW_US + 50 })),
    [],
  );
  backlog.wakeSleepers(NOW_US + 49);
  assert.deepEqual(pick(backlog, 10), []);
  backlog.wakeSleepers(NOW_US + 50);
  assert.deepEqual(destinationsOf(pick(backlog, 10)), ["d0.example"]);
});

test("a destination freed in one campaign is freed in all, and wakes once", () => {
  const backlog = createBacklog();
  backlog.report(SPRING, "busy.example", 0, NOW_US, "arrived");
  backlog.report(AUTUMN, "busy.example", 0, NOW_US, "arrived");
  assert.deepEqual(
    pick(backlog, 10, () => ({ rows: 0, againAtUs: NOW_US + 50 })),
    [],
  );
  backlog.freed("busy.example");
  backlog.freed("busy.example");
  backlog.wakeSleepers(NOW_US + 100);
  assert.equal(pick(backlog, 10).length, 2);
  assert.deepEqual(pick(backlog, 10), []);
});

test("a destination is asked by one claim at a time", () => {
  const backlog = createBacklog();
  fill(backlog, 1);
  assert.equal(pick(backlog, 10).length, 1);
  backlog.report(NO_CAMPAIGN, "d0.example", 0, NOW_US, "arrived");
  backlog.freed("d0.example");
  assert.deepEqual(pick(backlog, 10), []);
});

test("what is reported while it is asked is not lost when the claim comes up short", () => {
  const backlog = createBacklog();
  fill(backlog, 1);
  const [want] = pick(backlog, 10);
  backlog.report(NO_CAMPAIGN, "d0.example", 7, NOW_US, "arrived");
  assert.equal(backlog.answered(want!, 0, undefined), "full");
  assert.equal(pick(backlog, 10)[0]?.cursorUs, 0);
});

test("short: it leaves, and a report brings it back", () => {
  const backlog = createBacklog();
  fill(backlog, 1);
  const [want] = pick(backlog, 10);
  assert.equal(backlog.answered(want!, 3, 500), "short");
  assert.equal(backlog.size, 0);
  assert.deepEqual(pick(backlog, 10), []);
  backlog.report(NO_CAMPAIGN, "d0.example", 600, NOW_US, "arrived");
  assert.equal(pick(backlog, 10)[0]?.cursorUs, 600);
});

test("the cursor follows what was claimed, and a report of something earlier takes it back", () => {
  const backlog = createBacklog();
  fill(backlog, 1);
  const [first] = pick(backlog, 2);
  backlog.answered(first!, 2, 500);
  const [second] = pick(backlog, 2);
  assert.equal(second?.cursorUs, 500);
  backlog.report(NO_CAMPAIGN, "d0.example", 400, NOW_US, "arrived");
  backlog.answered(second, 2, 900);
  assert.equal(pick(backlog, 2)[0]?.cursorUs, 400);
});

test("a claim that failed leaves everything as it was", () => {
  const backlog = createBacklog();
  fill(backlog, 2);
  const wants = pick(backlog, 10);
  for (const want of wants) backlog.unanswered(want);
  assert.deepEqual(pick(backlog, 10), wants);
});

test("sleepers wake in the order of their due times, and an earlier report wakes one sooner", () => {
  const backlog = createBacklog();
  const dueUs = [9, 3, 7, 1, 5, 8, 2, 6, 4].map((n) => NOW_US + n * 100);
  for (const [n, due] of dueUs.entries()) backlog.report(NO_CAMPAIGN, `d${n}.example`, due, NOW_US, "arrived");
  assert.deepEqual(pick(backlog, 100), []);
  const woken: number[] = [];
  for (let nowUs = NOW_US; nowUs <= NOW_US + 900; nowUs += 100) {
    backlog.wakeSleepers(nowUs);
    const wants = pick(backlog, 100);
    woken.push(...wants.map(({ cursorUs }) => cursorUs));
    for (const want of wants) backlog.answered(want, 0, undefined);
  }
  assert.deepEqual(
    woken,
    dueUs.toSorted((one, other) => one - other),
  );

  backlog.report(NO_CAMPAIGN, "late.example", NOW_US + 5000, NOW_US, "arrived");
  backlog.report(NO_CAMPAIGN, "late.example", NOW_US + 2000, NOW_US, "arrived");
  backlog.wakeSleepers(NOW_US + 2000);
  assert.deepEqual(destinationsOf(pick(backlog, 100)), ["late.example"]);
  backlog.wakeSleepers(NOW_US + 5000);
  assert.deepEqual(pick(backlog, 100), []);
});

test("a campaign that is stopped and goes on starts afresh: an old answer and an old sleeper change nothing", () => {
  const backlog = createBacklog();
  backlog.report(SPRING, "asked.example", 0, NOW_US, "arrived");
  const [old] = pick(backlog, 10);
  backlog.report(SPRING, "asleep.example", NOW_US + 100, NOW_US, "arrived");
  backlog.forgetCampaign(SPRING);
  assert.equal(backlog.size, 0);
  backlog.report(SPRING, "asked.example", 0, NOW_US, "arrived");
  assert.equal(backlog.answered(old!, 10, 5), "full");
  backlog.unanswered(old!);
  backlog.wakeSleepers(NOW_US + 100);
  assert.deepEqual(destinationsOf(pick(backlog, 10)), ["asked.example"]);
  assert.deepEqual(pick(backlog, 10), []);
});

test("beyond its limit it takes no more, and says so", () => {
  const backlog = createBacklog(2);
  fill(backlog, 3);
  assert.equal(backlog.size, 2);
  assert.ok(backlog.isFull);
  for (const want of pick(backlog, 10)) backlog.answered(want, 0, undefined);
  assert.ok(!backlog.isFull);
});

test("picking looks at no destination twice that has no room: 200,000 that fail cost nothing", () => {
  const backlog = createBacklog();
  fill(backlog, 200_000);
  backlog.report(SPRING, "alive.example", 0, NOW_US, "arrived");
  let looked = 0;
  const roomOf = (destination: string): Room => {
    looked++;
    return { rows: destination === "alive.example" ? 1000 : 0 };
  };
  answerAllFull(backlog, pick(backlog, 500, roomOf));
  looked = 0;
  for (let claim = 0; claim < 100; claim++) answerAllFull(backlog, pick(backlog, 500, roomOf));
  assert.equal(looked, 100);
});

test("picking from 200,000 ready destinations looks at no more than it picks", () => {
  const backlog = createBacklog();
  fill(backlog, 200_000);
  let looked = 0;
  const roomOf = (): Room => {
    looked++;
    return { rows: 1000 };
  };
  for (let claim = 0; claim < 100; claim++) answerAllFull(backlog, pick(backlog, 500, roomOf));
  assert.equal(looked, 50_000);
});

test("room for what can go is never taken by what sleeps, and arrivals have room of their own", () => {
  const backlog = createBacklog(100);
  for (let n = 0; n < 100; n++) backlog.report(NO_CAMPAIGN, `later${n}.example`, 2 * NOW_US, NOW_US, "arrived");
  assert.equal(backlog.size, 50);
  fill(backlog, 100);
  assert.equal(backlog.size, 100);
  for (let n = 0; n < 200; n++) backlog.report(NO_CAMPAIGN, `new${n}.example`, NOW_US, NOW_US, "arrived");
  assert.equal(backlog.size, 200);
});

test("room is made of those whose turn is furthest away, newcomers are kept", () => {
  const backlog = createBacklog(100);
  fill(backlog, 60, SPRING);
  fill(backlog, 10, AUTUMN);
  backlog.report(SPRING, "newcomer.example", NOW_US, NOW_US, "arrived");
  backlog.makeRoom(20);
  assert.equal(backlog.size, 51);
  const springs = destinationsOf(backlog.pick(1000, new Set([SPRING]), () => ({ rows: 1 })));
  assert.deepEqual(
    new Set(springs),
    new Set(["newcomer.example", ...Array.from({ length: 40 }, (_, n) => `d${n}.example`)]),
  );
  assert.equal(destinationsOf(backlog.pick(1000, new Set([AUTUMN]), () => ({ rows: 1 }))).length, 10);
});

test("blocked ones make room where nothing else can", () => {
  const backlog = createBacklog(10);
  fill(backlog, 10);
  assert.deepEqual(
    pick(backlog, 10, () => ({ rows: 0 })),
    [],
  );
  assert.ok(backlog.isFull);
  backlog.makeRoom(4);
  assert.equal(backlog.size, 6);
  for (let n = 0; n < 10; n++) backlog.freed(`d${n}.example`);
  assert.equal(pick(backlog, 10, () => ({ rows: 1 })).length, 6);
});
