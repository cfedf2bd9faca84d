// What a disk is tried with: numbered records, each with the run that it belongs to and a checksum over all of it, so that
// one that is half there, or a leftover of another run, is told from one that was written. And where each number lies:
// three streams, each the way in which a database or a mailer leans on a disk. Pure.
//   log       a file that has its size already, written by several in groups (PostgreSQL's write-ahead log)
//   grown     a file that grows with each record (a log or a mailbox that is appended to)
//   renamed   a file that is written aside, renamed, and its folder synced (a mailer's queue file)

import { crc32 } from "node:zlib";

export const STREAMS = ["log", "grown", "renamed"] as const;
export type Stream = (typeof STREAMS)[number];

/** By stream: the last number that the disk has called durable. Numbers begin with 1; 0: none yet. */
export type Counts = Readonly<Record<Stream, number>>;
export const NONE: Counts = { log: 0, grown: 0, renamed: 0 };

/** Two sectors of 512, so that one can be half there; and about a short mail. */
export const RECORD_BYTES = 1024;
/** A run is named by so many octets, written as hexadecimal digits. */
export const RUN_OCTETS = 16;
/** Records of a file, and how many files are kept, the one that is written included: 17 MB and 5 MB at most. */
const RECORDS_PER_FILE = { log: 4096, grown: 1024 } as const;
const FILES_KEPT = 4;
/**
 * What the witness knows may be so old; then the writer stops. At 1,000 records a second into the log, that is less than two
 * files, so that none is removed of which the witness would ask.
 */
export const TOLD_LAG_MS_MAX = 5000;
/** Names that are taken again and again. */
const RENAMED_NAMES = 64;

const MAGIC = 0x504c_5752; // "PLWR"
const RUN_AT = 4;
const NUMBER_AT = RUN_AT + RUN_OCTETS;
const CHECKSUM_AT = RECORD_BYTES - 4;

export function makeRecord(run: string, number: number): Buffer {
  // The body differs from record to record: a page of an older one in its place must not look the same.
  const record = Buffer.alloc(RECORD_BYTES, `${run} ${number} `);
  record.writeUInt32BE(MAGIC, 0);
  record.write(run, RUN_AT, "hex");
  record.writeBigUInt64BE(BigInt(number), NUMBER_AT);
  record.writeUInt32BE(crc32(record.subarray(0, CHECKSUM_AT)), CHECKSUM_AT);
  return record;
}

/** `torn`: something is there, and it is not whole. */
export type RecordState = { readonly kind: "whole"; readonly number: number } | { readonly kind: "torn" | "missing" };

/** `bytes`: what the file has at its place; nothing but zeros, or another run's record, is a record that is missing. */
export function readRecord(run: string, bytes: Buffer): RecordState {
  if (bytes.every((byte) => byte === 0)) return { kind: "missing" };
  if (bytes.length < RECORD_BYTES) return { kind: "torn" };
  const isWhole =
    bytes.readUInt32BE(0) === MAGIC && bytes.readUInt32BE(CHECKSUM_AT) === crc32(bytes.subarray(0, CHECKSUM_AT));
  if (!isWhole) return { kind: "torn" };
  if (bytes.toString("hex", RUN_AT, NUMBER_AT) !== run) return { kind: "missing" };
  return { kind: "whole", number: Number(bytes.readBigUInt64BE(NUMBER_AT)) };
}

export interface RecordPlace {
  readonly file: string;
  readonly offset: number;
}

export function placeOf(stream: Stream, number: number): RecordPlace {
  if (stream === "renamed") return { file: `renamed-${number % RENAMED_NAMES}`, offset: 0 };
  const perFile = RECORDS_PER_FILE[stream];
  const file = Math.floor((number - 1) / perFile);
  return { file: `${stream}-${file}`, offset: ((number - 1) % perFile) * RECORD_BYTES };
}

/** The bytes that a file of the stream has when it is full. */
export function fileBytesOf(stream: "log" | "grown"): number {
  return RECORDS_PER_FILE[stream] * RECORD_BYTES;
}

/** Which file is removed when the one of this number is begun. */
export function fileRemovedFor(stream: "log" | "grown", number: number): string | undefined {
  const file = Math.floor((number - 1) / RECORDS_PER_FILE[stream]);
  return file < FILES_KEPT ? undefined : `${stream}-${file - FILES_KEPT}`;
}

/** The first number that must still be there when `last` is the last that is known of. More may have been written since. */
export function firstKept(stream: Stream, last: number): number {
  if (stream === "renamed") return Math.max(1, last - RENAMED_NAMES + 1);
  const perFile = RECORDS_PER_FILE[stream];
  // Two files after that of `last` may have been begun already (TOLD_LAG_MS_MAX), and have cost the two oldest.
  const oldest = Math.floor((last - 1) / perFile) - (FILES_KEPT - 3);
  return Math.max(0, oldest) * perFile + 1;
}
