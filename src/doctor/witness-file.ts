// The file of a witness: its token and the runs that it remembers, written aside, synced, renamed, and the folder synced.
// One write at a time; what changed meanwhile goes into the next, so that a thousand words a second cost few writes.

import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../platform/clock.ts";
import type { RememberedRun, WitnessBook } from "./witness-book.ts";

/** Between two writes: so much may be forgotten when the witness itself dies, and a judgement looks at less. */
const PAUSE_MS = 100;
const TOKEN_OCTETS = 16;

/** `token`: in place of the one in the file. Throws when the file is not one of ours. */
export function openWitnessBook(file: string, given: { readonly token?: string; readonly clock: Clock }): WitnessBook {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const before = readBook(file);
  const token = given.token ?? before?.token ?? randomBytes(TOKEN_OCTETS).toString("hex");
  const runs = new Map((before?.runs ?? []).map((run) => [run.place, run]));
  const keep = createKeeping(given.clock, () => writeSynced(file, JSON.stringify({ token, runs: [...runs.values()] })));
  return { token, clock: given.clock, runs, keep };
}

/** A file that was made by hand or by another program is refused, and not written over. */
function readBook(file: string): { readonly token: string; readonly runs: readonly RememberedRun[] } | undefined {
  const content = readOrNothing(file);
  if (content === undefined) return undefined;
  const { token, runs } = parsed(content) as { readonly token?: unknown; readonly runs?: unknown };
  if (typeof token !== "string" || !Array.isArray(runs)) throw new Error(`${file} is not the file of a witness`);
  return { token, runs: runs as readonly RememberedRun[] };
}

function readOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function parsed(content: string): object {
  try {
    const value: unknown = JSON.parse(content);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function createKeeping(clock: Clock, write: () => Promise<void>): () => Promise<void> {
  let waiting: Waiting[] = [];
  let isWriting = false;
  const writeAll = async (): Promise<void> => {
    isWriting = true;
    while (waiting.length > 0) {
      const served = waiting;
      waiting = [];
      await write().then(
        () => served.forEach(({ resolve }) => resolve()),
        (error: unknown) => served.forEach(({ reject }) => reject(error)),
      );
      await new Promise<void>((resolve) => void clock.after(PAUSE_MS, resolve));
    }
    isWriting = false;
  };
  return () =>
    new Promise((resolve, reject) => {
      waiting.push({ resolve, reject });
      if (!isWriting) void writeAll();
    });
}

async function writeSynced(file: string, content: string): Promise<void> {
  const aside = `${file}.new`;
  const handle = await open(aside, "w", 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(aside, file);
  const folder = await open(path.dirname(file), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
