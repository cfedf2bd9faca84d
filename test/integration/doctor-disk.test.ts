// `postlane doctor disk` on real disks: it ends in time, says what it found, and leaves nothing behind.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { runCommand } from "./cli-command.ts";

interface Answer {
  readonly disks: readonly {
    readonly path: string;
    readonly file_system: string | null;
    readonly single: { readonly per_s: number; readonly p50_ms: number; readonly fsyncs: number } | null;
    readonly parallel: { readonly per_s: number; readonly writers: number } | null;
    readonly verdict: string;
    readonly findings: readonly string[];
  }[];
}

/** What a disk may write: one writer's and eight writers' limit. */
const FSYNCS_MAX = 2000;

test("the disk of the data directory is measured, within 10 s and without a file left behind", async (t) => {
  const dataDir = folderOf(t, tmpdir());
  const beganAtMs = performance.now();
  // A disk of the machine that runs this may be what it likes: only that it is judged is known.
  const { stdout } = await runCommand({ dataDir }, ["doctor", "disk", "--json"]);
  const tookMs = performance.now() - beganAtMs;
  const { disks } = JSON.parse(stdout) as Answer;
  assert.equal(disks.length, 1);
  const [disk] = disks;
  assert.equal(disk?.path, dataDir);
  assert.ok(disk.single !== null && disk.single.per_s > 0 && disk.single.fsyncs <= FSYNCS_MAX, stdout);
  assert.ok(disk.findings.length > 0);
  assert.ok(tookMs < 10_000, `${tookMs} ms`);
  for (const folder of [dataDir, tmpdir(), "/var/tmp"]) assert.deepEqual(leftIn(folder), []);
});

test("memory is told from a disk, and the exit code says that it is not to be trusted", async (t) => {
  if (!existsSync("/dev/shm")) return t.skip("needs a tmpfs at /dev/shm");
  const folder = folderOf(t, "/dev/shm");
  const { exitCode, stdout } = await runCommand({ dataDir: folderOf(t, tmpdir()) }, ["doctor", "disk", folder]);
  assert.equal(exitCode, 1);
  assert.match(stdout, /tmpfs: memory, not a disk/);
});

test("a folder that is not there is refused with what to do", async (t) => {
  const { exitCode, stderr } = await runCommand({ dataDir: folderOf(t, tmpdir()) }, ["doctor", "disk", "/no/such"]);
  assert.equal(exitCode, 1);
  assert.match(stderr, /no folder \/no\/such\. Name one/);
});

function folderOf(t: TestContext, above: string): string {
  const folder = mkdtempSync(path.join(above, "postlane-doctor-test-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function leftIn(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith(".postlane-doctor-")) : [];
}
