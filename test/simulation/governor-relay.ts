// A relay with virtual time for the governor's simulation: it takes what it is given and drains at a rate that the test
// sets, at random as real deliveries come (Poisson). What a gauge sees of it is wrong as a real gauge is: the count is
// off by what moved meanwhile, the reading's time by some milliseconds, and what was handed over by the time between two
// pulses. Readings arrive late.

import type { RelayFigures } from "../../src/governor/relay-law.ts";
import type { Random } from "../../src/platform/random.ts";

export interface ModelRelay {
  readonly queue: number;
  readonly deferred: number;
  readonly handed: number;
  /** Left the relay. */
  readonly drained: number;
  /** What it could have drained, had it always had mail. */
  readonly capacity: number;
  take(messages: number): void;
  /** Works for so long at so many per second. */
  work(ms: number, drainPerS: number, how?: HowItWorks): void;
  /** Deferred messages come up for their next try. */
  retryDeferred(messages: number): void;
  read(nowMs: number): RelayFigures;
}

export interface HowItWorks {
  /** Part of what it works on that is deferred. */
  readonly deferShare?: number;
  /** Each delivery takes the same time, instead of coming at random. */
  readonly isRegular?: boolean;
}

const COUNT_ERROR_SHARE = 0.002;
/** The count and its time are apart by up to so much. */
const TIME_ERROR_MS = 40;
/** The handed-over count is interpolated between pulses a second apart: 5 % of a reading's, as the two ends' difference. */
const HANDED_ERROR_SHARE = 0.035;

export function createModelRelay(random: Random): ModelRelay {
  let [queue, deferred, handed, drained, capacity] = [0, 0, 0, 0, 0];
  let worked = 0;
  let told = { handed: 0, atMs: 0, trueHanded: 0 };
  return {
    get queue() {
      return queue;
    },
    get deferred() {
      return deferred;
    },
    get handed() {
      return handed;
    },
    get drained() {
      return drained;
    },
    get capacity() {
      return capacity;
    },
    take(messages) {
      queue += messages;
      handed += messages;
    },
    work(ms, drainPerS, { deferShare = 0, isRegular = false } = {}) {
      const mean = (drainPerS * ms) / 1000;
      const could = isRegular ? Math.floor((worked % 1) + mean) : poisson(random, mean);
      worked += mean;
      const did = Math.min(queue, could);
      const putOff = deferShare === 0 ? 0 : Math.min(did, poisson(random, did * deferShare));
      capacity += could;
      queue -= did;
      drained += did - putOff;
      deferred += putOff;
    },
    retryDeferred(messages) {
      const moved = Math.min(deferred, messages);
      deferred -= moved;
      queue += moved;
    },
    read(nowMs) {
      const rate = ((handed - told.trueHanded) * 1000) / Math.max(1, nowMs - told.atMs);
      const seen = Math.max(told.handed, handed + gauss(random) * HANDED_ERROR_SHARE * rate);
      const reading = {
        atMs: nowMs + (random.unit() * 2 - 1) * TIME_ERROR_MS,
        queue: count(queue),
        // What lies still is counted right; only what moves is missed or met twice.
        deferred: deferred === 0 ? 0 : Math.max(0, Math.round(deferred + countError(queue))),
        handedSince: Math.round(seen - told.handed),
      };
      told = { handed: told.handed + reading.handedSince, atMs: nowMs, trueHanded: handed };
      return reading;
    },
  };

  function count(messages: number): number {
    if (messages === 0) return 0;
    return Math.max(0, Math.round(messages + countError(messages)));
  }

  function countError(moving: number): number {
    return gauss(random) * (1 + COUNT_ERROR_SHARE * moving);
  }
}

export function poisson(random: Random, mean: number): number {
  if (mean <= 0) return 0;
  if (mean > 50) return Math.max(0, Math.round(mean + gauss(random) * Math.sqrt(mean)));
  const limit = Math.exp(-mean);
  let product = random.unit();
  let events = 0;
  while (product > limit) {
    product *= random.unit();
    events += 1;
  }
  return events;
}

export function gauss(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.unit())) * Math.cos(2 * Math.PI * random.unit());
}
