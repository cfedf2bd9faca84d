// One run of the governor against the model of a relay, in virtual time: one reading a second, verdicts taken every 200 ms
// as dispatchers do, pulses once a second, the pace enforced by the token bucket. One user with a backlog without end,
// unless the plan names others. Records what a bar looks at.

import type { LanePriority } from "../../src/mail/lane.ts";
import type { Reason } from "../../src/mail/reasons.ts";
import { learnReading, type RelayFigures, type RelaySettings, type RelayState } from "../../src/governor/relay-law.ts";
import type { PaceUser } from "../../src/governor/share-pace.ts";
import { createBucket, type Bucket } from "../../src/governor/token-bucket.ts";
import { governOutlet, healthyOutlet, type Verdict } from "../../src/governor/verdict.ts";
import { seededRandom, type Random } from "../../src/platform/random.ts";
import { createModelRelay, type HowItWorks } from "./governor-relay.ts";

export interface RunPlan {
  readonly seed: number;
  readonly seconds: number;
  readonly settings: RelaySettings;
  /** What the relay can drain at a moment, per second. */
  readonly drainAt: (s: number) => number;
  readonly hasReadings?: (s: number) => boolean;
  readonly figuresAt?: (s: number) => Partial<RelayFigures>;
  readonly how?: HowItWorks;
  readonly users?: readonly UserPlan[];
  /** A canary puts a broken one in its place. */
  readonly learn?: typeof learnReading;
}

export interface UserPlan {
  readonly key: string;
  readonly priority: LanePriority;
  /** Messages that come in, per second; Infinity: a backlog without end. */
  readonly supplyAt: (s: number) => number;
}

export interface Sample {
  readonly s: number;
  readonly queue: number;
  readonly deferred: number;
  /** Of all users together. */
  readonly pace: number;
  readonly users: readonly UserSample[];
  /** What the law takes for the drain's horizon. */
  readonly target: number;
  /** Of the last user's verdict. */
  readonly reasons: readonly Reason[];
}

interface UserSample {
  readonly pace: number;
  readonly backlog: number;
  readonly handed: number;
}

export interface RunReport {
  readonly seed: number;
  /** Once a second. */
  readonly samples: readonly Sample[];
  readonly drainedOverCapacity: number;
}

interface UserAtWork {
  readonly plan: UserPlan;
  readonly bucket: Bucket;
  readonly pulseAtMs: number;
  verdict: Verdict;
  backlog: number;
  handed: number;
  handedAtPulse: number;
}

const STEP_MS = 10;
const ORDERS_MS = 200;
const PULSE_MS = 1000;
/** No dispatcher is faster than 100,000/s; a broken law would be without end. */
const HANDED_PER_STEP_MAX = 1000;
/** From the count until a dispatcher could have it. */
const READING_LATE_MS = { min: 50, span: 250 };
/** Never what limits here. */
const OPEN_MAX = 1_000_000;
const ENDLESS: UserPlan = { key: "bulk", priority: "bulk", supplyAt: () => Infinity };

export function runGovernor(plan: RunPlan): RunReport {
  const random = seededRandom(plan.seed);
  const relay = createModelRelay(random);
  const learn = plan.learn ?? learnReading;
  const users = (plan.users ?? [ENDLESS]).map((user) => beginUser(user, plan.settings, random));
  const pulses = new Map<string, PaceUser>();
  const samples: Sample[] = [];
  let state: RelayState | undefined;
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
    for (const user of users) if (nowMs % PULSE_MS === user.pulseAtMs) pulses.set(user.plan.key, pulseOf(user));
    if (nowMs % ORDERS_MS === 0) {
      if (late !== undefined && late.atMs <= nowMs) {
        state = stored(learn(state, late.figures, plan.settings));
        late = undefined;
      }
      for (const user of users) govern(user, { settings: plan.settings, state, databaseMs: nowMs }, pulses);
    }
    for (const user of users) relay.take(handOver(user, nowMs));
    relay.work(STEP_MS, plan.drainAt(s), plan.how);
    if (nowMs % 1000 === 0) samples.push(sampleOf(s, relay, users, state));
  }
  return { seed: plan.seed, samples, drainedOverCapacity: relay.drained / relay.capacity };
}

function beginUser(plan: UserPlan, settings: RelaySettings, random: Random): UserAtWork {
  const verdict = governOutlet(
    healthyOutlet,
    { openMax: OPEN_MAX, relay: { settings, state: undefined, databaseMs: 0 } },
    0,
  );
  const pulseAtMs = Math.floor(random.unit() * (PULSE_MS / STEP_MS)) * STEP_MS;
  return { plan, bucket: createBucket(), pulseAtMs, verdict, backlog: 0, handed: 0, handedAtPulse: 0 };
}

function pulseOf(user: UserAtWork): PaceUser {
  const takenPerS = ((user.handed - user.handedAtPulse) * 1000) / PULSE_MS;
  user.handedAtPulse = user.handed;
  return { key: user.plan.key, priority: user.plan.priority, takenPerS, wantsMore: user.backlog >= 1 };
}

function govern(
  user: UserAtWork,
  relay: { readonly settings: RelaySettings; readonly state: RelayState | undefined; readonly databaseMs: number },
  pulses: ReadonlyMap<string, PaceUser>,
): void {
  const { key, priority } = user.plan;
  const sharers = { users: [...pulses.values()], me: key };
  user.verdict = governOutlet(healthyOutlet, { openMax: OPEN_MAX, priority, relay, sharers }, relay.databaseMs);
  user.bucket.refill(user.verdict.pace, relay.databaseMs);
}

function handOver(user: UserAtWork, nowMs: number): number {
  user.backlog += (user.plan.supplyAt(nowMs / 1000) * STEP_MS) / 1000;
  let handed = 0;
  while (handed < HANDED_PER_STEP_MAX && user.backlog >= 1 && user.bucket.take(nowMs)) {
    handed += 1;
    user.backlog -= 1;
  }
  user.handed += handed;
  return handed;
}

/** As the database keeps it. */
function stored(state: RelayState | undefined): RelayState | undefined {
  return state === undefined ? undefined : (JSON.parse(JSON.stringify(state)) as RelayState);
}

function sampleOf(
  s: number,
  { queue, deferred }: { readonly queue: number; readonly deferred: number },
  users: readonly UserAtWork[],
  state: RelayState | undefined,
): Sample {
  const each = users.map(({ verdict, backlog, handed }) => ({ pace: verdict.pace, backlog, handed }));
  const pace = each.reduce((sum, user) => sum + user.pace, 0);
  return { s, queue, deferred, pace, users: each, target: state?.target ?? 0, reasons: users.at(-1)!.verdict.reasons };
}
