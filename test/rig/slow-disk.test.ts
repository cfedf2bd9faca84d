// The slow disk of the benchmarks: each fsync waits, one after another, for programs of any user.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { it } from "node:test";
import { promisify } from "node:util";

import { makeSlowDisk } from "../../bench/slow-disk.ts";
import { needs } from "./needs.ts";

const run = promisify(execFile);
const fsyncMs = 150;

it("fsyncs of several programs wait one after another, also after one was killed in its turn", async (t) => {
  if (process.platform !== "linux") return t.skip("preloading is done as Linux does it");
  if (!needs(t, "cc")) return;
  const disk = await makeSlowDisk(t, fsyncMs);
  assert.ok(!("missing" in disk));
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-slow-disk-test-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const write = (name: string, how: string) =>
    run("dd", ["if=/dev/zero", `of=${path.join(folder, name)}`, "bs=1", "count=1", `conv=${how}`], {
      env: { ...process.env, ...disk.env },
    });

  const killed = write("killed", "fsync");
  await untilHoldsLock(killed.child.pid!);
  killed.child.kill("SIGKILL");
  await assert.rejects(killed);

  const startedAt = performance.now();
  await Promise.all([write("a", "fsync"), write("b", "fdatasync"), write("c", "fsync")]);
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs >= 3 * fsyncMs, `three fsyncs took ${tookMs} ms`);
});

/** The kernel lists who holds a lock; there is no event for it. */
async function untilHoldsLock(pid: number): Promise<void> {
  const held = new RegExp(`^\\d+: FLOCK .* ${pid} `, "m");
  while (!held.test(readFileSync("/proc/locks", "utf8"))) await new Promise((resolve) => setTimeout(resolve, 1));
}
