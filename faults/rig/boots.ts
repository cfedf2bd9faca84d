// Boots of a machine that is none: each start of `postlane up` in a mount namespace of its own, in which another file lies
// over the kernel's boot id. What the program reads is what it would read after a real boot. Assumes root, and the rights
// `BOOT_TOOLS`; the namespace is gone with the last process in it.

import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Launcher } from "../../bench/installation.ts";
import type { Scope } from "../../test/rig/scope.ts";
import type { Tool } from "./tools.ts";

export const BOOT_TOOLS: readonly Tool[] = ["may-unshare", "may-mount"];

/** Every start is on another boot than the one before. */
export function bootAnew(scope: Scope): Launcher {
  const folder = mkdtempSync(path.join(os.tmpdir(), "postlane-boots-"));
  scope.after(() => rmSync(folder, { recursive: true, force: true }));
  let boots = 0;
  const next = (): readonly string[] => {
    const file = path.join(folder, `boot-${++boots}`);
    writeFileSync(file, `${randomUUID()}\n`);
    return inBoot(file);
  };
  tryOut(next());
  return next;
}

const inBoot = (file: string): readonly string[] => [
  "unshare",
  "--mount",
  "sh",
  "-c",
  'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"',
  file,
];

/** A boot that is none would prove nothing. */
function tryOut([program = "", ...args]: readonly string[]): void {
  const file = args.at(-1)!;
  const { status, stderr } = spawnSync(program, [...args, "cmp", file, "/proc/sys/kernel/random/boot_id"], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`no other boot id can be shown to a process here: ${stderr}`);
}
