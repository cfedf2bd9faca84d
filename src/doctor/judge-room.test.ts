import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeRoom, type DiskUse, type RoomFigures } from "./judge-room.ts";

const GB = 1e9;
const roomy: RoomFigures = { freeBytes: 50 * GB, totalBytes: 100 * GB, freeInodes: 1_000_000 };

const rows: readonly (readonly [
  what: string,
  figures: Partial<RoomFigures>,
  uses: readonly DiskUse[],
  isShort: boolean,
  finding: RegExp,
])[] = [
  ["much room", {}, ["data", "database", "spool"], false, /^$/],
  ["the database below min_free_disk", { freeBytes: 0.9 * GB }, ["database"], true, /900 MB free.*min_free_disk/s],
  ["the database below twice of it", { freeBytes: 1.9 * GB }, ["database"], false, /^Bulk mail is refused.*2 GB/],
  ["a spool below 2 % of a large disk", { freeBytes: 1.9 * GB }, ["spool"], true, /2 GB are the least.*relay/s],
  ["a spool below 128 MiB of a small one", { freeBytes: 0.1 * GB, totalBytes: GB }, ["spool"], true, /134 MB/],
  ["a journal has enough with less", { freeBytes: 0.2 * GB }, ["data"], false, /^$/],
  ["a journal without room", { freeBytes: 1000 }, ["data"], true, /less than 1 MB free.*journal/s],
  ["no inodes", { freeInodes: 9_999 }, ["spool"], true, /inodes: 9999 free.*relay/s],
  ["a file system that counts none", { freeInodes: null }, ["named"], false, /^$/],
];

for (const [what, figures, uses, isShort, finding] of rows) {
  test(`${what}: ${isShort ? "short" : "enough"}`, () => {
    const room = judgeRoom({ ...roomy, ...figures }, uses, GB);
    assert.equal(room.isShort, isShort);
    assert.match(room.findings.join("\n"), finding);
  });
}
