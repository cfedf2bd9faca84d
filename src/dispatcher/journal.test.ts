import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import type { LaneId, LeaseId, MessageId } from "../mail/ids.ts";
import type { AttemptName } from "../mail/return-token.ts";
import { openJournal, readJournal, readJournalHead, type Journal, type JournalAnswer } from "./journal.ts";

const HEAD = { bootId: "8b5c-boot", leaseId: 17 as LeaseId, laneId: 2 as LaneId, pid: 4711, processStart: "99001" };
const SENT: JournalAnswer = {
  kind: "sent",
  outlet: "news",
  host: "relay.example:25",
  reply: "250 2.0.0 Ok",
  isOwnFault: false,
};

const attemptOf = (messageId: number, attempt = 1): AttemptName => ({ messageId: messageId as MessageId, attempt });

function place(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-journal-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, "bulk-17.journal");
}

function written(t: TestContext, write: (journal: Journal) => void, bytesMax?: number): string {
  const file = place(t);
  const journal = openJournal(file, HEAD, bytesMax);
  write(journal);
  journal.close();
  return file;
}

function verdict(file: string, messageId: number, attempt = 1): string {
  return readJournal(file)!.verdictOn(messageId as MessageId, attempt).kind;
}

test("what is written is read back: head, dots, answers", (t) => {
  const answer: JournalAnswer = { ...SENT, kind: "deferred", reply: "451 später\n2 😀 \u2028", isOwnFault: true };
  const file = written(t, (journal) => {
    journal.dots([attemptOf(1), attemptOf(2), attemptOf(3, 4)]);
    journal.answer(attemptOf(1), SENT);
    journal.answer(attemptOf(2), answer);
    journal.flush();
  });
  const evidence = readJournal(file)!;
  assert.deepEqual(evidence.head, HEAD);
  assert.deepEqual(evidence.verdictOn(1 as MessageId, 1), { kind: "answered", answer: SENT });
  assert.deepEqual(evidence.verdictOn(2 as MessageId, 1), { kind: "answered", answer });
  assert.deepEqual(evidence.answered, [
    { ...attemptOf(1), answer: SENT },
    { ...attemptOf(2), answer },
  ]);
  assert.equal(verdict(file, 3, 4), "dot");
  assert.equal(verdict(file, 3, 3), "no_line");
  assert.equal(verdict(file, 30, 4), "no_line");
});

test("a dot names what it goes out by", (t) => {
  const file = written(t, (journal) => {
    journal.dots([
      { ...attemptOf(1), outlet: "news", clientPort: 40_123 },
      { ...attemptOf(2), outlet: "news" },
    ]);
  });
  const evidence = readJournal(file)!;
  assert.deepEqual(evidence.verdictOn(1 as MessageId, 1), { kind: "dot", outlet: "news", clientPort: 40_123 });
  assert.deepEqual(evidence.verdictOn(2 as MessageId, 1), { kind: "dot", outlet: "news" });
});

test("an answer waits for the next write, and is lost with the process until then", (t) => {
  const file = place(t);
  const journal = openJournal(file, HEAD);
  t.after(() => journal.close());
  journal.dots([attemptOf(1)]);
  journal.answer(attemptOf(1), SENT);
  assert.equal(verdict(file, 1), "dot");
  journal.dots([attemptOf(2)]);
  assert.equal(verdict(file, 1), "answered");
});

test("the message that was being merged is named, until it is merged", (t) => {
  const file = place(t);
  const journal = openJournal(file, HEAD);
  t.after(() => journal.close());
  journal.composing(attemptOf(1));
  assert.equal(verdict(file, 1), "composing");
  journal.composing(attemptOf(2));
  assert.deepEqual([verdict(file, 1), verdict(file, 2)], ["no_line", "composing"]);
  journal.flush();
  assert.equal(verdict(file, 2), "no_line");
  journal.composing(attemptOf(3));
  journal.dots([attemptOf(1)]);
  assert.deepEqual([verdict(file, 1), verdict(file, 3)], ["dot", "no_line"]);
});

test("torn at any octet: never less than was certain before, and what was being written is a dot at least", (t) => {
  const file = written(t, (journal) => {
    journal.dots([attemptOf(12), attemptOf(123), attemptOf(7, 2)]);
    journal.answer(attemptOf(12), SENT);
    journal.dots([attemptOf(1234)]);
    journal.answer(attemptOf(123), { ...SENT, kind: "bounced" });
    journal.flush();
  });
  const whole = readFileSync(file);
  const headEnd = whole.indexOf("\n") + 1;
  const names = [attemptOf(12), attemptOf(123), attemptOf(7, 2), attemptOf(1234)];
  for (let length = 0; length <= whole.length; length++) {
    const torn = `${file}.torn`;
    writeFileSync(torn, whole.subarray(0, length));
    const evidence = readJournal(torn);
    assert.equal(evidence === undefined, length < headEnd, `${length} octets`);
    if (evidence === undefined) continue;
    const text = whole.subarray(0, length).toString("latin1");
    const complete = text.slice(0, text.lastIndexOf("\n") + 1);
    const broken = text.slice(complete.length);
    for (const { messageId, attempt } of names) {
      const { kind } = evidence.verdictOn(messageId, attempt);
      const key = `${messageId} ${attempt}`;
      if (complete.includes(`a ${key} `)) assert.equal(kind, "answered", `${length} octets, ${key}`);
      else if (complete.includes(`d ${key}\n`)) assert.equal(kind, "dot", `${length} octets, ${key}`);
      else if (broken !== "" && `d ${key}`.startsWith(broken)) assert.equal(kind, "dot", `${length} octets, ${key}`);
      else assert.ok(kind === "no_line" || kind === "dot", `${length} octets, ${key}: ${kind}`);
    }
  }
});

test("a torn line blames nobody for a merge", (t) => {
  const file = written(t, (journal) => journal.composing(attemptOf(5)));
  writeFileSync(file, "d 77", { flag: "a" });
  assert.deepEqual([verdict(file, 5), verdict(file, 77), verdict(file, 8)], ["no_line", "dot", "no_line"]);
});

test("lines that nobody wrote are passed over, and an answer that cannot be read leaves its dot", (t) => {
  const file = written(t, (journal) => journal.dots([attemptOf(1)]));
  const oddities = [
    'a 2 1 {"kind":"sen',
    "a 3 1",
    'a 4 1 {"kind":"eaten"}',
    "a 5 1 null",
    "d five 1",
    "\0\0\0",
    "",
    "z 6 1",
  ];
  writeFileSync(file, `${oddities.join("\n")}\nd 9 1\n`, { flag: "a" });
  const verdicts = [1, 2, 3, 4, 5, 6, 9].map((id) => verdict(file, id));
  assert.deepEqual(verdicts, ["dot", "dot", "dot", "dot", "dot", "no_line", "dot"]);
  assert.deepEqual(readJournal(file)!.answered, []);
});

test("it starts again with what is not settled, and the file stays small", (t) => {
  const bytesMax = 2000;
  let largest = 0;
  const file = place(t);
  const journal = openJournal(file, HEAD, bytesMax);
  for (let id = 1; id <= 500; id++) {
    journal.dots([attemptOf(id)]);
    journal.answer(attemptOf(id), SENT);
    if (id % 100 !== 0) journal.settled(attemptOf(id).messageId);
    largest = Math.max(largest, statSync(file).size);
  }
  journal.flush();
  assert.ok(largest < 2 * bytesMax, `${largest} octets`);
  for (const id of [100, 200, 300, 400, 500]) assert.equal(verdict(file, id), "answered");
  assert.equal(verdict(file, 1), "no_line");
  assert.deepEqual(readJournal(file)!.head, HEAD);
  assert.deepEqual(readJournalHead(file), HEAD, "from its first line alone");
  assert.deepEqual(readdirSync(path.dirname(file)), [path.basename(file)]);
  journal.close();
});

test("it goes on writing into the file that took the place of the old one", (t) => {
  const file = written(
    t,
    (journal) => {
      for (let id = 1; id <= 40; id++) journal.dots([attemptOf(id)]);
    },
    60,
  );
  for (let id = 1; id <= 40; id++) assert.equal(verdict(file, id), "dot");
});

test("a file that is no journal, or is gone, is no evidence", (t) => {
  const file = place(t);
  assert.equal(readJournal(file), undefined);
  assert.equal(readJournalHead(file), undefined);
  const foreign = [
    "",
    "\n",
    "hello\nd 1 1\n",
    "postlane-journal 2 boot 1 2 3 4\nd 1 1\n",
    "postlane-journal 1 boot x 2 3 4\n",
  ];
  for (const text of foreign) {
    writeFileSync(file, text);
    assert.equal(readJournal(file), undefined, JSON.stringify(text));
  }
});

test("a head of version 2 names database and lease; one of version 1 names none, and a mixture is no journal", (t) => {
  const file = place(t);
  const database = { identity: "7300000000000000001/16384", leaseAcquiredUs: 1_795_701_730_123_456 };
  openJournal(file, { ...HEAD, database }).close();
  assert.deepEqual(readJournalHead(file), { ...HEAD, database });
  assert.deepEqual(readJournal(file)!.head.database, database);
  const [whole = ""] = readFileSync(file, "latin1").split("\n");
  const words = whole.split(" ");
  for (const line of [words.slice(0, -2), words.slice(0, -1), ["postlane-journal", "1", ...words.slice(2)]]) {
    writeFileSync(file, `${line.join(" ")}\n`);
    assert.equal(readJournalHead(file), undefined, line.join(" "));
  }
  writeFileSync(file, `postlane-journal 1 ${words.slice(2, -2).join(" ")}\n`);
  assert.deepEqual(readJournalHead(file), HEAD);
});

test("a journal is never opened over another one", (t) => {
  const file = written(t, (journal) => journal.dots([attemptOf(1)]));
  assert.throws(() => openJournal(file, HEAD), { code: "EEXIST" });
  assert.equal(verdict(file, 1), "dot");
});

test("dots that cannot be written are said so; what a crash left beside the file goes with it", (t) => {
  const file = place(t);
  const journal = openJournal(file, HEAD);
  journal.close();
  assert.throws(() => journal.dots([attemptOf(1)]));
  assert.equal(verdict(file, 1), "no_line");
  writeFileSync(`${file}.new`, "half");
  journal.remove();
  assert.ok(!existsSync(file) && !existsSync(`${file}.new`));
});
