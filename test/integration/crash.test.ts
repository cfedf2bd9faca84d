// A small crash run: real processes under load, killed three times; nothing may be lost, doubled or left behind.

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { runCrash, TARGETS, type Target } from "../../faults/rig/kill-at-random.ts";
import { processesOf } from "../../bench/running-processes.ts";

const never = new Promise<never>(() => {});

describe("a crash run", { timeout: 240_000 }, () => {
  const mixes: Readonly<Record<string, readonly Target[]>> = {
    "kills dispatchers and supervisor": ["bulk-dispatcher", "transactional-dispatcher", "supervisor", "front", "agent"],
    "kills the database and cuts connections": ["postmaster", "backend", "connections"],
  };
  for (const [name, targets] of Object.entries(mixes)) {
    it(`${name}, and finds nothing lost and nothing doubled`, async (t) => {
      const inFolder = mkdtempSync(path.join(os.tmpdir(), "postlane-crash-test-"));
      chmodSync(inFolder, 0o711);
      t.after(() => rmSync(inFolder, { recursive: true, force: true }));
      const said: string[] = [];
      const say = (line: string): void => void said.push(line);
      const { verdict, recoveries, brokenOff } = await runCrash({
        kills: 3,
        seed: 7,
        targets,
        say,
        interrupted: never,
        inFolder,
      });
      assert.equal(brokenOff, undefined);
      assert.deepEqual(verdict.complaints, [], said.join("\n"));
      assert.equal(verdict.isClean, true, said.join("\n"));
      assert.ok(verdict.accepted > 500, `${verdict.accepted} messages are too few to prove anything`);
      assert.equal(recoveries.length, 3);
      assert.deepEqual(readdirSync(inFolder), []);
      assert.deepEqual(processesOf(inFolder), []);
    });
  }

  it("knows all its targets", () => {
    assert.deepEqual(new Set(Object.values(mixes).flat()), new Set(TARGETS));
  });
});
