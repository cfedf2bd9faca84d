// A disk that can be full: a small tmpfs mounted on a folder of a test. Assumes root and the right to mount (`mayMount`).
// It is taken away when the scope ends, however it ends.

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdtempSync,
  openSync,
  rmSync,
  rmdirSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import type { Scope } from "./scope.ts";

export interface SmallDisk {
  /** Until not an octet more fits; again, what was given back meanwhile. `leaveBytes`: but for so much. */
  fill(leaveBytes?: number): void;
  empty(): void;
}

/** Says loudly what is not tried where it may not: in many containers nobody may mount, so that is no failure. */
export function mayMount(t: TestContext): boolean {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-mount-"));
  const lack = mount(folder, "64k");
  if (lack === undefined) unmount(folder);
  rmdirSync(folder);
  if (lack === undefined) return true;
  process.stderr.write(`SKIPPED: a full disk needs the right to mount a tmpfs: ${lack} (${t.name})\n`);
  return false;
}

/** Over an existing folder, with the same owner and mode. `size` as mount(8) has it. */
export function mountSmallDisk(scope: Scope, folder: string, size: string): SmallDisk {
  const { uid, gid, mode } = statSync(folder);
  const lack = mount(folder, size);
  if (lack !== undefined) throw new Error(`no tmpfs on ${folder}: ${lack}`);
  let isThere = true;
  const end = (): void => {
    isThere = false;
    unmount(folder);
  };
  process.once("exit", end);
  scope.after(() => {
    process.removeListener("exit", end);
    end();
  });
  chownSync(folder, uid, gid);
  chmodSync(folder, mode & 0o7777);
  const filling = path.join(folder, "filling");
  return {
    fill: (leaveBytes = 0) => {
      // The disk below is nobody's to fill.
      if (!isThere) throw new Error(`the small disk on ${folder} is away`);
      fillUp(filling);
      if (leaveBytes > 0) truncateSync(filling, Math.max(0, statSync(filling).size - leaveBytes));
    },
    empty: () => rmSync(filling),
  };
}

function mount(folder: string, size: string): string | undefined {
  const { status, stderr, error } = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder], {
    encoding: "utf8",
  });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}

/** At once, though a file of it may still be open. */
function unmount(folder: string): void {
  spawnSync("umount", ["--lazy", folder], { stdio: "ignore" });
}

function fillUp(file: string): void {
  const handle = openSync(file, "a");
  try {
    for (let octets = 2 ** 20; ;) {
      try {
        writeSync(handle, Buffer.alloc(octets));
      } catch (error) {
        if (octets === 1) throw error;
        octets = octets > 4096 ? 4096 : 1;
      }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(handle);
  }
}
