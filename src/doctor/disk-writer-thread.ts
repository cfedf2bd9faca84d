// A thread that writes one block over and over, each time forced to the disk, until its time is over: one of the writers
// by which a disk is measured. A thread, because fsync blocks; the measured calls are the plain ones, without the way
// through Node's pool, which has four threads and would make eight writers wait for each other.

import { closeSync, constants, fdatasyncSync, openSync, unlinkSync, writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../platform/clock.ts";

export interface WriterOrder {
  readonly file: string;
  readonly writeMs: number;
  readonly fsyncsMax: number;
}

export interface WriterReport {
  readonly latenciesMs: readonly number[];
  readonly tookMs: number;
}

/** As a page of PostgreSQL's log lies on disk, twice; and a block of nearly every file system. */
const BLOCK_BYTES = 4096;

parentPort?.postMessage(writeUntilOver(workerData as WriterOrder));

function writeUntilOver({ file, writeMs, fsyncsMax }: WriterOrder): WriterReport {
  const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    const block = Buffer.alloc(BLOCK_BYTES);
    const write = (count: number): void => {
      block.writeUInt32LE(count, 0);
      writeSync(descriptor, block, 0, BLOCK_BYTES, 0);
      fdatasyncSync(descriptor);
    };
    // The first one makes the file longer, which costs more than what is measured.
    write(0);
    const latenciesMs: number[] = [];
    const beganAtMs = systemClock.monotonicMs();
    let nowMs = beganAtMs;
    while (nowMs - beganAtMs < writeMs && latenciesMs.length < fsyncsMax) {
      const roundAtMs = nowMs;
      write(latenciesMs.length + 1);
      nowMs = systemClock.monotonicMs();
      latenciesMs.push(nowMs - roundAtMs);
    }
    return { latenciesMs, tookMs: nowMs - beganAtMs };
  } finally {
    closeSync(descriptor);
    unlinkSync(file);
  }
}
