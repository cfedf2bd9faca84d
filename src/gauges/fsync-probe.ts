// How long an fsync takes on a disk: one block is written over and over, once a second, and forced to the disk by
// fdatasync. It never waits for a disk that stands still: while there is no answer, the time since the probe began is
// the latency. One probe is under way at a time, so a frozen disk holds one thread and one block.

import type { Clock, Timer } from "../platform/clock.ts";
import { createHourMedian } from "../platform/hour-median.ts";

export interface FsyncReading {
  readonly fsyncMs?: number;
  /** The median of the last hour. */
  readonly usualMs?: number;
  readonly problem?: string;
}

/** A file on the disk that is asked. */
export interface ProbeFile {
  /** Writes a block over the one that is there. */
  write(): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface FsyncProbe {
  read(): FsyncReading;
  stop(): Promise<void>;
}

const PROBE_MS = 1000;
/** A file that cannot be opened or written (the disk is full, say) is tried again, not often. */
const FAILED_MS = 10_000;
/** How long `stop` waits for a probe that is under way. */
const STOP_MS_MAX = 500;

export function startFsyncProbe(open: () => Promise<ProbeFile>, clock: Clock): FsyncProbe {
  const hour = createHourMedian();
  let file: ProbeFile | undefined;
  let beganAtMs: number | undefined;
  let lastMs: number | undefined;
  let problem: string | undefined;
  let timer: Timer | undefined;
  let isStopped = false;

  const round = async (): Promise<void> => {
    const roundAtMs = clock.monotonicMs();
    const isDone = await probe();
    const pauseMs = isDone ? Math.max(0, PROBE_MS - (clock.monotonicMs() - roundAtMs)) : FAILED_MS;
    if (!isStopped) timer = clock.after(pauseMs, () => void (underWay = round()));
  };
  const probe = async (): Promise<boolean> => {
    try {
      file ??= await open();
      await file.write();
      beganAtMs = clock.monotonicMs();
      await file.sync();
      lastMs = clock.monotonicMs() - beganAtMs;
      hour.add(lastMs);
      problem = undefined;
      return true;
    } catch (error) {
      lastMs = undefined;
      problem = `fsync cannot be measured: ${error instanceof Error ? error.message : String(error)}`;
      await closeFile();
      return false;
    } finally {
      beganAtMs = undefined;
    }
  };
  const closeFile = async (): Promise<void> => {
    const closing = file;
    file = undefined;
    await closing?.close().catch(() => {});
  };

  let underWay: Promise<void> = round();
  return {
    read() {
      const openMs = beganAtMs === undefined ? 0 : clock.monotonicMs() - beganAtMs;
      const fsyncMs = Math.max(openMs, lastMs ?? 0);
      const usualMs = hour.median();
      return {
        ...(openMs === 0 && lastMs === undefined ? {} : { fsyncMs }),
        ...(usualMs === undefined ? {} : { usualMs }),
        ...(problem === undefined ? {} : { problem }),
      };
    },
    async stop() {
      isStopped = true;
      timer?.cancel();
      let lateTimer: Timer | undefined;
      const late = new Promise<"late">((resolve) => (lateTimer = clock.after(STOP_MS_MAX, () => resolve("late"))));
      if ((await Promise.race([underWay, late])) !== "late") await closeFile();
      lateTimer?.cancel();
    },
  };
}
