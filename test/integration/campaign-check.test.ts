// The judge of campaign runs, on planted faults: an alarm that cannot ring is worse than none.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  judgeCampaign,
  settledProblems,
  sheetProblems,
  type CampaignWitnesses,
  type MessageFate,
  type SheetEntry,
  type SheetSample,
} from "../../bench/campaign-check.ts";
import { STATES, type State } from "../../src/mail/state.ts";
import { totalsOf } from "../../src/reports/status-report.ts";

// ---- the end of a run ------------------------------------------------------------------------------------------------

const fate = (recipient: string, given: Partial<MessageFate> = {}): MessageFate => ({
  recipient,
  campaign: "news",
  waiting: null,
  settled: "sent",
  version: null,
  ...given,
});

/** Ann of the first text, Bob of the second, Cid by the rest, Dan suppressed, Eve unknown and arrived, Fay unknown and not. */
function cleanEnd(): CampaignWitnesses & { readonly receptions: readonly { recipient: string; noted: string }[] } {
  return {
    listed: ["ann", "bob", "cid", "dan", "eve", "fay"],
    suppressed: new Set(["dan"]),
    receptions: [
      { recipient: "ann", noted: "edition-1" },
      { recipient: "bob", noted: "edition-2" },
      { recipient: "cid", noted: "edition-2" },
      { recipient: "eve", noted: "edition-1" },
    ],
    fates: [
      fate("ann"),
      fate("bob", { version: 2 }),
      fate("cid", { settled: "canceled" }),
      fate("cid", { campaign: "news-rest" }),
      fate("dan", { settled: "suppressed" }),
      fate("eve", { waiting: "unknown", settled: null }),
      fate("fay", { waiting: "unknown", settled: null }),
    ],
    texts: new Map([
      ["news 1", "edition-1"],
      ["news 2", "edition-2"],
      ["news-rest 1", "edition-2"],
    ]),
  };
}

const FINE = { lost: 0, duplicates: 0, suppressedGot: 0, versionsWrong: 0, sentWrong: 0, strangers: 0 };

function judged(change: Partial<CampaignWitnesses>) {
  const { complaints, received: _, unknown: _unknown, ...counts } = judgeCampaign({ ...cleanEnd(), ...change });
  return { complaints, counts };
}

describe("the judge of a campaign's end", () => {
  it("finds nothing wrong with a clean one", () => {
    assert.deepEqual(judgeCampaign(cleanEnd()), { received: 4, ...FINE, unknown: 2, complaints: [] });
  });

  it("finds somebody who got nothing, whatever the books say", () => {
    const receptions = cleanEnd().receptions.filter(({ recipient }) => recipient !== "bob");
    const { counts, complaints } = judged({ receptions });
    assert.deepEqual(counts, { ...FINE, lost: 1 });
    assert.deepEqual(complaints, ["lost: bob got nothing, and sent are news 2"]);
    const fates = [...cleanEnd().fates].filter(({ recipient }) => recipient !== "bob");
    assert.deepEqual(judged({ receptions, fates }).counts, { ...FINE, lost: 1 });
  });

  it("does not take unknown for an excuse where another message is called sent", () => {
    const fates = [...cleanEnd().fates, fate("fay", { campaign: "news-rest" })];
    assert.deepEqual(judged({ fates }).counts, { ...FINE, lost: 1 });
  });

  it("finds a second copy, of one who is sent and of one who is unknown", () => {
    for (const recipient of ["ann", "eve"]) {
      const receptions = [...cleanEnd().receptions, { recipient, noted: "edition-1" }];
      assert.deepEqual(judged({ receptions }).counts, { ...FINE, duplicates: 1 });
    }
  });

  it("takes one address in two cases for one person", () => {
    const receptions = cleanEnd().receptions.with(0, { recipient: "ANN", noted: "edition-1" });
    const fates = [...cleanEnd().fates].with(0, fate("ANN"));
    assert.deepEqual(judged({ receptions, fates }), { counts: FINE, complaints: [] });
    const again = [...receptions, { recipient: "ann", noted: "edition-1" }];
    assert.deepEqual(judged({ receptions: again, fates }).counts, { ...FINE, duplicates: 1 });
  });

  it("finds a suppressed one who got it, and one whom nobody has listed", () => {
    const more = (recipient: string) => [...cleanEnd().receptions, { recipient, noted: "edition-1" }];
    assert.deepEqual(judged({ receptions: more("dan") }).counts, { ...FINE, suppressedGot: 1 });
    assert.deepEqual(judged({ receptions: more("gus") }).counts, { ...FINE, strangers: 1 });
  });

  it("finds one who got it and is not sent, and one who is sent by two messages", () => {
    const fates = [...cleanEnd().fates];
    const canceled = fates.with(0, fate("ann", { settled: "canceled" }));
    assert.deepEqual(judged({ fates: canceled }).counts, { ...FINE, sentWrong: 1 });
    const queuedAgain = fates.with(0, fate("ann", { waiting: "queued" }));
    assert.deepEqual(judged({ fates: queuedAgain }).counts, { ...FINE, sentWrong: 1 });
    const twice = [...fates, fate("ann", { campaign: "news-rest" })];
    assert.deepEqual(judged({ fates: twice }).counts, { ...FINE, sentWrong: 1 });
  });

  it("finds an event that tells another version, none, or one that never was, and a mail of two", () => {
    for (const version of [1, null, 3]) {
      const fates = [...cleanEnd().fates].with(1, fate("bob", { version }));
      assert.deepEqual(judged({ fates }).counts, { ...FINE, versionsWrong: 1 });
    }
    const receptions = cleanEnd().receptions.with(1, { recipient: "bob", noted: "edition-1+edition-2" });
    assert.deepEqual(judged({ receptions }).counts, { ...FINE, versionsWrong: 1 });
  });
});

// ---- sheets ----------------------------------------------------------------------------------------------------------

const entry = (state: State, n: number, day = "2026-11-23"): SheetEntry => ({
  lane: "bulk",
  campaign: "news",
  day,
  state,
  n,
});

const BOOKED = [entry("queued", 7), entry("queued", 2, "2026-11-24"), entry("sent", 80), entry("canceled", 8)];

/** 97 accepted of 100 rows: 9 wait, 80 are sent, 8 canceled, of whom 5 had no message. */
function cleanSample(booked: readonly SheetEntry[] = BOOKED): SheetSample {
  return {
    reports: [
      { name: "news", rows: 100, rejected: 1, doubled: 2, not_accepted: 0, unmade: 4, books: totalsOf(booked) },
    ],
    booked,
    counted: [entry("queued", 4), entry("queued", 3), entry("queued", 2, "2026-11-24")],
    accepted: [{ lane: "bulk", campaign: "news", n: 97, withdrawn: 5 }],
  };
}

describe("the judge of a sample", () => {
  it("finds nothing wrong with a clean one", () => {
    assert.deepEqual(sheetProblems(cleanSample()), []);
  });

  it("finds each number of the books that is off by one, whichever it is", () => {
    for (const [place, { state }] of BOOKED.entries()) {
      for (const by of [-1, 1]) {
        const booked = BOOKED.with(place, { ...BOOKED[place]!, n: BOOKED[place]!.n + by });
        assert.notDeepEqual(sheetProblems(cleanSample(booked)), [], `${state} ${by}`);
      }
    }
  });

  it("finds each number of the report that is off by one", () => {
    for (const key of ["rows", "rejected", "doubled", "not_accepted"] as const) {
      const [report] = cleanSample().reports;
      const problems = sheetProblems({ ...cleanSample(), reports: [{ ...report!, [key]: report![key] + 1 }] });
      assert.match(problems.join(), /rows are not/, key);
    }
  });

  it("finds a row of the queue that the books have on another day, or in another state", () => {
    const onAnotherDay = [entry("queued", 8), entry("queued", 1, "2026-11-24"), ...BOOKED.slice(2)];
    assert.equal(sheetProblems(cleanSample(onAnotherDay)).length, 2);
    const inAnotherState = [entry("queued", 6), entry("deferred", 1), ...BOOKED.slice(1)];
    assert.equal(sheetProblems(cleanSample(inAnotherState)).length, 2);
  });

  it("finds a number below zero, also where the sum is right", () => {
    const booked = [...BOOKED, entry("bounced", -1), entry("bounced", 1, "2026-11-24")];
    assert.deepEqual(sheetProblems(cleanSample(booked)), ["below zero: bulk, news, 2026-11-23: -1 bounced"]);
  });

  it("finds a lane that has more than its campaigns have accepted", () => {
    const booked = [...BOOKED, { ...entry("sent", 1), campaign: "nobody's" }];
    const { reports } = cleanSample();
    assert.deepEqual(sheetProblems({ ...cleanSample(booked), reports }), [
      "lane bulk: 97 accepted, and its days have 98",
    ]);
  });
});

describe("the judge of the settled states", () => {
  const fates = [
    ...Array.from({ length: 80 }, (_, n) => fate(`sent${n}`)),
    ...Array.from({ length: 3 }, (_, n) => fate(`canceled${n}`, { settled: "canceled" as const })),
    fate("waiting", { waiting: "queued", settled: null }),
  ];

  it("counts who was withdrawn without a message", () => {
    assert.deepEqual(settledProblems(fates, cleanSample()), []);
  });

  it("finds one that is settled otherwise in the books, in every state", () => {
    for (const state of STATES.filter((one) => one === "bounced" || one === "delivered" || one === "canceled")) {
      const other = fates.with(0, fate("sent0", { settled: state as MessageFate["settled"] }));
      assert.equal(settledProblems(other, cleanSample()).length, 2, state);
    }
  });
});
