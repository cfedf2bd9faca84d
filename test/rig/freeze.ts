// A server that stands still: SIGSTOP for PostgreSQL's parent and all its children, as a disk that hangs, or a virtual
// machine that is paused, looks to its clients. Thawed at the end of the test at the latest.

import { readFileSync, readdirSync } from "node:fs";
import type { Pool } from "pg";
import type { Scope } from "./scope.ts";

export interface Freezer {
  freeze(): void;
  thaw(): void;
}

export async function freezerOf(t: Scope, pool: Pool): Promise<Freezer> {
  const { rows } = await pool.query<{ readonly pid: number }>("SELECT pg_backend_pid() AS pid");
  const postmaster = parentOf(rows[0]!.pid)!;
  let frozen: readonly number[] = [];
  const thaw = (): void => {
    for (const pid of frozen) signal(pid, "SIGCONT");
    frozen = [];
  };
  t.after(thaw);
  return {
    freeze() {
      // The parent first, so that no new child escapes.
      signal(postmaster, "SIGSTOP");
      frozen = [postmaster, ...childrenOf(postmaster)];
      for (const pid of frozen) signal(pid, "SIGSTOP");
    },
    thaw,
  };
}

function childrenOf(parent: number): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => parentOf(pid) === parent);
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}
