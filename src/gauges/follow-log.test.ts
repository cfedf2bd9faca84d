// On real files: what is written to a log is read once, whatever is done to the file meanwhile.

import assert from "node:assert/strict";
import {
  appendFileSync,
  copyFileSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { LINE_BYTES_MAX, startFollowing, type LogPlace } from "./follow-log.ts";

test("lines are read once their end is there", async (t) => {
  const log = logOf(t, "one\ntwo\nthr");
  const following = await log.follow();
  assert.deepEqual(await following.readAll(), ["one", "two"]);
  log.append("ee\nfour\n");
  assert.deepEqual(await following.readAll(), ["three", "four"]);
  assert.deepEqual(await following.readAll(), []);
});

test("from a kept place it goes on where it stood, and hears what was before as history", async (t) => {
  const log = logOf(t, "one\ntwo\n");
  const first = await log.follow();
  await first.readAll();
  log.append("three\n");
  const second = await log.follow(first.place());
  assert.equal(second.begins, "where it stood");
  assert.deepEqual(second.history, ["one", "two"]);
  assert.deepEqual(await second.readAll(), ["three"]);
});

test("a log that was renamed is read to its end, and then the new one", async (t) => {
  const log = logOf(t, "one\n");
  const following = await log.follow();
  assert.deepEqual(await following.readAll(), ["one"]);
  log.append("two\n");
  log.rotate("1");
  log.append("four\n");
  assert.deepEqual(await following.readAll(), ["two"]);
  // The writer has not been told yet.
  log.appendTo("1", "three\n");
  log.pass(900);
  assert.deepEqual(await following.readAll(), ["three"]);
  log.pass(900);
  assert.deepEqual(await following.readAll(), []);
  log.pass(200);
  assert.deepEqual(await following.readAll(), ["four"]);
  assert.deepEqual(following.missed(), []);
});

test("a log that was rotated several times while nobody followed is read from file to file", async (t) => {
  const log = logOf(t, "one\n");
  const first = await log.follow();
  await first.readAll();
  await first.close();
  log.append("two\n");
  log.rotate("20260101-000000");
  log.append("three\n");
  log.rotate("20260102-000000");
  log.append("four\n");
  const second = await log.follow(first.place());
  assert.equal(second.begins, "where it stood");
  const lines = [...(await second.readAll())];
  for (let turn = 0; turn < 2; turn++) {
    log.pass(1001);
    lines.push(...(await second.readAll()));
    log.pass(1001);
    lines.push(...(await second.readAll()));
  }
  assert.deepEqual(lines, ["two", "three", "four"]);
  assert.deepEqual(second.missed(), []);
});

test("a file between that is compressed has been missed, and it says so", async (t) => {
  const log = logOf(t, "one\n");
  const following = await log.follow();
  await following.readAll();
  log.rotate("2");
  log.append("lost\n");
  log.rotate("1.gz");
  log.append("three\n");
  await following.readAll();
  log.pass(1001);
  assert.deepEqual(await following.readAll(), ["three"]);
  assert.match(following.missed().join(), /gone or compressed/);
});

test("a log that was copied and emptied is read anew, and it says that lines may have been missed", async (t) => {
  const log = logOf(t, "one\ntwo\n");
  const following = await log.follow();
  await following.readAll();
  copyFileSync(log.file, `${log.file}.1`);
  truncateSync(log.file, 0);
  assert.deepEqual(await following.readAll(), []);
  log.append("three\n");
  assert.deepEqual(await following.readAll(), ["three"]);
  assert.match(following.missed().join(), /emptied/);
});

test("emptied, and grown past the old place before anyone looked: known by what stands before it", async (t) => {
  const log = logOf(t, "one\ntwo\n");
  const following = await log.follow();
  await following.readAll();
  truncateSync(log.file, 0);
  log.append("a much longer line than what was there\nfour\n");
  assert.deepEqual(await following.readAll(), ["a much longer line than what was there", "four"]);
  assert.match(following.missed().join(), /emptied/);
});

test("a kept place that fits no file is forgotten: from the file's begin", async (t) => {
  const log = logOf(t, "one\ntwo\n");
  const first = await log.follow();
  await first.readAll();
  writeFileSync(log.file, "ONE\nTWO\nTHREE\n");
  const second = await log.follow(first.place());
  assert.equal(second.begins, "anew");
  assert.deepEqual(await second.readAll(), ["ONE", "TWO", "THREE"]);
});

test("a line that is too long is skipped, also over a restart in its midst", async (t) => {
  const log = logOf(t, `one\n${"x".repeat(LINE_BYTES_MAX + 10)}`);
  const first = await log.follow();
  assert.deepEqual(await first.readAll(), ["one"]);
  assert.equal(first.place().skips_line, true);
  log.append(`${"y".repeat(200_000)}\ntwo\n`);
  const second = await log.follow(first.place());
  assert.deepEqual(await second.readAll(), ["two"]);
  assert.deepEqual(await first.readAll(), ["two"]);
});

test("a log that is yet to be made is read from its begin", async (t) => {
  const log = logOf(t, undefined);
  const following = await log.follow();
  assert.deepEqual(await following.readAll(), []);
  log.append("one\n");
  assert.deepEqual(await following.readAll(), ["one"]);
});

test("a large log that is met for the first time is read from its end", async (t) => {
  const line = `${"z".repeat(1023)}\n`;
  const log = logOf(t, line.repeat(17 * 1024));
  const following = await log.follow();
  assert.deepEqual(await following.readAll(), []);
  assert.ok(following.history.length > 16_000 && following.history.length < 17 * 1024);
  log.append("one\n");
  assert.deepEqual(await following.readAll(), ["one"]);
});

const ROTATED_AT_S = 1_700_000_000;

function logOf(t: TestContext, content: string | undefined) {
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-log-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "maillog");
  if (content !== undefined) writeFileSync(file, content);
  let nowMs = 0;
  let rotations = 0;
  return {
    file,
    append: (text: string) => appendFileSync(file, text),
    appendTo: (suffix: string, text: string) => appendFileSync(`${file}.${suffix}`, text),
    rotate(suffix: string) {
      renameSync(file, `${file}.${suffix}`);
      // Rotations are hours apart.
      rotations += 1;
      utimesSync(`${file}.${suffix}`, ROTATED_AT_S + rotations, ROTATED_AT_S + rotations);
    },
    pass: (ms: number) => void (nowMs += ms),
    async follow(kept?: LogPlace) {
      const history: string[] = [];
      const clock = { monotonicMs: () => nowMs };
      const { follower, begins } = await startFollowing(file, kept, clock, (line) => void history.push(line));
      t.after(() => follower.close());
      let place = kept;
      const missed: string[] = [];
      return {
        begins,
        history,
        missed: () => missed,
        close: () => follower.close(),
        place: (): LogPlace => place!,
        async readAll(): Promise<readonly string[]> {
          const lines: string[] = [];
          let quiet = 0;
          while (quiet < 2) {
            const step = await follower.step();
            if (step === undefined) return lines;
            const isSame = step.place.offset === place?.offset && step.place.inode === place.inode;
            quiet = isSame && step.missed === undefined ? quiet + 1 : 0;
            lines.push(...step.lines);
            if (step.missed !== undefined) missed.push(step.missed);
            place = step.place;
          }
          return lines;
        },
      };
    },
  };
}
