// Measures fsync on the disk of a folder: one writer, then eight at once, each with a file of one block in that folder.
// Ends in time although the disk may stand still, writes little (see the limits), and removes its files; a thread that
// hangs in the kernel removes its own when it comes back.

import { randomBytes } from "node:crypto";
import path from "node:path";
import { Worker } from "node:worker_threads";
import type { Clock, Timer } from "../platform/clock.ts";
import type { WriterOrder, WriterReport } from "./disk-writer-thread.ts";
import { figuresOf } from "./fsync-figures.ts";
import type { DiskFacts } from "./judge-disk.ts";

const WRITERS = 8;
/** 4 KB each: one measurement writes 17 MB at most, over and over into 9 blocks. */
const SINGLE_FSYNCS_MAX = 2000;
const PARALLEL_FSYNCS_MAX = 300;
/** Past its time, for the fsync that was under way: a disk that takes longer stands still. */
const ANSWER_MS_MAX = 1000;

export async function measureDisk(
  folder: string,
  budgetMs: number,
  clock: Clock,
): Promise<Pick<DiskFacts, "single" | "parallel">> {
  const writeMs = budgetMs / 2 - ANSWER_MS_MAX;
  const one = await runWriters(folder, { count: 1, writeMs, fsyncsMax: SINGLE_FSYNCS_MAX }, clock);
  const single = one === undefined ? undefined : figuresOf(one.latenciesMs, one.tookMs);
  if (single === undefined) return {};
  const all = await runWriters(folder, { count: WRITERS, writeMs, fsyncsMax: PARALLEL_FSYNCS_MAX }, clock);
  const parallel = all === undefined ? undefined : figuresOf(all.latenciesMs, all.tookMs);
  return { single, ...(parallel === undefined ? {} : { parallel: { ...parallel, writers: WRITERS } }) };
}

interface WritersOrder {
  readonly count: number;
  readonly writeMs: number;
  readonly fsyncsMax: number;
}

/** Undefined: at least one of them gave no answer. */
async function runWriters(
  folder: string,
  { count, ...order }: WritersOrder,
  clock: Clock,
): Promise<WriterReport | undefined> {
  const name = randomBytes(6).toString("hex");
  const workers = Array.from({ length: count }, (_, index) =>
    startWriter({ ...order, file: path.join(folder, `.postlane-doctor-${name}-${index}`) }),
  );
  const answered = Promise.all(workers.map(({ report }) => report));
  // When it is late, nobody waits for its end any more.
  answered.catch(() => {});
  const reports = await inTime(answered, order.writeMs + ANSWER_MS_MAX, clock);
  if (reports === undefined) {
    for (const { worker } of workers) worker.unref();
    return undefined;
  }
  return {
    latenciesMs: reports.flatMap(({ latenciesMs }) => latenciesMs),
    tookMs: Math.max(...reports.map(({ tookMs }) => tookMs)),
  };
}

async function inTime<T>(work: Promise<T>, ms: number, clock: Clock): Promise<T | undefined> {
  let timer: Timer | undefined;
  const late = new Promise<undefined>((resolve) => (timer = clock.after(ms, () => resolve(undefined))));
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.cancel();
  }
}

function startWriter(order: WriterOrder): { readonly worker: Worker; readonly report: Promise<WriterReport> } {
  const worker = new Worker(new URL(`./disk-writer-thread${path.extname(import.meta.filename)}`, import.meta.url), {
    workerData: order,
  });
  const report = new Promise<WriterReport>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  return { worker, report };
}
