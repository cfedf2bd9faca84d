// One run of the relay law against the model of a relay, in virtual time: a backlog without end, one reading a second,
// verdicts taken every 200 ms as dispatchers do, the pace enforced by the token bucket. Records what a bar looks at.

import {
  governRelay,
  learnReading,
  type RelayFigures,
  type RelaySettings,
  type RelayState,
  type RelayVerdict,
} from "../../src/governor/relay-law.ts";
import { createBucket } from "../../src/governor/token-bucket.ts";
import { seededRandom } from "../../src/platform/random.ts";
import { createModelRelay } from "./governor-relay.ts";

export interface RunPlan {
  readonly seed: number;
  readonly seconds: number;
  readonly settings: RelaySettings;
  /** What the relay can drain at a moment, per second. */
  readonly drainAt: (s: number) => number;
  readonly hasReadings?: (s: number) => boolean;
  readonly figuresAt?: (s: number) => Partial<RelayFigures>;
  readonly deferShare?: number;
  /** What there is to send, per second; absent: without end. */
  readonly supplyAt?: (s: number) => number;
  readonly law?: Law;
}

/** The law under test; a canary puts a broken one in its place. */
export interface Law {
  readonly learn: typeof learnReading;
  readonly govern: typeof governRelay;
}

export interface Sample {
  readonly s: number;
  readonly queue: number;
  readonly deferred: number;
  readonly pace: number;
  readonly handed: number;
  readonly target: number;
  readonly code: string;
}

export interface RunReport {
  readonly seed: number;
  /** Once a second. */
  readonly samples: readonly Sample[];
  readonly drainedOverCapacity: number;
  readonly handed: number;
}

const STEP_MS = 10;
const ORDERS_MS = 200;
/** From the count until a dispatcher could have it. */
const READING_LATE_MS = { min: 50, span: 250 };

export function runRelay(plan: RunPlan): RunReport {
  const random = seededRandom(plan.seed);
  const relay = createModelRelay(random);
  const bucket = createBucket();
  const law = plan.law ?? { learn: learnReading, govern: governRelay };
  const samples: Sample[] = [];
  let state: RelayState | undefined;
  let verdict: RelayVerdict = law.govern(undefined, plan.settings, 0);
  let supply = 0;
  let late: { readonly figures: RelayFigures; readonly atMs: number } | undefined;
  let readAtMs = 1000 * random.unit();
  for (let nowMs = 0; nowMs < plan.seconds * 1000; nowMs += STEP_MS) {
    const s = nowMs / 1000;
    if (nowMs >= readAtMs) {
      readAtMs += 1000 + (random.unit() - 0.5) * 100;
      if (plan.hasReadings?.(s) !== false) {
        const figures = { ...relay.read(nowMs), ...plan.figuresAt?.(s) };
        late = { figures, atMs: nowMs + READING_LATE_MS.min + random.unit() * READING_LATE_MS.span };
      }
    }
    if (nowMs % ORDERS_MS === 0) {
      if (late !== undefined && late.atMs <= nowMs) {
        state = stored(law.learn(state, late.figures, plan.settings));
        late = undefined;
      }
      verdict = law.govern(state, plan.settings, nowMs);
      bucket.refill(verdict.bulkPace, nowMs);
    }
    supply += plan.supplyAt === undefined ? Infinity : (plan.supplyAt(s) * STEP_MS) / 1000;
    let handed = 0;
    while (supply >= 1 && bucket.take(nowMs)) {
      handed += 1;
      supply -= 1;
    }
    relay.take(handed);
    relay.work(STEP_MS, plan.drainAt(s), plan.deferShare);
    if (nowMs % 1000 === 0) {
      const { queue, deferred, handed: handedTotal } = relay;
      const { bulkPace: pace, target, reasons } = verdict;
      samples.push({ s, queue, deferred, pace, handed: handedTotal, target, code: reasons[0]?.code ?? "none" });
    }
  }
  return { seed: plan.seed, samples, drainedOverCapacity: relay.drained / relay.capacity, handed: relay.handed };
}

/** As the database keeps it. */
function stored(state: RelayState | undefined): RelayState | undefined {
  return state === undefined ? undefined : (JSON.parse(JSON.stringify(state)) as RelayState);
}
