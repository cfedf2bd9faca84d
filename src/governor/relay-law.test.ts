import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { reasonEntry, tellReason, type Reason } from "../mail/reasons.ts";
import { governRelay, learnReading, type RelayFigures, type RelaySettings, type RelayState } from "./relay-law.ts";

const SETTINGS: RelaySettings = { name: "news", horizonMs: 30_000, maxQueue: 6000, maxPlug: 2000 };

/** Readings a second apart of a relay that drains so many per second and is handed as many, with so many in it. */
function steady(drain: number, queue: number, seconds = 40, more: Partial<RelayFigures> = {}): RelayState {
  let state: RelayState | undefined;
  for (let s = 1; s <= seconds; s++) {
    state = learnReading(state, { atMs: s * 1000, queue, handedSince: drain, ...more }, SETTINGS);
  }
  return state!;
}

function next(state: RelayState, figures: Partial<RelayFigures>, seconds = 1): RelayState {
  let after = state;
  for (let s = 1; s <= seconds; s++) {
    const atMs = after.atMs + 1000;
    after = learnReading(after, { queue: after.queue, handedSince: 0, ...figures, atMs }, SETTINGS)!;
  }
  return after;
}

const verdictOf = (state: RelayState | undefined, settings: RelaySettings = SETTINGS, laterMs = 0) =>
  governRelay(state, settings, (state?.atMs ?? 0) + laterMs);
const codes = (reasons: readonly Reason[]): readonly string[] => reasons.map(({ code }) => code);

test("before the first reading the relay is probed, and the reason says so", () => {
  const { pace, reasons } = verdictOf(undefined);
  assert.equal(pace, 50);
  assert.deepEqual(reasons, [{ code: "relay_unmeasured", limits: "pace", limit: 50, evidence: { pace_per_s: 50 } }]);
  assert.equal(verdictOf(undefined, { ...SETTINGS, maxRatePerS: 5 }).pace, 5);
});

test("in balance the pace is the drain, and the target what it drains in the horizon", () => {
  const { pace, target, reasons } = verdictOf(steady(100, 3000));
  assert.equal(Math.round(pace), 100);
  assert.equal(Math.round(target), 3000);
  assert.equal(tellReason(reasons[0]!), "relay drains 100/s; working queue 3000 of 3000");
  assert.deepEqual(codes(reasons), ["relay_drain"]);
});

test("the gap to the target is closed in tau", () => {
  assert.equal(Math.round(verdictOf(steady(100, 2000)).pace), 200);
  assert.equal(Math.round(verdictOf(next(steady(100, 3000), { queue: 3500, handedSince: 600 })).pace), 50);
  assert.equal(Math.round(verdictOf(steady(100, 2000), { ...SETTINGS, tauMs: 5000 }).pace), 300);
});

test("far over the target nothing goes until it is drained down to it, and the reason is the queue", () => {
  const over = next(steady(100, 3000), { queue: 4200, handedSince: 1300 });
  assert.equal(verdictOf(over).pace, 0);
  assert.equal(codes(verdictOf(over).reasons)[0], "relay_queue");
  let draining = over;
  for (let queue = 4100; queue >= 3100; queue -= 100) draining = next(draining, { queue });
  assert.equal(verdictOf(draining).pace, 0);
  assert.ok(verdictOf(next(draining, { queue: 2990 })).pace > 90);
  assert.ok(verdictOf(over).urgentPace >= 1, "somebody waits for transactional mail");
});

test("max_queue cuts the target and says so; max_rate bounds the pace", () => {
  const state = steady(400, 6000);
  const { target, reasons } = verdictOf(state);
  assert.equal(target, 6000);
  assert.equal(tellReason(reasons[0]!), "relay working queue 6000 of max_queue 6000 (drains 400/s)");
  const bounded = verdictOf(state, { ...SETTINGS, maxRatePerS: 30 });
  assert.equal(bounded.pace, 30);
  assert.deepEqual(codes(bounded.reasons), ["max_rate", "max_queue"]);
});

test("a relay that delivers none is told to stand still, and asked with a probe only after a horizon", () => {
  const stalled = next(steady(100, 2000), {}, 8);
  const { pace, target, reasons } = verdictOf(stalled);
  assert.equal(pace, 0);
  assert.equal(Math.round(target), 3000, "as it was");
  assert.equal(tellReason(reasons[0]!), "relay has 2000 messages and has delivered none for 8 s");
  assert.equal(verdictOf(next(stalled, {}, 40)).pace, 1);
  assert.equal(verdictOf(next(stalled, { queue: 3100 }, 40)).pace, 0, "not above its target");
  const moving = next(stalled, { queue: 1900 });
  assert.equal(moving.stalledSinceMs, undefined);
  assert.ok(verdictOf(moving).pace > 90);
});

test("what hangs on silent servers is no queue of a relay for retries, and no standing still", () => {
  const settings = { ...SETTINGS, hangingMax: 100 };
  const learn = (hanging: number) => {
    let state: RelayState | undefined;
    for (let second = 0; second < 20; second++) {
      state = learnReading(state, { atMs: second * 1000, queue: hanging, deferred: 0, handedSince: 0 }, settings);
    }
    return verdictOf(state, settings);
  };
  assert.ok(learn(90).pace >= 50, `${learn(90).pace}/s beside 90 that hang`);
  assert.ok(learn(400).pace < 50, `${learn(400).pace}/s behind 300 that wait`);
});

test("silence of the agent: what it drained, no more than before, and never nothing", () => {
  const filling = steady(100, 1000);
  const { pace, reasons } = verdictOf(filling, SETTINGS, 9000);
  assert.equal(Math.round(pace), 100);
  assert.equal(tellReason(reasons[0]!), "no reading of outlet news for 9 s");
  assert.equal(verdictOf(filling, SETTINGS, 4999).reasons[0]?.code, "relay_drain");
  const over = next(filling, { queue: 9000, handedSince: 8100 });
  assert.equal(verdictOf(over, SETTINGS, 60_000).pace, 1);
  const full = next(filling, { disk_free_bytes: 1, disk_total_bytes: 1e9 });
  assert.equal(verdictOf(full, SETTINGS, 60_000).pace, 0);
});

test("a full plug slows bulk alone down to a probe, until a tenth of it is gone", () => {
  const full = steady(100, 3000, 40, { deferred: 2000 });
  const { pace, bulkPace, reasons } = verdictOf(full);
  assert.equal(bulkPace, 1);
  assert.equal(Math.round(pace), 100);
  assert.equal(tellReason(reasons[0]!), "relay has 2000 deferred messages of max_plug 2000");
  assert.equal(verdictOf(next(full, { deferred: 1801, handedSince: 100 })).bulkPace, 1);
  assert.ok(verdictOf(next(full, { deferred: 1799, handedSince: 100 })).bulkPace > 50);
});

test("what moves into the plug is not drained, and what comes out of it for its next try is not handed over", () => {
  let state = steady(100, 3000, 40, { deferred: 0 });
  for (let s = 1; s <= 60; s++) state = next(state, { deferred: s * 20, queue: 3000, handedSince: 120 });
  assert.equal(Math.round(verdictOf(state).target), 3000);
  state = next(state, { deferred: 0, queue: 4200, handedSince: 100 });
  assert.equal(Math.round(verdictOf(state).target), 3000);
});

test("a slow disk halves the target and ends the filling, and is named first", () => {
  const slow = next(steady(100, 1400), { handedSince: 100, fsync_ms: 41, fsync_usual_ms: 3 });
  const { pace, target, reasons } = verdictOf(slow);
  assert.equal(Math.round(target), 1500);
  assert.equal(Math.round(pace), 100);
  assert.equal(tellReason(reasons[0]!), "its disk takes 41 ms per fsync (median of the hour 3 ms)");
  const hardly = next(slow, { handedSince: 100, fsync_ms: 19, fsync_usual_ms: 3 });
  assert.equal(codes(verdictOf(hardly).reasons)[0], "disk_slow", "it is not well before it is well again");
  const well = next(hardly, { handedSince: 100, fsync_ms: 4, fsync_usual_ms: 3 });
  assert.deepEqual(codes(verdictOf(well).reasons), ["relay_drain"]);
  const fast = next(well, { handedSince: 100, fsync_ms: 15, fsync_usual_ms: 1 });
  assert.deepEqual(codes(verdictOf(fast).reasons), ["relay_drain"], "15 ms are not slow, though 15 times the usual");
});

test("a pressed machine is named; a full disk stops everything", () => {
  const pressed = next(steady(100, 3000), { handedSince: 100, pressure_memory: 0.5 });
  assert.equal(tellReason(verdictOf(pressed).reasons[0]!), "its machine waits for memory 50 % of the time");
  const full = next(pressed, { handedSince: 100, disk_free_bytes: 1e9, disk_total_bytes: 100e9 });
  const { pace, bulkPace, urgentPace, reasons } = verdictOf(full);
  assert.deepEqual([pace, bulkPace, urgentPace], [0, 0, 0]);
  assert.equal(tellReason(reasons[0]!), "the relay's disk has 1 % free");
});

test("a relay that runs empty is given more with each reading, and an idle one is not taken for a slow one", () => {
  let state = steady(0, 0);
  assert.equal(verdictOf(state).pace, 50);
  const paces: number[] = [];
  for (let s = 1; s <= 3; s++) {
    state = next(state, { queue: 0, handedSince: Math.round(verdictOf(state).pace) });
    paces.push(verdictOf(state).pace);
  }
  assert.ok(
    paces.every((pace, at) => at === 0 || pace >= 3.5 * paces[at - 1]!),
    String(paces),
  );
});

test("readings closer together than they can tell apart are added up, and one after a long gap starts anew", () => {
  const state = steady(100, 3000);
  const close = learnReading(state, { atMs: state.atMs + 100, queue: 3010, handedSince: 10 }, SETTINGS)!;
  assert.equal(close.handedPending, 10);
  const late = learnReading(state, { atMs: state.atMs + 3_600_000, queue: 10, handedSince: 5 }, SETTINGS)!;
  assert.deepEqual(late.drain, state.drain);
  assert.equal(learnReading(state, { atMs: Number.NaN, queue: 1, handedSince: 1 }, SETTINGS), state);
  assert.equal(learnReading(state, { atMs: state.atMs + 1000, handedSince: 7 }, SETTINGS)!.handedPending, 7);
});

const figure = fc.oneof(
  fc.double({ min: 0, max: 1e7, noNaN: true }),
  fc.integer({ min: -5, max: 100 }),
  fc.constantFrom(Number.NaN, Infinity, -Infinity, 0, 1e300),
);
const anyReading = fc.record(
  {
    afterMs: fc.oneof(fc.integer({ min: -2000, max: 20_000 }), fc.constant(1000)),
    queue: figure,
    deferred: figure,
    handedSince: figure,
    fsync_ms: figure,
    fsync_usual_ms: figure,
    pressure_io: figure,
    pressure_cpu: figure,
    pressure_memory: figure,
    disk_free_bytes: figure,
    disk_total_bytes: figure,
  },
  { requiredKeys: ["afterMs", "handedSince"] },
);

test("whatever is read: paces are numbers within their bounds, and reasons have the evidence of the catalogue", () => {
  fc.assert(
    fc.property(
      fc.array(anyReading, { maxLength: 25 }),
      fc.option(fc.double({ min: 0, max: 1000, noNaN: true }), { nil: undefined }),
      fc.integer({ min: 1000, max: 3_600_000 }),
      (readings, maxRatePerS, horizonMs) => {
        const settings = { ...SETTINGS, horizonMs, ...(maxRatePerS === undefined ? {} : { maxRatePerS }) };
        let state: RelayState | undefined;
        let nowMs = 1_000_000;
        for (const { afterMs, ...figures } of readings) {
          nowMs += afterMs;
          const learnt = learnReading(state, { ...figures, atMs: nowMs }, settings);
          state = learnt === undefined ? undefined : (JSON.parse(JSON.stringify(learnt)) as RelayState);
          assert.deepEqual(state, learnt, "the state goes through JSON as it is");
          for (const laterMs of [0, 60_000]) checkVerdict(governRelay(state, settings, nowMs + laterMs), settings);
        }
      },
    ),
    { numRuns: 500 },
  );
});

function checkVerdict(verdict: ReturnType<typeof governRelay>, { maxRatePerS, maxQueue }: RelaySettings): void {
  for (const pace of [verdict.pace, verdict.bulkPace, verdict.urgentPace]) {
    assert.ok(Number.isFinite(pace) && pace >= 0 && pace <= (maxRatePerS ?? Infinity), `pace ${pace}`);
  }
  assert.ok(verdict.bulkPace <= verdict.pace);
  assert.ok(verdict.target >= 0 && verdict.target <= maxQueue, `target ${verdict.target}`);
  assert.notEqual(verdict.reasons.length, 0);
  for (const { code, limit, evidence } of verdict.reasons) {
    const { evidence: always, optional = [] } = reasonEntry(code);
    assert.ok(limit >= 0, `${code} leaves ${limit}`);
    for (const name of always) assert.notEqual(evidence[name], undefined, `${code} has no ${name}`);
    for (const [name, value] of Object.entries(evidence)) {
      assert.ok([...always, ...optional].includes(name), `${code} has ${name}`);
      assert.ok(typeof value === "string" || Number.isFinite(value), `${code}: ${name} is ${value}`);
    }
  }
}
