// Where the front of this machine can be asked: a small file in the data directory, `run/front.json`, there while it
// listens. A command finds the front by it also while the database stands still. Written without fsync: after a crash of
// the machine it names a process that is gone, which is looked for before it is believed.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { processStartOf } from "../../platform/process-identity.ts";

export interface FrontFile {
  readonly pid: number;
  readonly process_start: string;
  /** `127.0.0.1:2580`. */
  readonly http: string;
}

export function announceFront(dataDir: string, http: string): void {
  const file = pathOf(dataDir);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const front: FrontFile = { pid: process.pid, process_start: processStartOf(process.pid) ?? "unknown", http };
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(front)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}

/** Only what this process wrote: another front may have come since. */
export function forgetFront(dataDir: string): void {
  if (readFront(dataDir)?.pid === process.pid) rmSync(pathOf(dataDir), { force: true });
}

/** Undefined: no front of this machine and data directory listens. */
export function findFront(dataDir: string): FrontFile | undefined {
  const front = readFront(dataDir);
  return front !== undefined && processStartOf(front.pid) === front.process_start ? front : undefined;
}

function readFront(dataDir: string): FrontFile | undefined {
  try {
    const front = JSON.parse(readFileSync(pathOf(dataDir), "utf8")) as Partial<Record<keyof FrontFile, unknown>>;
    const { pid, process_start, http } = front;
    if (typeof pid !== "number" || typeof process_start !== "string" || typeof http !== "string") return undefined;
    return { pid, process_start, http };
  } catch {
    return undefined;
  }
}

function pathOf(dataDir: string): string {
  return path.join(dataDir, "run", "front.json");
}
