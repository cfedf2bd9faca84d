// A server that stands still: SIGSTOP for PostgreSQL's parent and all its children, as a disk that hangs, or a virtual
// machine that is paused, looks to its clients. It is thawed when `work` ends, however it ends: the rig's own hooks could
// not close a database of a server that stands still.

import { readFileSync, readdirSync } from "node:fs";
import type { Pool } from "pg";

export async function whileFrozen(pool: Pool, work: () => Promise<void>): Promise<void> {
  const { rows } = await pool.query<{ readonly pid: number }>("SELECT pg_backend_pid() AS pid");
  const thaw = freezeServer(parentOf(rows[0]!.pid)!);
  try {
    await work();
  } finally {
    thaw();
  }
}

/** Answers what thaws it, which may be called again. */
export function freezeServer(postmasterPid: number): () => void {
  // The parent first, so that no new child escapes.
  signal(postmasterPid, "SIGSTOP");
  const frozen = [postmasterPid, ...childrenOf(postmasterPid)];
  for (const pid of frozen) signal(pid, "SIGSTOP");
  return () => {
    for (const pid of frozen.splice(0)) signal(pid, "SIGCONT");
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
