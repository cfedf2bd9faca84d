// Which host of an outlet gets the next connection: each its share by weight, and one that failed is set aside for a
// while that doubles with each failure. When its time is over, a single connection probes it. Pure: time comes in.

import type { Random } from "../platform/random.ts";
import type { SmtpHost } from "./smtp-settings.ts";

export const HOST_BACKOFF_MS_MIN = 1_000;
export const HOST_BACKOFF_MS_MAX = 60_000;

/**
 * After a failed opportunistic handshake the host is spoken to in clear for this long, before TLS is tried again: long
 * enough not to pay for two connections each time, short enough for a certificate that was repaired.
 */
export const CLEAR_AFTER_TLS_FAILURE_MS = 600_000;

export interface HostState {
  readonly host: SmtpHost;
  /** Connections that exist, those in the making included. */
  connectionCount: number;
  connectingCount: number;
  failureCount: number;
  failedAtMs: number;
  retryAtMs: number;
  clearUntilMs: number;
}

export function createHostStates(hosts: readonly SmtpHost[]): HostState[] {
  return hosts.map((host) => ({
    host,
    connectionCount: 0,
    connectingCount: 0,
    failureCount: 0,
    failedAtMs: Number.NEGATIVE_INFINITY,
    retryAtMs: Number.NEGATIVE_INFINITY,
    clearUntilMs: Number.NEGATIVE_INFINITY,
  }));
}

/** The usable host that is furthest below its share; undefined when all are set aside. */
export function pickHost(states: readonly HostState[], nowMs: number, random: Random): HostState | undefined {
  const usable = states.filter((state) => isUsable(state, nowMs));
  const lowest = Math.min(...usable.map(loadOf));
  const candidates = usable.filter((state) => loadOf(state) === lowest);
  return pickByWeight(candidates, random);
}

function isUsable(state: HostState, nowMs: number): boolean {
  return state.failureCount === 0 || (nowMs >= state.retryAtMs && state.connectingCount === 0);
}

const loadOf = (state: HostState): number => state.connectionCount / state.host.weight;

function pickByWeight(states: readonly HostState[], random: Random): HostState | undefined {
  let rest = random.unit() * states.reduce((sum, state) => sum + state.host.weight, 0);
  return states.find((state) => (rest -= state.host.weight) < 0) ?? states.at(-1);
}

export function noteHostFailed(state: HostState, nowMs: number): void {
  // Several connections that fail together are one failure.
  if (nowMs < state.retryAtMs) return;
  const backoffMs = Math.min(HOST_BACKOFF_MS_MIN * 2 ** state.failureCount, HOST_BACKOFF_MS_MAX);
  state.failureCount++;
  state.failedAtMs = nowMs;
  state.retryAtMs = nowMs + backoffMs;
}

export function noteHostAnswered(state: HostState): void {
  state.failureCount = 0;
  state.retryAtMs = Number.NEGATIVE_INFINITY;
}

/** Whoever governs the outlet wants to know now: hosts may be probed ahead of their time, once a second at most. */
export function allowProbes(states: readonly HostState[]): void {
  for (const state of states) state.retryAtMs = Math.min(state.retryAtMs, state.failedAtMs + HOST_BACKOFF_MS_MIN);
}

/** The next time at which a host that is set aside may be probed. One that is due already needs no waking. */
export function nextRetryAtMs(states: readonly HostState[], nowMs: number): number | undefined {
  const times = states.filter((state) => state.failureCount > 0).map((state) => state.retryAtMs);
  const future = times.filter((time) => time > nowMs);
  return future.length === 0 ? undefined : Math.min(...future);
}
