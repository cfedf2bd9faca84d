// The judge on files in memory, with losses planted into them: what it must find, and where it must not accuse.

import assert from "node:assert/strict";
import { test } from "node:test";
import { examineRecords } from "./examine-records.ts";
import { judgeWitnessedDisk, isWorthExamining, type WitnessedRun } from "./judge-witnessed-disk.ts";
import { fileRemovedFor, makeRecord, placeOf, RECORD_BYTES, type Counts, type Stream } from "./witness-record.ts";

const RUN = "0123456789abcdef0123456789abcdef";
const OTHER_RUN = "f".repeat(32);

type Files = Map<string, Buffer>;

function put(files: Files, stream: Stream, number: number, record: Buffer): void {
  const { file, offset } = placeOf(stream, number);
  let content = files.get(file) ?? Buffer.alloc(0);
  const needed = offset + RECORD_BYTES;
  if (content.length < needed) {
    // Twice as much room, so that a file that grows by records is not copied for each.
    const room = content.buffer.byteLength < needed ? Buffer.alloc(2 * needed) : Buffer.from(content.buffer);
    if (room.buffer !== content.buffer) content.copy(room);
    content = room.subarray(0, needed);
  }
  record.copy(content, offset);
  files.set(file, content);
}

function written(counts: Counts): Files {
  const files: Files = new Map();
  for (const stream of ["log", "grown", "renamed"] as const) {
    for (let number = 1; number <= counts[stream]; number++) {
      put(files, stream, number, makeRecord(RUN, number));
      const removed = stream === "renamed" ? undefined : fileRemovedFor(stream, number);
      if (removed !== undefined) files.delete(removed);
    }
  }
  return files;
}

const told: Counts = { log: 200, grown: 50, renamed: 100 };

function compared(
  files: Files,
  given: Partial<WitnessedRun> & { readonly bootNow?: string; readonly mountNow?: string } = {},
) {
  const { bootNow = "after", mountNow = "/srv", ...changed } = given;
  const known: WitnessedRun = { run: RUN, boot: "before", mount: "/srv", told, seconds: 12, ...changed };
  const facts = { path: "/srv/mail", known, bootNow, mountNow };
  const losses = isWorthExamining(facts) ? examineRecords(RUN, known.told, (name) => files.get(name)) : undefined;
  return { ...judgeWitnessedDisk({ ...facts, losses }), losses };
}

test("everything that was told is there: honest, with the figures", () => {
  const { verdict, findings } = compared(written(told));
  assert.equal(verdict, "honest");
  assert.match(findings[0]!, /350 records .* in 12 s, .* the last 314/);
});

test("more than was told may be there, whole or torn: the power was cut amid it", () => {
  const files = written({ log: 230, grown: 60, renamed: 120 });
  put(files, "log", 229, Buffer.alloc(RECORD_BYTES, "x"));
  files.set("grown-0", files.get("grown-0")!.subarray(0, 59 * RECORD_BYTES + 17));
  assert.equal(compared(files).verdict, "honest");
});

test("one record is missing", () => {
  const files = written(told);
  put(files, "log", 123, Buffer.alloc(RECORD_BYTES));
  const { verdict, losses, findings } = compared(files);
  assert.equal(verdict, "lies");
  assert.deepEqual(losses?.log, { examined: 200, missing: 1, torn: 0, firstLost: 123 });
  assert.match(
    findings.join("\n"),
    /of the last 314 .* 1 are lost.*1 missing and 0 torn of 200, the first of them number 123/s,
  );
  assert.match(findings.join("\n"), /accepted .* gone.*cache mode.*hdparm/s);
});

test("one is half there: the second sector is the older content", () => {
  const files = written(told);
  const half = makeRecord(RUN, 7);
  half.fill(0, RECORD_BYTES / 2);
  put(files, "log", 7, half);
  assert.deepEqual(compared(files).losses?.log, { examined: 200, missing: 0, torn: 1, firstLost: 7 });
});

test("a bit fell over", () => {
  const files = written(told);
  files.get("grown-0")![40 * RECORD_BYTES + 500]! ^= 1;
  assert.deepEqual(compared(files).losses?.grown, { examined: 50, missing: 0, torn: 1, firstLost: 41 });
});

test("a gap: pages of an older run are in the place of new ones", () => {
  const files = written(told);
  for (let number = 20; number < 30; number++) put(files, "log", number, makeRecord(OTHER_RUN, number));
  assert.deepEqual(compared(files).losses?.log, { examined: 200, missing: 10, torn: 0, firstLost: 20 });
});

test("a file that grew is short", () => {
  const files = written(told);
  files.set("grown-0", files.get("grown-0")!.subarray(0, 45 * RECORD_BYTES));
  const { verdict, losses, findings } = compared(files);
  assert.equal(verdict, "lies");
  assert.deepEqual(losses?.grown, { examined: 50, missing: 5, torn: 0, firstLost: 46 });
  assert.match(findings.join("\n"), /Appended to a file that grows: 5 missing/);
});

test("a rename was lost: the name has its record of the round before", () => {
  const files = written(told);
  put(files, "renamed", 100, makeRecord(RUN, 36));
  assert.deepEqual(compared(files).losses?.renamed, { examined: 64, missing: 1, torn: 0, firstLost: 100 });
});

test("nothing is there at all", () => {
  const { verdict, findings } = compared(new Map());
  assert.equal(verdict, "lies");
  assert.match(findings[0]!, /of the last 314 records .* 314 are lost/);
});

test("files that the writer itself has removed are not asked for", () => {
  const many = { log: 5 * 4096 + 100, grown: 6 * 1024 + 1, renamed: 1000 };
  const files = written({ ...many, log: many.log + 4096, grown: many.grown + 1024 });
  const { verdict, losses } = compared(files, { told: many });
  assert.equal(verdict, "honest");
  assert.equal(losses?.log.examined, 4096 + 100);
  assert.equal(losses?.grown.examined, 1024 + 1);
});

const nothings: readonly (readonly [string, Parameters<typeof compared>[1], string, RegExp])[] = [
  ["the boot is the same", { bootNow: "before" }, "same_boot", /proves nothing: the machine was not started again/],
  ["the disk is not mounted", { mountNow: "/" }, "not_mounted", /mounted at \/; .* at \/srv/],
];

for (const [what, given, reason, finding] of nothings) {
  test(`${what}: nothing is said, whatever is lost`, () => {
    const judgement = compared(new Map(), given);
    assert.deepEqual([judgement.verdict, judgement.reason], ["unproven", reason]);
    assert.match(judgement.findings.join("\n"), finding);
  });
}

test("too few records to believe in", () => {
  const few = { log: 90, grown: 5, renamed: 4 };
  const { verdict, reason } = compared(written(few), { told: few });
  assert.deepEqual([verdict, reason], ["unproven", "too_few"]);
  assert.equal(compared(new Map(), { told: few }).verdict, "lies", "but what is lost is lost");
});

test("a run that the witness does not know", () => {
  const { verdict, reason } = judgeWitnessedDisk({
    path: "/srv",
    known: undefined,
    bootNow: "after",
    mountNow: "/srv",
    losses: undefined,
  });
  assert.deepEqual([verdict, reason], ["unproven", "unknown_run"]);
});
