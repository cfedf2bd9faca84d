// Destinations that limit: those that fail, and those that have not proven themselves, by the dispatchers' pulses and by
// what relays' logs and notices say. Pure.

import type { Reason } from "../mail/reasons.ts";
import type { EngineSnapshot } from "./engine-snapshot.ts";
import {
  alivePulses,
  costsOf,
  limitOf,
  seconds,
  stop,
  toSendOf,
  type Limit,
  type RANK,
  type Scene,
} from "./explain-limit.ts";

/** From this part of all that waits on, destinations that fail are what a person must hear first. */
const DESTINATIONS_HEAVY_SHARE = 0.1;

export function destinationLimits({ snapshot }: Scene): readonly Limit[] {
  const { failing, unproven, failingCount } = throttledOf(snapshot);
  const waiting = failing.reduce((sum, { destination }) => sum + waitingFor(snapshot, destination), 0);
  const isHeavy = waiting > 0 && waiting >= toSendOf(snapshot.lanes) * DESTINATIONS_HEAVY_SHARE;
  const rank = isHeavy ? "part" : "small";
  return [
    ...(failingCount > 1 ? [severalFailing(snapshot, failing, failingCount, { rank, waiting })] : []),
    ...(failingCount === 1 ? failing.map((one) => oneThrottled(snapshot, one, rank)) : []),
    ...unproven
      .slice(0, 1)
      .map((one) => oneThrottled(snapshot, one, isUnprovenHeavy(snapshot, one) ? "part" : "small")),
  ];
}

interface Throttled {
  readonly destination: string;
  readonly reason: Reason;
}

/** By the dispatchers' word, and by the relays' logs for what they have not tried since. The most waited for first. */
export function throttledOf(snapshot: EngineSnapshot): {
  readonly failing: readonly Throttled[];
  readonly unproven: readonly Throttled[];
  readonly failingCount: number;
} {
  const pulses = alivePulses(snapshot);
  const told = new Map<string, Throttled>();
  for (const { name, failures, probe_in_ms, error } of snapshot.destinations.worst) {
    if (probe_in_ms === null || probe_in_ms <= 0) continue;
    told.set(
      name,
      failingBy(name, { failures, probe_in_s: seconds(probe_in_ms), ...(error === null ? {} : { error }) }),
    );
  }
  for (const { destination, reason } of pulses.flatMap(({ throttled }) => throttled.some)) {
    told.set(destination, asFailing(destination, reason));
  }
  const byWaiting = [...told.values()].toSorted(
    (one, other) => waitingFor(snapshot, other.destination) - waitingFor(snapshot, one.destination),
  );
  const failing = byWaiting.filter(({ reason }) => reason.code === "destination_failing");
  const unproven = byWaiting.filter(({ reason }) => reason.code !== "destination_failing");
  const share = told.size === 0 ? 0 : failing.length / told.size;
  const counted = Math.max(0, ...pulses.map(({ throttled }) => Math.round(throttled.count * share)));
  return { failing, unproven, failingCount: Math.max(failing.length, counted) };
}

/** While its one probe is open it still is what fails. */
function asFailing(destination: string, reason: Reason): Throttled {
  if (reason.code !== "probing") return { destination, reason };
  const { failures = 1, error } = reason.evidence;
  return failingBy(destination, { failures, probe_in_s: 0, ...(error === undefined ? {} : { error }) });
}

function failingBy(destination: string, evidence: Reason["evidence"]): Throttled {
  return { destination, reason: stop("destination_failing", { destination, ...evidence }) };
}

function severalFailing(
  snapshot: EngineSnapshot,
  failing: readonly Throttled[],
  count: number,
  { rank, waiting }: { readonly rank: keyof typeof RANK; readonly waiting: number },
): Limit {
  const largest = failing.find(({ destination }) => waitingFor(snapshot, destination) > 0)?.destination;
  const evidence = { destinations: count, waiting, ...(largest === undefined ? {} : { largest }) };
  return limitOf(rank, stop("destinations_failing", evidence), { costs: costsOf(waiting) });
}

export function oneThrottled(
  snapshot: EngineSnapshot,
  { destination, reason }: Throttled,
  rank: keyof typeof RANK,
): Limit {
  const waiting = snapshot.waitingFor[destination]?.waiting ?? null;
  const evidence = waiting === null ? reason.evidence : { waiting, ...reason.evidence };
  return limitOf(rank, { ...reason, evidence }, { destination, costs: costsOf(waiting) });
}

function isUnprovenHeavy(snapshot: EngineSnapshot, { destination }: Throttled): boolean {
  return waitingFor(snapshot, destination) >= Math.max(1, toSendOf(snapshot.lanes) * DESTINATIONS_HEAVY_SHARE);
}

function waitingFor(snapshot: EngineSnapshot, destination: string): number {
  return snapshot.waitingFor[destination]?.waiting ?? 0;
}
