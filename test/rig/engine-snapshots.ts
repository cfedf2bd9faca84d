// Snapshots of an engine, as a real one gives them, for the tests of what is made of them: all is well, but for what a
// test changes. Pulses and readings go through the same reading as those of the database.

import { loadConfig, type Config } from "../../src/platform/config.ts";
import type { Reason } from "../../src/mail/reasons.ts";
import { STATES, type State } from "../../src/mail/state.ts";
import type { DispatcherView, EngineSnapshot, LaneView } from "../../src/reports/engine-snapshot.ts";
import type { Surroundings } from "../../src/reports/explain-limit.ts";
import { readPulse } from "../../src/reports/explain-pulse.ts";

export const NOW_MS = Date.parse("2026-11-26T14:02:10Z");
const LEASE_MS = 15_000;

/** One measured relay for both lanes. */
export function relayConfig(env: Readonly<Record<string, string>> = {}): Config {
  const given = {
    POSTLANE_OUTLETS__RELAY__TYPE: "smtp",
    POSTLANE_OUTLETS__RELAY__HOSTS: "127.0.0.1:25",
    POSTLANE_OUTLETS__RELAY__GAUGE__TYPE: "postfix",
    POSTLANE_LANES__BULK__OUTLETS: "[relay]",
    POSTLANE_LANES__TRANSACTIONAL__OUTLETS: "[relay]",
    POSTLANE_RETURNS__DOMAIN: "returns.example.com",
    ...env,
  };
  return loadConfig({ cwd: "/", env: given });
}

export const fixedWindow: Reason = { code: "window_fixed", limits: "window", limit: 60, evidence: { max_open: 60 } };

export function pulseOf(changes: object = {}, outlet: object = {}): object {
  return {
    priority: "bulk",
    in_flight: 12,
    ready: 0,
    destinations: 40,
    rate_per_s: 200,
    settled_total: 5000,
    settled_ms_ago: 4,
    waiting_p50_ms: 12,
    waiting_p99_ms: 80,
    commit_ms: 3,
    commit_usual_ms: 2,
    outlets: [outletPulse(outlet)],
    throttled: { count: 0, some: [] },
    ...changes,
  };
}

export function outletPulse(changes: object = {}): object {
  return {
    name: "relay",
    window: 60,
    open: 12,
    pace_per_s: null,
    taken_per_s: 200,
    wants_more: false,
    handed_total: 5000,
    reasons: [fixedWindow],
    ...changes,
  };
}

export function dispatcherOf(pulse: object, changes: Partial<DispatcherView> = {}): DispatcherView {
  return { id: 7, isAlive: true, leaseLeftMs: LEASE_MS - 400, heldMs: 600_000, pulse: readPulse(pulse), ...changes };
}

export function laneOf(
  name: string,
  changes: Partial<LaneView> = {},
  states: Partial<Record<State, number>> = {},
): LaneView {
  const all = Object.fromEntries(STATES.map((state) => [state, states[state] ?? 0])) as Record<State, number>;
  return {
    name,
    pausedAtMs: null,
    isHeldByGuard: false,
    fullBecause: null,
    states: all,
    toSend: all.queued + all.deferred,
    queued: all.queued,
    dispatchers: [dispatcherOf(pulseOf())],
    ...changes,
  };
}

export function snapshotOf(changes: Partial<EngineSnapshot> = {}): EngineSnapshot {
  const reading = { queue: 400, deferred: 3, fsync_ms: 2, fsync_usual_ms: 2, queue_source: "spool" as const };
  return {
    atMs: NOW_MS - 500,
    lanes: [laneOf("transactional"), laneOf("bulk", {}, { queued: 9000 })],
    guard: null,
    pausedCampaigns: [],
    heldBackCampaigns: [],
    pauses: [],
    readings: [{ outlet: "relay", ageMs: 700, reading }],
    destinations: { failing: 0, worst: [] },
    waitingFor: {},
    unaccounted: [],
    returns: { unjudged: 0, oldestMs: null },
    transaction: null,
    commitStuckMs: null,
    ...changes,
  };
}

/** The bulk lane's dispatcher says this of the relay; mail waits. */
export function bulkSaying(pulse: object, outlet: object = {}, changes: Partial<EngineSnapshot> = {}): EngineSnapshot {
  const bulk = laneOf("bulk", { dispatchers: [dispatcherOf(pulseOf(pulse, outlet))] }, { queued: 9000 });
  return snapshotOf({ lanes: [laneOf("transactional"), bulk], ...changes });
}

export function surroundings(changes: Partial<Surroundings> = {}): Surroundings {
  return { nowMs: NOW_MS, dispatcherSeenAtMs: {}, alarms: [], databaseAlarms: [], cpuWaiting: 0.1, ...changes };
}
