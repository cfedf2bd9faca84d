// The judge of demo and fault runs, on planted faults: an alarm that cannot ring is worse than none.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judgeRun, type BookedMessage, type Witnesses } from "../../faults/rig/judge-run.ts";

const booked = (id: number, waiting: string | null, ...settled: readonly string[]): BookedMessage => ({
  id,
  recipient: `r${id}@d.example`,
  waiting,
  settled,
});

/** Three sent, one unknown that arrived, one unknown that did not, one refused; and a COMMIT that never happened. */
function cleanRun() {
  const books = [
    booked(1, null, "sent"),
    booked(2, null, "sent"),
    booked(3, null, "sent"),
    booked(4, "unknown"),
    booked(5, "unknown"),
    booked(6, null, "bounced"),
  ];
  const site = new Map<string, "acknowledged" | "ambiguous">(books.map(({ recipient }) => [recipient, "acknowledged"]));
  site.set("r3@d.example", "ambiguous");
  site.set("never@d.example", "ambiguous");
  const receptions = [1, 2, 3, 4].map((id) => ({ recipient: `r${id}@d.example` }));
  return { books, site, receptions, balance: { sent: 3, unknown: 2, bounced: 1 } };
}

function judged(change: Partial<Witnesses>) {
  return judgeRun({ ...cleanRun(), ...change });
}

describe("the judge of a run", () => {
  it("finds nothing wrong with a clean run", () => {
    const verdict = judged({});
    assert.deepEqual(verdict.complaints, []);
    assert.equal(verdict.isClean, true);
    assert.deepEqual(
      [verdict.accepted, verdict.received, verdict.unknown, verdict.unknownArrived, verdict.lost, verdict.duplicates],
      [6, 4, 2, 1, 0, 0],
    );
  });

  it("finds a message that is called sent and was never received", () => {
    const verdict = judged({ receptions: cleanRun().receptions.slice(1) });
    assert.equal(verdict.lost, 1);
    assert.equal(verdict.isClean, false);
    assert.match(verdict.complaints.join(), /LOST: msg_1 to r1@d\.example/);
  });

  it("finds a message that was acknowledged and is in no book", () => {
    const verdict = judged({
      books: cleanRun().books.slice(1),
      balance: { sent: 2, unknown: 2, bounced: 1 },
      receptions: [],
    });
    assert.match(verdict.complaints.join(), /LOST: the submission to r1@d\.example was acknowledged/);
  });

  it("finds a message that was received twice, sent or unknown", () => {
    for (const recipient of ["r2@d.example", "r4@d.example"]) {
      const verdict = judged({ receptions: [...cleanRun().receptions, { recipient }] });
      assert.equal(verdict.duplicates, 1);
      assert.equal(verdict.lost, 0);
      assert.equal(verdict.isClean, false);
    }
  });

  it("finds mail that was received and never accepted", () => {
    const verdict = judged({ receptions: [...cleanRun().receptions, { recipient: "never@d.example" }] });
    assert.equal(verdict.ghosts, 1);
    assert.equal(verdict.isClean, false);
  });

  it("finds a message in two states, and one in none", () => {
    const { books } = cleanRun();
    const twice = judged({ books: [booked(1, "queued", "sent"), ...books.slice(1)] });
    assert.equal(twice.notInOneState, 1);
    assert.equal(twice.isClean, false);
    const nowhere = judged({ books: [booked(1, null), ...books.slice(1)] });
    assert.equal(nowhere.notInOneState, 1);
    assert.equal(nowhere.isClean, false);
  });

  it("finds a balance sheet that does not add up, and mail that is stuck", () => {
    assert.equal(judged({ balance: { sent: 4, unknown: 2, bounced: 1 } }).isBalanced, false);
    const { books } = cleanRun();
    const stuck = judged({
      books: [...books.slice(0, 5), booked(6, "queued")],
      balance: { sent: 3, unknown: 2, queued: 1 },
    });
    assert.deepEqual([stuck.waiting, stuck.lost, stuck.isClean], [1, 0, false]);
  });

  it("excuses a duplicate by an attempt that was called unknown, and no second one", () => {
    const books = [{ ...booked(1, null, "sent"), unknownAttempts: 1 }, ...cleanRun().books.slice(1)];
    const again = [...cleanRun().receptions, { recipient: "r1@d.example" }];
    const once = judged({ books, receptions: again });
    assert.deepEqual([once.duplicates, once.unexplained, once.isClean], [1, 0, true]);
    const twice = judged({ books, receptions: [...again, { recipient: "r1@d.example" }] });
    assert.deepEqual([twice.duplicates, twice.unexplained, twice.isClean], [2, 1, false]);
  });

  it("finds mail that was received, and of which no story tells", () => {
    const books = [{ ...booked(1, null, "sent"), attempts: 0 }, ...cleanRun().books.slice(1)];
    const verdict = judged({ books });
    assert.deepEqual([verdict.untold, verdict.isClean], [1, false]);
  });

  it("finds content with another message's marks, or with none of its end", () => {
    const marksOf = (recipient: string) => `begin-${recipient}+end-${recipient}`;
    const whole = cleanRun().receptions.map(({ recipient }) => ({ recipient, noted: marksOf(recipient) }));
    assert.equal(judged({ receptions: whole, marksOf }).isClean, true);
    const torn = [{ recipient: "r1@d.example", noted: "begin-r1@d.example" }, ...whole.slice(1)];
    const verdict = judged({ receptions: torn, marksOf });
    assert.deepEqual([verdict.mixedUp, verdict.isClean], [1, false]);
  });
});
