// `postlane doctor disk` on real disks: it ends in time, says what it found, and leaves nothing behind.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { startWitness } from "../../faults/rig/witness.ts";
import { mayMount, mountSmallDisk } from "../rig/small-disk.ts";
import { runCommand } from "./cli-command.ts";

interface Answer {
  readonly disks: readonly {
    readonly path: string;
    readonly file_system: string | null;
    readonly single: { readonly per_s: number; readonly p50_ms: number; readonly fsyncs: number } | null;
    readonly parallel: { readonly per_s: number; readonly writers: number } | null;
    readonly verdict: string;
    readonly room: {
      readonly free_bytes: number;
      readonly free_bytes_min: number;
      readonly total_bytes: number;
      readonly free_inodes: number | null;
      readonly is_short: boolean;
    };
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
  assert.ok(disk.room.free_bytes > 0 && disk.room.free_bytes <= disk.room.total_bytes, stdout);
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

test("room is said, and too little of it is told with what happens, by a disk's measure and by a trial", async (t) => {
  if (!mayMount(t)) return t.skip("no right to mount");
  const dataDir = folderOf(t, tmpdir());
  const folder = mkdtempSync(path.join(tmpdir(), "postlane-doctor-small-"));
  mountSmallDisk(t, folder, "32m");
  t.after(() => rmSync(folder, { recursive: true }));
  const { exitCode, stdout } = await runCommand({ dataDir }, ["doctor", "disk", folder, "--json"]);
  const { room, findings } = (JSON.parse(stdout) as Answer).disks[0]!;
  assert.equal(exitCode, 1);
  assert.equal(room.total_bytes, 32 * 1024 ** 2);
  assert.ok(room.is_short && room.free_bytes <= room.total_bytes && room.free_bytes_min > room.total_bytes, stdout);
  assert.match(findings.join("\n"), /Short of room: 33 MB free, and 134 MB are the least/);

  const witness = await startWitness(t);
  const args = ["doctor", "disk", folder, "--witness", witness.address, "--token", witness.token];
  const refused = await runCommand({ dataDir }, args);
  assert.equal(refused.exitCode, 1);
  assert.match(refused.stderr, /too little room .* 64 MB/);
  assert.deepEqual(readdirSync(folder), []);
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
