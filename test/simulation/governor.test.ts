// The governor's law in virtual time against a relay that changes: every bar that it has to hold, with several seeds each.
// A complaint names the seed. The canaries at the end plant laws that are broken, and each must break a bar.

import assert from "node:assert/strict";
import { test } from "node:test";
import { learnReading, type RelaySettings } from "../../src/governor/relay-law.ts";
import { runGovernor, type RunPlan, type RunReport, type Sample, type UserPlan } from "./governor-run.ts";

const HORIZON_S = 30;
const SETTINGS: RelaySettings = { horizonMs: HORIZON_S * 1000, maxQueue: 1_000_000, maxPlug: 2000 };
const SHORT: RelaySettings = { ...SETTINGS, horizonMs: 5000 };
const SEEDS = [1, 2, 3, 4];
const THROUGHPUT_MIN = 0.97;
const BAND = 0.25;
/** By then the queue has been filled for the first time. */
const FILLED_S = 60;

for (const drain of [100, 300, 1000, 3000]) {
  test(`steady at ${drain}/s: the queue stays within a quarter of its target, and the pace hardly moves`, () => {
    for (const seed of SEEDS) checkSteady(runGovernor({ ...plan(seed, 600), drainAt: () => drain }), drain);
  });
}

for (const drain of [100, 1000]) {
  for (const factor of [2, 10]) {
    test(`the drain steps up from ${drain}/s by ${factor}: back at the target within one horizon`, () => {
      for (const seed of SEEDS) checkStepUp(seed, drain, factor);
    });
  }
  for (const factor of [0.5, 0.1]) {
    test(`the drain steps down from ${drain}/s to ${factor}: nothing more until the excess has drained`, () => {
      for (const seed of SEEDS) checkStepDown(seed, drain, factor);
    });
  }
  test(`a relay that drains ${drain}/s stalls for an hour: not more in it than before, and it is used again at once`, () => {
    for (const seed of SEEDS) checkStall(seed, drain);
  });
}

/** While the drain moves all the time the estimate is behind it. */
const RAMP_BAND = 0.75;
const RAMPS = [
  { from: 100, to: 1000, seconds: 600 },
  { from: 1000, to: 100, seconds: 600 },
  { from: 200, to: 400, seconds: 60 },
  { from: 400, to: 200, seconds: 60 },
];
for (const { from, to, seconds } of RAMPS) {
  test(`the drain ramps from ${from} to ${to}/s in ${seconds} s: the queue follows`, () => {
    const drainAt = (s: number): number => from + (to - from) * Math.min(1, Math.max(0, (s - 120) / seconds));
    for (const seed of SEEDS) {
      const report = runGovernor({ ...plan(seed, 300 + seconds), drainAt });
      checkThroughput(report);
      for (const sample of after(report, FILLED_S)) within(report, sample, drainAt(sample.s) * HORIZON_S, RAMP_BAND);
    }
  });
}

for (const hasReadings of [true, false]) {
  const agent = hasReadings ? "the agent counts on" : "the agent freezes too";
  test(`a disk that freezes 10 s every minute, ${agent}: never twice the target, and the rest of the time is used`, () => {
    for (const seed of SEEDS) checkFreezing(seed, 200, hasReadings);
  });
}

test("readings that stop: never faster than before, the reason says so, and the relay is neither idle nor choked", () => {
  const [stopS, startS] = [300, 600];
  for (const seed of SEEDS) {
    const hasReadings = (s: number): boolean => s < stopS || s > startS;
    const report = runGovernor({ ...plan(seed, 900), drainAt: () => 300, hasReadings });
    checkThroughput(report);
    const blind = report.samples.filter(({ s }) => s > stopS + 7 && s < startS);
    const before = report.samples.findLast(({ s, reasons }) => s < stopS + 7 && reasons[0]?.code !== "readings_stale")!;
    for (const { s, pace, reasons } of blind) {
      assert.equal(reasons[0]?.code, "readings_stale", `seed ${seed}, ${s} s`);
      assert.ok(pace <= before.pace + 1e-9 && pace > 0, `seed ${seed}, ${s} s: pace ${pace} after ${before.pace}`);
    }
    const last = report.samples.at(-1)!;
    assert.equal(last.reasons[0]?.code, "relay_drain", `seed ${seed}`);
  }
});

test("max_queue cuts the target of a relay that could hold more", () => {
  for (const drain of [300, 600, 3000]) {
    for (const seed of SEEDS) {
      const report = runGovernor({
        ...plan(seed, 300),
        drainAt: () => drain,
        settings: { ...SETTINGS, maxQueue: 6000 },
      });
      checkThroughput(report);
      for (const sample of after(report, FILLED_S)) {
        within(report, sample, 6000, BAND);
        assert.equal(sample.reasons[0]?.code, "max_queue");
      }
    }
  }
});

test("a plug that fills up slows bulk down to a probe, without a flutter; transactional mail goes on", () => {
  for (const seed of SEEDS) checkPlug(seed);
});

test("half of the mail is deferred: what leaves the relay counts, not what moves into its plug", () => {
  for (const seed of SEEDS) {
    const settings = { ...SETTINGS, maxPlug: 1_000_000 };
    const report = runGovernor({ ...plan(seed, 300), drainAt: () => 200, how: { deferShare: 0.5 }, settings });
    const last = report.samples.at(-1)!;
    assert.ok(Math.abs(last.target - 100 * HORIZON_S) < 0.15 * 100 * HORIZON_S, `seed ${seed}: target ${last.target}`);
    assert.ok(
      last.queue > 0.5 * last.target && last.queue < last.target,
      `seed ${seed}: ${last.queue} of ${last.target}`,
    );
  }
});

test("two lanes on one relay: transactional first, the rest is lent to bulk and taken back within two seconds", () => {
  for (const seed of SEEDS) checkLanes(seed);
});

for (const drain of [100, 400, 600]) {
  test(`a horizon of 5 s at ${drain}/s, in bursts of a fifth more and less: never over the target by a quarter`, () => {
    for (const seed of SEEDS) checkShort(seed, drain, {});
  });
}

test("a horizon of 5 s at 20/s, one delivery after another", () => {
  for (const seed of SEEDS) checkShort(seed, 20, { isRegular: true });
});

test("20,000 messages through a relay that nobody has measured: the start costs a few seconds at most", () => {
  for (const seed of SEEDS) {
    const once: UserPlan = { key: "bulk", priority: "bulk", supplyAt: (s) => (s === 0 ? 2_000_000 : 0) };
    const report = runGovernor({ ...plan(seed, 80), settings: SHORT, drainAt: () => 400, users: [once] });
    const doneS = report.samples.find(({ users, queue }) => users[0]!.handed - queue >= 20_000)?.s ?? Infinity;
    assert.ok(doneS <= 20_000 / 400 + 4, `seed ${seed}: ${doneS} s`);
  }
});

// ---- canaries --------------------------------------------------------------------------------------------------------

const BROKEN: Readonly<Record<string, typeof learnReading>> = {
  "that never learns what was handed over": (before, figures, settings) =>
    learnReading(before, { ...figures, handedSince: 0 }, settings),
  "that keeps its first estimate of the drain": (before, figures, settings) => {
    const next = learnReading(before, figures, settings);
    if (next === undefined || before?.isMeasured !== true || before.drain === undefined) return next;
    const { drain, target, usualDrainPerS } = before;
    return { ...next, drain, target, usualDrainPerS, isMeasured: true };
  },
  "that does not see the queue": (before, figures, settings) =>
    learnReading(before, { ...figures, queue: before?.isMeasured === true ? before.target : figures.queue! }, settings),
};
for (const [what, learn] of Object.entries(BROKEN)) {
  test(`canary: a law ${what} breaks a bar`, () => {
    const bars = [
      () => checkSteady(runGovernor({ ...plan(1, 600), drainAt: () => 300, learn }), 300),
      () => checkStepUp(1, 100, 10, learn),
      () => checkStepDown(1, 1000, 0.1, learn),
      () => checkStall(1, 100, learn),
    ];
    assert.ok(bars.some((bar) => breaks(bar)));
  });
}

function breaks(bar: () => void): boolean {
  try {
    bar();
    return false;
  } catch (error) {
    assert.ok(error instanceof assert.AssertionError, String(error));
    return true;
  }
}

// ---- the bars --------------------------------------------------------------------------------------------------------

function checkSteady(report: RunReport, drain: number): void {
  checkThroughput(report);
  const steady = after(report, FILLED_S);
  for (const sample of steady) within(report, sample, drain * HORIZON_S, BAND);
  const deviation = deviationShare(steady.map(({ pace }) => pace));
  assert.ok(deviation <= 0.1, `seed ${report.seed}: the pace deviates by ${deviation}`);
}

function checkStepUp(seed: number, drain: number, factor: number, learn = learnReading): void {
  const atS = 200 + seed / 5;
  const drainAt = (s: number): number => (s < atS ? drain : drain * factor);
  const report = runGovernor({ ...plan(seed, 500), drainAt, learn });
  checkThroughput(report);
  for (const sample of after(report, atS + HORIZON_S)) within(report, sample, drain * factor * HORIZON_S, BAND);
}

function checkStepDown(seed: number, drain: number, factor: number, learn = learnReading): void {
  const atS = 200 + seed / 5;
  const drainAt = (s: number): number => (s < atS ? drain : drain * factor);
  const report = runGovernor({ ...plan(seed, 700), drainAt, learn });
  checkThroughput(report);
  const target = drain * factor * HORIZON_S;
  const seen = after(report, atS + STEP_SEEN_S);
  const excessDrained = seen.findIndex(({ queue }) => queue <= target * (1 + ESTIMATE_ERROR));
  assert.notEqual(excessDrained, -1, `seed ${seed}: the excess never drained`);
  for (const { s, pace } of seen.slice(0, excessDrained)) {
    assert.equal(pace, 0, `seed ${seed}: pace ${pace} at ${s} s, while the excess drains`);
  }
  for (const sample of after(report, seen[excessDrained]!.s + HORIZON_S)) within(report, sample, target, BAND);
}

/** A halved drain of 100/s takes so many readings to be told from noise. */
const STEP_SEEN_S = 6;
/** The law's target is its estimate: it may end the pause when the queue is so much over the true one. */
const ESTIMATE_ERROR = 0.08;

function checkStall(seed: number, drain: number, learn = learnReading): void {
  const [fromS, toS] = [200 + seed / 5, 3800 + seed / 5];
  const drainAt = (s: number): number => (s < fromS || s > toS ? drain : 0);
  const report = runGovernor({ ...plan(seed, 4200), drainAt, learn });
  checkThroughput(report);
  const before = report.samples.findLast(({ s }) => s < fromS)!.target;
  const stalled = report.samples.filter(({ s }) => s > fromS && s < toS);
  for (const { s, queue } of stalled) assert.ok(queue <= 1.1 * before, `seed ${seed}, ${s} s: ${queue} of ${before}`);
  for (const { s, reasons } of stalled.slice(STALL_SEEN_S))
    assert.equal(reasons[0]?.code, "relay_stalled", `seed ${seed}, ${s} s`);
  for (const sample of after(report, toS + HORIZON_S)) within(report, sample, drain * HORIZON_S, BAND);
}

/** The pace is zero within two seconds; that nothing at all moves is sure when the errors of counting are out of it. */
const STALL_SEEN_S = 12;

function checkFreezing(seed: number, drain: number, hasReadings: boolean): void {
  const isFrozen = (s: number): boolean => s > 90 && (s + seed * 7.3) % 60 < 10;
  const report = runGovernor({
    ...plan(seed, 900),
    drainAt: (s) => (isFrozen(s) ? 0 : drain),
    hasReadings: (s) => hasReadings || !isFrozen(s),
    // The probe's fsync ends when the disk thaws, and is what it says until the next one.
    figuresAt: (s) => ({ fsync_usual_ms: 8, fsync_ms: !isFrozen(s) && isFrozen(s - 1) ? 10_000 : 8 }),
  });
  checkThroughput(report);
  for (const { s, queue } of report.samples) {
    assert.ok(queue <= 2 * drain * HORIZON_S, `seed ${seed}, ${s} s: ${queue} of ${drain * HORIZON_S}`);
  }
}

function checkPlug(seed: number): void {
  const settings = { ...SETTINGS, maxPlug: 500 };
  const users: readonly UserPlan[] = [
    { key: "urgent", priority: "transactional", supplyAt: () => 5 },
    { key: "bulk", priority: "bulk", supplyAt: () => Infinity },
  ];
  const report = runGovernor({ ...plan(seed, 600), settings, users, drainAt: () => 200, how: { deferShare: 0.1 } });
  const full = report.samples.findIndex(({ reasons }) => reasons[0]?.code === "plug_full");
  assert.notEqual(full, -1, `seed ${seed}: the plug never filled up`);
  for (const sample of report.samples.slice(full + 1)) {
    assert.equal(sample.reasons[0]?.code, "plug_full", `seed ${seed}, ${sample.s} s`);
    assert.ok(sample.users[1]!.pace <= 1, `seed ${seed}, ${sample.s} s: bulk has ${sample.users[1]!.pace}`);
    assert.ok(
      sample.users[0]!.backlog < 5,
      `seed ${seed}, ${sample.s} s: ${sample.users[0]!.backlog} urgent ones wait`,
    );
  }
}

function checkLanes(seed: number): void {
  const drain = 100;
  const [fromS, toS] = [300, 330];
  const users: readonly UserPlan[] = [
    { key: "urgent", priority: "transactional", supplyAt: (s) => (s >= fromS && s < toS ? 90 : 20) },
    { key: "bulk 1", priority: "bulk", supplyAt: () => Infinity },
    { key: "bulk 2", priority: "bulk", supplyAt: () => Infinity },
  ];
  const report = runGovernor({ ...plan(seed, 600), drainAt: () => drain, users });
  checkThroughput(report);
  for (const sample of after(report, FILLED_S)) {
    const { s, pace, reasons } = sample;
    const relay = reasons.find(({ code }) => code === "relay_drain")!.limit;
    assert.ok(pace <= relay + 1e-6, `seed ${seed}, ${s} s: the parts are ${pace} of ${relay}`);
    assert.ok(
      Math.abs(sample.users[1]!.pace - sample.users[2]!.pace) < 1e-6,
      `seed ${seed}, ${s} s: bulk is not equal`,
    );
    within(report, sample, drain * HORIZON_S, BAND);
  }
  const burst = report.samples.filter(({ s }) => s > fromS + 2 && s < toS);
  const urgentOf = (sample: Sample): number => sample.users[0]!.pace;
  for (const sample of burst)
    assert.ok(urgentOf(sample) > 0.7 * sample.pace, `seed ${seed}, ${sample.s} s: urgent has ${urgentOf(sample)}`);
  assert.ok(
    burst.every(({ users: [urgent] }) => urgent!.backlog <= 300),
    `seed ${seed}: urgent mail waits`,
  );
  assert.ok(
    burst.slice(2).every(({ reasons }) => reasons[0]?.code === "relay_shared"),
    `seed ${seed}: reasons`,
  );
  // Half of what is not needed by then is bulk's again, and the rest as soon as the backlog of the burst is gone.
  const lent = report.samples.filter(({ s }) => (s > FILLED_S && s < fromS) || s > toS + 5);
  const bulkShare = mean(lent.map((sample) => (sample.pace - urgentOf(sample)) / sample.pace));
  assert.ok(bulkShare > 0.6, `seed ${seed}: bulk was lent ${bulkShare} of the pace`);
}

function checkShort(seed: number, drain: number, how: NonNullable<RunPlan["how"]>): void {
  const drainAt = (s: number): number => drain * (1 + 0.2 * Math.sign(Math.sin((s * 2 * Math.PI) / burstS(s, seed))));
  const report = runGovernor({ ...plan(seed, 300), settings: SHORT, drainAt, how });
  checkThroughput(report);
  for (const { s, queue } of report.samples) {
    assert.ok(queue <= 1.25 * drain * 5, `seed ${seed}, ${s} s: ${queue} of ${drain * 5}`);
  }
}

/** Bursts of one and a half to three and a half seconds. */
function burstS(s: number, seed: number): number {
  return 3 + (Math.floor(s / 7 + seed) % 5);
}

function plan(seed: number, seconds: number): Pick<RunPlan, "seed" | "seconds" | "settings"> {
  return { seed, seconds, settings: SETTINGS };
}

function after({ samples }: RunReport, s: number): readonly Sample[] {
  return samples.filter((sample) => sample.s >= s);
}

function checkThroughput({ seed, drainedOverCapacity }: RunReport): void {
  assert.ok(drainedOverCapacity >= THROUGHPUT_MIN, `seed ${seed}: throughput ${drainedOverCapacity}`);
}

function within({ seed }: RunReport, { s, queue }: Sample, target: number, band: number): void {
  assert.ok(Math.abs(queue / target - 1) <= band, `seed ${seed}, ${s} s: queue ${queue} of ${target}`);
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
}

function deviationShare(numbers: readonly number[]): number {
  const middle = mean(numbers);
  return Math.sqrt(mean(numbers.map((number) => (number - middle) ** 2))) / middle;
}
