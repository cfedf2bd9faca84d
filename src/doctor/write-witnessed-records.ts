// Writes records onto a disk as a database and a mailer do, and says of each number when the disk has called it durable:
// several writers in groups, with fdatasync; appending; renaming. It goes on until it is told to stop or the disk fails, at
// a pace that does not wear out flash. What it says is true at the moment that it says it, so a witness may hold the disk to it.

import { open, rename, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../platform/clock.ts";
import { fileBytesOf, fileRemovedFor, makeRecord, NONE, placeOf, type Counts, type Stream } from "./witness-record.ts";
import { syncFolder } from "./witnessed-folder.ts";

export interface WitnessedWriting {
  /** An empty folder. */
  readonly folder: string;
  readonly run: string;
  readonly clock: Clock;
  /** Called after each fdatasync or fsync that returned. */
  readonly durable: (counts: Counts) => void;
  readonly isOver: () => boolean;
}

/** As many as PostgreSQL's sessions on a small machine. */
const LOG_WRITERS = 8;
/** Between two records of one writer: all of them make 1,250 records a second at most, 1.3 MB. */
const PAUSE_MS = 8;

export async function writeWitnessedRecords(writing: WitnessedWriting): Promise<Counts> {
  let counts = NONE;
  const note = (stream: Stream, number: number): void => {
    counts = { ...counts, [stream]: number };
    writing.durable(counts);
  };
  const log = createFile(writing, "log");
  const grown = createFile(writing, "grown");
  const ends = await Promise.allSettled([
    writeInGroups(writing, log, (number) => note("log", number)),
    keepWriting(writing, async (number) => {
      await grown.write([number]);
      note("grown", number);
    }),
    keepWriting(writing, async (number) => {
      await writeAsideAndRename(writing, number);
      note("renamed", number);
    }),
  ]);
  await log.close();
  await grown.close();
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  return counts;
}

async function keepWriting(
  { isOver, clock }: WitnessedWriting,
  once: (number: number) => Promise<void>,
): Promise<void> {
  for (let number = 1; !isOver(); number++) {
    await once(number);
    await new Promise<void>((resolve) => void clock.after(PAUSE_MS, resolve));
  }
}

/** One group is under way at a time; who comes meanwhile goes into the next. */
async function writeInGroups(
  writing: WitnessedWriting,
  file: RecordFile,
  durable: (number: number) => void,
): Promise<void> {
  let last = 0;
  let waiting: number[] = [];
  let turn = Promise.resolve();
  const flush = async (): Promise<void> => {
    const group = waiting;
    waiting = [];
    if (group.length === 0) return;
    await file.write(group);
    durable(group.at(-1)!);
  };
  const writer = async (): Promise<void> => {
    await keepWriting(writing, async () => {
      waiting.push(++last);
      turn = turn.then(flush);
      await turn;
    });
  };
  await Promise.all(Array.from({ length: LOG_WRITERS }, writer));
}

interface RecordFile {
  /** Numbers that follow each other; resolves when they are durable. */
  write(numbers: readonly number[]): Promise<void>;
  close(): Promise<void>;
}

function createFile({ folder, run }: WitnessedWriting, stream: "log" | "grown"): RecordFile {
  let current: { readonly name: string; readonly handle: FileHandle } | undefined;
  const fileFor = async (number: number): Promise<FileHandle> => {
    const { file: name } = placeOf(stream, number);
    if (current?.name === name) return current.handle;
    await current?.handle.close();
    current = undefined;
    const handle = await beginFile(folder, name, stream);
    current = { name, handle };
    const old = fileRemovedFor(stream, number);
    if (old !== undefined) await rm(path.join(folder, old), { force: true });
    return handle;
  };
  const writeInto = async (numbers: readonly number[]): Promise<void> => {
    const handle = await fileFor(numbers[0]!);
    const records = Buffer.concat(numbers.map((number) => makeRecord(run, number)));
    await writeWhole(handle, records, placeOf(stream, numbers[0]!).offset);
    await handle.datasync();
  };
  return {
    async write(numbers) {
      const first = placeOf(stream, numbers[0]!).file;
      const nextFileAt = numbers.findIndex((number) => placeOf(stream, number).file !== first);
      if (nextFileAt === -1) return await writeInto(numbers);
      await writeInto(numbers.slice(0, nextFileAt));
      await writeInto(numbers.slice(nextFileAt));
    },
    close: async () => await current?.handle.close(),
  };
}

/** A log has its size before its first record, so that fdatasync has nothing but content to write. */
async function beginFile(folder: string, name: string, stream: "log" | "grown"): Promise<FileHandle> {
  const handle = await open(path.join(folder, name), "wx", 0o600);
  if (stream === "log") {
    await writeWhole(handle, Buffer.alloc(fileBytesOf(stream)), 0);
    await handle.sync();
  }
  await syncFolder(folder);
  return handle;
}

async function writeAsideAndRename({ folder, run }: WitnessedWriting, number: number): Promise<void> {
  const target = path.join(folder, placeOf("renamed", number).file);
  const aside = path.join(folder, "aside");
  const handle = await open(aside, "w", 0o600);
  try {
    await writeWhole(handle, makeRecord(run, number), 0);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(aside, target);
  await syncFolder(folder);
}

/** A write may take less than it was given. */
async function writeWhole(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += (await handle.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
  }
}
