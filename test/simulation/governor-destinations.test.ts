// A thousand destinations of which a hundred die and come back, in virtual time: the dead ones cost a probe now and then,
// and the others keep what they had.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  governDestination,
  healthyDestination,
  probeAtMs,
  recordFailure,
  recordSuccess,
  type DestinationReadings,
} from "../../src/governor/verdict.ts";
import { seededRandom } from "../../src/platform/random.ts";

const DESTINATIONS = 1000;
const DEAD = 100;
const SLOTS = 20;
const OPEN_MAX = 5;
const STEP_MS = 10;
const [DIES_MS, LIVES_MS, END_MS] = [60_000, 1_260_000, 2_200_000];

interface Destination {
  readings: DestinationReadings;
  open: number;
  attemptsWhileDead: number;
  openSinceStopMax: number;
}

interface Run {
  readonly destinations: readonly Destination[];
  /** Messages that healthy destinations took while the others were dead. */
  readonly healthyTaken: number;
  readonly provenAtMs: readonly number[];
}

test("of 1,000 destinations 100 die and come back: probes at most, and the others keep their throughput", () => {
  for (const seed of [1, 2]) {
    const [quiet, troubled] = [run(seed, 0), run(seed, DEAD)];
    const kept = troubled.healthyTaken / quiet.healthyTaken;
    assert.ok(kept >= 0.97, `seed ${seed}: the healthy ones keep ${kept}`);
    for (const destination of troubled.destinations.slice(0, DEAD)) {
      // 1,200 s: what was open when it died, and the probes of 15, 45, 105, 225, 465 and 945 s.
      assert.ok(
        destination.attemptsWhileDead <= OPEN_MAX + 6,
        `seed ${seed}: ${destination.attemptsWhileDead} attempts`,
      );
      assert.ok(destination.openSinceStopMax <= 1, `seed ${seed}: ${destination.openSinceStopMax} probes at once`);
      assert.equal(destination.readings, healthyDestination, `seed ${seed}: a destination never came back`);
    }
    assert.equal(troubled.provenAtMs.length, DEAD);
    assert.ok(Math.max(...troubled.provenAtMs) < LIVES_MS + 900_000 + 1000, `seed ${seed}: back too late`);
  }
});

function run(seed: number, dead: number): Run {
  const random = seededRandom(seed);
  const destinations = Array.from({ length: DESTINATIONS }, (): Destination => ({
    readings: healthyDestination,
    open: 0,
    attemptsWhileDead: 0,
    openSinceStopMax: 0,
  }));
  let attempts: { readonly at: number; readonly endsMs: number; readonly fails: boolean }[] = [];
  const provenAtMs: number[] = [];
  let [turn, healthyTaken] = [0, 0];
  for (let nowMs = 0; nowMs < END_MS; nowMs += STEP_MS) {
    const isDeadTime = nowMs >= DIES_MS && nowMs < LIVES_MS;
    if (attempts.some(({ endsMs }) => endsMs <= nowMs)) {
      for (const { at, fails } of attempts.filter(({ endsMs }) => endsMs <= nowMs)) settle(at, fails, nowMs);
      attempts = attempts.filter(({ endsMs }) => endsMs > nowMs);
    }
    for (let looked = 0; looked < DESTINATIONS && attempts.length < SLOTS; looked++) {
      const at = turn++ % DESTINATIONS;
      if (mayStart(destinations[at]!, nowMs)) attempts.push(start(at, isDeadTime && at < dead, nowMs));
    }
  }
  return { destinations, healthyTaken, provenAtMs };

  function start(at: number, fails: boolean, nowMs: number): (typeof attempts)[number] {
    const destination = destinations[at]!;
    destination.open += 1;
    if (fails) destination.attemptsWhileDead += 1;
    if (destination.readings !== healthyDestination) {
      destination.openSinceStopMax = Math.max(destination.openSinceStopMax, destination.open);
    }
    const ms = fails ? 100 + random.unit() * 400 : 40 + random.unit() * 20;
    return { at, endsMs: nowMs + ms, fails };
  }

  function settle(at: number, fails: boolean, nowMs: number): void {
    const destination = destinations[at]!;
    destination.open -= 1;
    if (!fails && at >= DEAD && nowMs >= DIES_MS && nowMs < LIVES_MS) healthyTaken += 1;
    if (!fails && probeAtMs(destination.readings) !== undefined) provenAtMs.push(nowMs);
    destination.readings = fails
      ? recordFailure(destination.readings, nowMs, "450 4.7.1")
      : recordSuccess(destination.readings);
  }
}

function mayStart({ readings, open }: Destination, nowMs: number): boolean {
  return open < governDestination(readings, { openMax: OPEN_MAX }, nowMs).window;
}
