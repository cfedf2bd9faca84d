// What this machine last saw of the database, in `guard.json` of the data directory and in this process. The file is
// replaced by a rename and never synced: it must outlive processes, and after the machine's death it may be old, torn or
// gone, which never alarms. Nobody else's harm either: it only ever says less than it could.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { isSameDatabase, wasConfirmedSince, type Identity, type Memory, type Sight } from "./judge-guard.ts";

export interface GuardMemory {
  /** The file, or what this process knows if that is more. Undefined: nothing. */
  read(): Memory | undefined;
  /** What this process itself saw. */
  readonly own: Memory | undefined;
  /** Of a database that was judged: what was known before counts no longer. */
  keep(memory: Memory): void;
  /** Seen, and not written: what a session shows that sends nothing. */
  sawTimeline(seen: Identity): void;
}

const FILE = "guard.json";
const VERSION = 1;

export function openGuardMemory(dataDir: string): GuardMemory {
  const file = path.join(dataDir, FILE);
  let own: Memory | undefined;
  return {
    get own() {
      return own;
    },
    read() {
      const written = readMemory(file);
      if (own === undefined || written === undefined) return own ?? written;
      if (!isSameDatabase(own, written) || wasConfirmedSince(written, own)) return own;
      // Somebody has confirmed what is there, in another process on this data directory.
      if (wasConfirmedSince(own, written)) return written;
      return { ...(own.n > written.n ? own : written), timeline: later(own.timeline, written.timeline) };
    },
    keep(memory) {
      own = memory;
      writeMemory(file, memory);
    },
    sawTimeline(seen) {
      if (own !== undefined && isSameDatabase(own, seen))
        own = { ...own, timeline: later(own.timeline, seen.timeline) };
      else own = { ...seen, n: 0, beat_at_ms: null };
    },
  };
}

/** What is worth remembering of a sight, once its heartbeat is committed. */
export function memoryOf({ seen, n, beat_at_ms }: Sight): Memory {
  return { ...seen, n, beat_at_ms };
}

/** Leftovers of processes that were killed while they wrote. */
export function sweepGuardFiles(dataDir: string, isAlive: (pid: number) => boolean): void {
  for (const name of listOrNone(dataDir)) {
    const pid = /^guard\.json\.(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(path.join(dataDir, name), { force: true });
  }
}

function later(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other);
}

function readMemory(file: string): Memory | undefined {
  try {
    const found = JSON.parse(readFileSync(file, "utf8")) as Partial<Memory & { readonly version: number }> | null;
    const { version, system_id = null, database_id = null, timeline = null, n, beat_at_ms = null } = found ?? {};
    if (version !== VERSION || typeof n !== "number" || typeof database_id !== "number") return undefined;
    return { system_id, database_id, timeline, n, beat_at_ms };
  } catch {
    return undefined;
  }
}

/** A folder that cannot be written to leaves this machine with what its processes know. */
function writeMemory(file: string, memory: Memory): void {
  const fresh = `${file}.${process.pid}`;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(fresh, `${JSON.stringify({ version: VERSION, ...memory })}\n`, { mode: 0o600 });
    renameSync(fresh, file);
  } catch {
    rmSync(fresh, { force: true });
  }
}

function listOrNone(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
