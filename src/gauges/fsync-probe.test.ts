import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../platform/clock.ts";
import { startFsyncProbe, type FsyncProbe, type ProbeFile } from "./fsync-probe.ts";

test("the latency is that of the last answer, and the usual one the median", async () => {
  const disk = createDisk();
  const probe = startFsyncProbe(disk.open, disk.clock);
  for (const ms of [3, 5, 40]) {
    await disk.answerAfter(ms);
    await disk.pass(1000 - ms);
  }
  assert.deepEqual(probe.read(), { fsyncMs: 40, usualMs: 5 });
  await disk.end(probe);
});

test("while a disk stands still, the time since the probe began is the latency, and there is one probe", async () => {
  const disk = createDisk();
  const probe = startFsyncProbe(disk.open, disk.clock);
  await disk.answerAfter(4);
  await disk.pass(996);
  await disk.pass(700);
  assert.equal(probe.read().fsyncMs, 700);
  await disk.pass(60_000);
  assert.deepEqual(probe.read(), { fsyncMs: 60_700, usualMs: 4 });
  assert.equal(disk.syncsOpen(), 1);
  await disk.answerAfter(0);
  assert.equal(probe.read().fsyncMs, 60_700);
  await disk.pass(0);
  await disk.answerAfter(4);
  assert.equal(probe.read().fsyncMs, 4);
  await disk.end(probe);
});

test("a file that cannot be opened is a problem, not an end, and is tried again", async () => {
  const disk = createDisk();
  let isFull = true;
  const probe = startFsyncProbe(async () => {
    if (isFull) throw new Error("ENOSPC: no space left on device");
    return await disk.open();
  }, disk.clock);
  await disk.pass(0);
  assert.match(probe.read().problem ?? "", /fsync cannot be measured: ENOSPC/);
  assert.equal(probe.read().fsyncMs, undefined);
  isFull = false;
  await disk.pass(10_000);
  await disk.answerAfter(2);
  assert.deepEqual(probe.read(), { fsyncMs: 2, usualMs: 2 });
  await disk.end(probe);
});

/** A disk that answers when it is told to, and a clock that goes on when it is told to. */
function createDisk() {
  let nowMs = 0;
  const timers = new Set<{ readonly atMs: number; readonly fire: () => void }>();
  const waiting: (() => void)[] = [];
  const file: ProbeFile = {
    write: async () => {},
    sync: () => new Promise((resolve) => waiting.push(resolve)),
    close: async () => {},
  };
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => nowMs,
    after(ms, fire) {
      const timer = { atMs: nowMs + ms, fire };
      timers.add(timer);
      return { cancel: () => timers.delete(timer) };
    },
    soon: (fire) => queueMicrotask(fire),
  };
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  const pass = async (ms: number): Promise<void> => {
    await settle();
    nowMs += ms;
    for (const timer of [...timers].filter(({ atMs }) => atMs <= nowMs)) {
      timers.delete(timer);
      timer.fire();
    }
    await settle();
  };
  return {
    clock,
    open: async () => file,
    pass,
    async end(probe: FsyncProbe) {
      const stopped = probe.stop();
      await pass(500);
      await stopped;
    },
    syncsOpen: () => waiting.length,
    async answerAfter(ms: number) {
      await pass(ms);
      waiting.shift()?.();
      await settle();
    },
  };
}
