// The disk whose power can be cut, tried itself: what was synced is there afterwards, what was not is gone, and of a disk that
// lies nothing stays.

import assert from "node:assert/strict";
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import { it, type TestContext } from "node:test";
import { CUT_TOOLS, makeCutVolume } from "../../faults/rig/cut-volume.ts";
import { lackOf } from "../../faults/rig/tools.ts";

function lacks(t: TestContext): boolean {
  const lack = lackOf(CUT_TOOLS);
  if (lack === undefined) return false;
  if (lack.isProgram && process.env["POSTLANE_TEST_REQUIRE_ALL"] === "1") throw new Error(lack.sentence);
  process.stderr.write(`SKIPPED: ${lack.sentence} (${t.name})\n`);
  t.skip(lack.sentence);
  return true;
}

function writeSynced(file: string, text: string): void {
  const descriptor = openSync(file, "w");
  writeSync(descriptor, text);
  fsyncSync(descriptor);
  closeSync(descriptor);
}

for (const isLying of [false, true]) {
  it(`a power cut of ${isLying ? "a disk that lies takes what was synced" : "an honest disk leaves what was synced"}`, async (t) => {
    if (lacks(t)) return;
    const volume = await makeCutVolume(t, { megabytes: 64, isLying });
    const fileOf = (name: string): string => path.join(volume.folder, name);
    for (let round = 1; round <= 2; round++) {
      writeSynced(fileOf(`synced-${round}`), "kept");
      writeFileSync(fileOf(`unsynced-${round}`), "gone");
      await volume.cut();
      assert.equal(existsSync(fileOf(`synced-${round}`)), false, "the disk is away");
      await volume.restore();
      assert.equal(existsSync(fileOf(`synced-${round}`)), !isLying);
      if (!isLying) assert.equal(readFileSync(fileOf(`synced-${round}`), "utf8"), "kept");
      assert.equal(
        existsSync(fileOf(`unsynced-${round}`)) && readFileSync(fileOf(`unsynced-${round}`), "utf8") === "gone",
        false,
      );
    }
  });
}
