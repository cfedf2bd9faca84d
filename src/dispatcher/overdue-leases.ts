// Which leases are overdue, for whoever rescues without a journal: those that ended a grace ago, and that this process has
// itself seen ended for a while. For when the database stood still, all leases in it are over as it goes on, and some of
// their holders live: they know, each by its journal, what became of their messages, and are given the time to say so. Pure.

import type { LeaseId } from "../mail/ids.ts";

interface Lease {
  readonly id: LeaseId;
  readonly late_ms: number;
}

export interface OverdueLeases {
  /** Of all leases that there are, at this monotonic moment. */
  among<L extends Lease>(leases: readonly L[], nowMs: number): readonly L[];
}

/** A dispatcher that hears that its lease is over has a new one, and has rescued what it had, within about a second. */
const SEEN_MS_MIN = 10_000;

export function createOverdueLeases(graceMs: number): OverdueLeases {
  let seenAtMs: ReadonlyMap<LeaseId, number> = new Map();
  return {
    among(leases, nowMs) {
      const ended = leases.filter((lease) => lease.late_ms >= 0);
      seenAtMs = new Map(ended.map(({ id }) => [id, seenAtMs.get(id) ?? nowMs]));
      const seenMsMin = Math.min(graceMs, SEEN_MS_MIN);
      return ended.filter(({ id, late_ms }) => late_ms >= graceMs && nowMs - seenAtMs.get(id)! >= seenMsMin);
    },
  };
}
