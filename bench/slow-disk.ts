// Makes a mechanical disk for PostgreSQL and Postfix out of whatever this machine has: compiles preload/slow-fsync.c
// with `cc` and gives the environment that loads it. Processes of any user share one lock, so all files here are open
// to all. The caller passes the environment on; nothing is slowed by itself.

import { execFile } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import type { Scope } from "../test/rig/scope.ts";

/** About one turn of a disk at 7,200 turns a minute. */
const FSYNC_MS = 8;
const compileMsMax = 60_000;
const run = promisify(execFile);

export interface SlowDisk {
  readonly fsyncMs: number;
  /** For the environment of every process that shall feel the disk. */
  readonly env: Readonly<Record<string, string>>;
  /** From the next fsync on it takes so long, for all who feel the disk. */
  become(fsyncMs: number): void;
}

export async function makeSlowDisk(
  scope: Scope,
  fsyncMs: number = FSYNC_MS,
): Promise<SlowDisk | { readonly missing: "cc" }> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-slow-disk-"));
  scope.after(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o755);
  const library = path.join(folder, "slow-fsync.so");
  if (!(await compile(library))) return { missing: "cc" };
  const lock = makeLock(folder);
  return {
    fsyncMs,
    become: (ms) => writeFileSync(lock, String(ms)),
    env: {
      LD_PRELOAD: library,
      POSTLANE_TEST_SLOW_FSYNC_MS: String(fsyncMs),
      POSTLANE_TEST_SLOW_FSYNC_LOCK: lock,
    },
  };
}

/** False when there is no compiler; a compiler that complains is an error. */
async function compile(library: string): Promise<boolean> {
  const source = path.join(import.meta.dirname, "preload", "slow-fsync.c");
  const args = ["-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"];
  try {
    await run("cc", args, { timeout: compileMsMax });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
  chmodSync(library, 0o755);
  return true;
}

function makeLock(folder: string): string {
  const lock = path.join(folder, "disk.lock");
  writeFileSync(lock, "");
  // The mode given at creation is cut by the umask.
  chmodSync(lock, 0o666);
  return lock;
}
