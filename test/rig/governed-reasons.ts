// Every reason that the governor gives, made by the law itself from readings, replies and failures: the proof that each
// can be, and what explain is tested with. A verdict of each stands under the code that it must name.

import type { Reason, ReasonCode } from "../../src/mail/reasons.ts";
import { learnReading, type RelayFigures, type RelaySettings, type RelayState } from "../../src/governor/relay-law.ts";
import { learnReplies, type ReplySample, type ReplyState } from "../../src/governor/reply-law.ts";
import {
  governDestination,
  governOutlet,
  healthyDestination,
  healthyOutlet,
  recordFailure,
  type FailureKind,
  type GovernorSettings,
} from "../../src/governor/verdict.ts";

const SETTINGS: RelaySettings = { name: "relay", horizonMs: 30_000, maxQueue: 6000, maxPlug: 2000 };
const OPEN_MAX = 60;
const NOW_MS = 100_000;

export const GOVERNED_REASONS = {
  window_fixed: () => reasonsOf({}),
  lane_share: () => reasonsOf({ share: 0.25 }),
  gave_way: () => reasonsOf({ gaveWay: true }),
  max_rate: () => reasonsOf({ maxRatePerS: 100 }),
  relay_shared: () => reasonsOf({ relay: relayAfter(drained(3000)), priority: "bulk", sharers: sharedWithUrgent() }),
  relay_unmeasured: () => reasonsOf({ relay: { settings: SETTINGS, state: undefined, databaseMs: NOW_MS } }),
  relay_drain: () => reasonsOf({ relay: relayAfter(drained(3000)) }),
  relay_queue: () => reasonsOf({ relay: relayAfter([...drained(3000), { queue: 4200, handedSince: 1300 }]) }),
  max_queue: () => reasonsOf({ relay: relayAfter(drained(6000, 400)) }),
  relay_stalled: () => reasonsOf({ relay: relayAfter([...drained(2000), ...seconds(8, { queue: 2000 })]) }),
  plug_full: () => reasonsOf({ relay: relayAfter(drained(3000, 100, { deferred: 2000 })), priority: "bulk" }),
  disk_slow: () => reasonsOf({ relay: relayAfter(drained(1400, 100, { fsync_ms: 41, fsync_usual_ms: 3 })) }),
  disk_full: () =>
    reasonsOf({ relay: relayAfter(drained(1400, 100, { disk_free_bytes: 1e9, disk_total_bytes: 1e11 })) }),
  machine_pressed: () => reasonsOf({ relay: relayAfter(drained(3000, 100, { pressure_memory: 0.5 })) }),
  readings_stale: () => reasonsOf({ relay: relayAfter(drained(3000), 9000) }),
  reply_slow: () => reasonsOf({ replies: repliesAfter({ answers: 5, latencyMs: 400 }) }),
  relay_pushes_back: () => reasonsOf({ replies: repliesAfter({ temporary: 30, reply: "451 4.3.2 busy" }) }),
  relay_unreachable: () => failing("unreachable"),
  credentials_refused: () => failing("credentials"),
  tls_refused: () => failing("tls"),
  outlet_failing: () => failing("other"),
  probing: () => failing("unreachable", 60_000),
  destination_failing: () =>
    governDestination(
      recordFailure(healthyDestination, NOW_MS, "timed out"),
      { name: "dead.example", openMax: 5 },
      NOW_MS,
    ).reasons,
} as const satisfies { readonly [Code in ReasonCode]?: () => readonly Reason[] };

export type GovernedCode = keyof typeof GOVERNED_REASONS;
export const GOVERNED_CODES = Object.keys(GOVERNED_REASONS) as readonly GovernedCode[];

function reasonsOf(settings: Partial<GovernorSettings>): readonly Reason[] {
  return governOutlet(healthyOutlet, { name: "relay", openMax: OPEN_MAX, ...settings }, NOW_MS).reasons;
}

function failing(kind: FailureKind, laterMs = 0): readonly Reason[] {
  const readings = recordFailure(healthyOutlet, NOW_MS, "refused", kind);
  return governOutlet(readings, { name: "relay", openMax: OPEN_MAX }, NOW_MS + laterMs).reasons;
}

function seconds(count: number, figures: Partial<RelayFigures>): readonly Partial<RelayFigures>[] {
  return Array.from({ length: count }, () => figures);
}

/** A relay that drains so many per second with so many in it. */
function drained(queue: number, perS = 100, more: Partial<RelayFigures> = {}): readonly Partial<RelayFigures>[] {
  return seconds(40, { queue, handedSince: perS, ...more });
}

/** Read once a second, and asked so much later. */
function relayAfter(readings: readonly Partial<RelayFigures>[], laterMs = 500): NonNullable<GovernorSettings["relay"]> {
  let state: RelayState | undefined;
  for (const [index, reading] of readings.entries()) {
    state = learnReading(state, { handedSince: 0, ...reading, atMs: index * 1000 }, SETTINGS);
  }
  return { settings: SETTINGS, state, databaseMs: (readings.length - 1) * 1000 + laterMs };
}

/** A minute as usual, then ten seconds otherwise. */
function repliesAfter(otherwise: Partial<ReplySample>): ReplyState {
  const usual = { answers: 100, latencyMs: 20, temporary: 0, closings: 0 };
  let state: ReplyState | undefined;
  for (let s = 1; s <= 70; s++) state = learnReplies(state, { ...usual, ...(s > 60 ? otherwise : {}), atMs: s * 1000 });
  return state!;
}

function sharedWithUrgent(): NonNullable<GovernorSettings["sharers"]> {
  return {
    me: "bulk",
    users: [
      { key: "urgent", priority: "transactional", takenPerS: 80, wantsMore: true },
      { key: "bulk", priority: "bulk", takenPerS: 20, wantsMore: true },
    ],
  };
}
