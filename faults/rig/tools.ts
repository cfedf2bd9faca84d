// What a fault needs of the machine: programs of Debian's packages, and rights. A fault that lacks a program is skipped
// loudly, and fails where POSTLANE_TEST_REQUIRE_ALL=1 says that everything is there (the continuous integration). A right
// is the machine's to give: many containers give none to mount or to make a network, so the lack of one is only a skip.

import { spawnSync } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const PROGRAMS = {
  "postgresql-15": { debianPackage: "postgresql-15", paths: ["/usr/lib/postgresql/15/bin/postgres"] },
  strace: { debianPackage: "strace", paths: ["/usr/bin/strace"] },
  nbdkit: { debianPackage: "nbdkit", paths: ["/usr/bin/nbdkit", "/usr/sbin/nbdkit"] },
  nbdfuse: { debianPackage: "libnbd-bin fuse3", paths: ["/usr/bin/nbdfuse"] },
  mkfs: { debianPackage: "e2fsprogs", paths: ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"] },
  faketime: {
    debianPackage: "libfaketime",
    paths: ["x86_64", "aarch64"].map((cpu) => `/usr/lib/${cpu}-linux-gnu/faketime/libfaketime.so.1`),
  },
  ip: { debianPackage: "iproute2", paths: ["/usr/sbin/ip", "/sbin/ip"] },
  nft: { debianPackage: "nftables", paths: ["/usr/sbin/nft"] },
} as const;

const RIGHTS = {
  /** To mount a tmpfs. */
  "may-mount": () =>
    tried((folder) => [
      ["mount", "-t", "tmpfs", "tmpfs", folder],
      ["umount", folder],
    ]),
  /** To make a disk of a file. */
  "may-loop": () =>
    tried(() => [
      ["losetup", "--find"],
      ["test", "-w", "/dev/loop-control"],
      ["test", "-w", "/dev/fuse"],
    ]),
  /** To make a network of one's own. */
  "may-unshare": () => tried(() => [["unshare", "--net", "--mount", "true"]]),
} as const;

export type Tool = keyof typeof PROGRAMS | keyof typeof RIGHTS;

export interface Lack {
  readonly sentence: string;
  /** A program can be installed; a right cannot be had on every machine. */
  readonly isProgram: boolean;
}

/** The first of them that this machine does not have. */
export function lackOf(tools: readonly Tool[]): Lack | undefined {
  for (const tool of tools) {
    if (tool in RIGHTS) {
      if (!RIGHTS[tool as keyof typeof RIGHTS]())
        return { sentence: `no right on this machine: ${tool}`, isProgram: false };
      continue;
    }
    const { debianPackage, paths } = PROGRAMS[tool as keyof typeof PROGRAMS];
    if (paths.some(isThere)) continue;
    return { sentence: `needs Debian package ${debianPackage}: apt-get install ${debianPackage}`, isProgram: true };
  }
  return undefined;
}

/** Where a program lies that a fault needs. */
export function pathOf(tool: keyof typeof PROGRAMS): string {
  const { paths } = PROGRAMS[tool];
  return paths.find(isThere) ?? paths[0];
}

function isThere(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function tried(commandsFor: (folder: string) => readonly (readonly string[])[]): boolean {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-right-"));
  try {
    return commandsFor(folder).every(([program = "", ...args]) => spawnSync(program, args).status === 0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
