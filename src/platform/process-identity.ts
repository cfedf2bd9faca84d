// Which boot of the kernel this is, and which process a pid names: what a journal needs to be believed.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** Changes with every boot. macOS has no boot id; its boot time says the same. */
export function readBootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return execFileSync("sysctl", ["-n", "kern.boottime"], { encoding: "latin1" }).replace(/[^0-9]+/g, "-");
  }
}

/** When the process started, in the kernel's own units; undefined when there is no such process. */
export function processStartOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The command's name stands in parentheses and may hold anything; the 22nd field comes after it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return isAliveByName(pid) ? "unknown" : undefined;
  }
}

function isAliveByName(pid: number): boolean {
  if (process.platform === "linux") return false;
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
