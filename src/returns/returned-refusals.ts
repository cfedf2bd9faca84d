// When relays report too many refusals that are not about the recipient: the same rule as for replies at hand-over
// (dispatcher/refusals.ts), for bulk lanes and on the word of our own relays alone. What is refused from then on is held
// and not bounced, and the pause is a row that every dispatcher of the lane obeys. Counts in memory; the front judges.

import type { LaneId } from "../mail/ids.ts";
import { tellReason, type Reason } from "../mail/reasons.ts";
import { createRefusalWatch, type RefusalCount, type RefusalWatch } from "../outcome/refusal-watch.ts";
import { EVERY_LANE, type PauseRow, type PauseTarget } from "../queue/pause-store.ts";

export interface ReportedAnswer {
  readonly laneId: LaneId;
  readonly outlet: string;
  readonly destination: string;
  /** The refusal of policy; absent: any other answer. */
  readonly refusal?: string | undefined;
  readonly nowMs: number;
}

export interface NewStop {
  readonly target: PauseTarget;
  readonly reason: Reason;
}

export interface ReturnedRefusals {
  /** What is in force, as the batch begins. What a person has resumed is counted anew. */
  heard(pauses: readonly PauseRow[]): void;
  /** Counts it; true: it is a refusal, and its like have stopped bulk to its destination or through its outlet. */
  isStopped(answer: ReportedAnswer): boolean;
  /** The stops that came with the batch, once. */
  newStops(): readonly NewStop[];
}

/** As long as the watch looks back; a destination counts once in it against its outlet. */
const COUNTED_MS = 600_000;
const COUNTED_MAX = 10_000;

export function createReturnedRefusals(maxRefusalsOf: (outlet: string) => number): ReturnedRefusals {
  const watches = new Map<string, RefusalWatch>();
  const countedAtMs = new Map<string, number>();
  const stopped = new Set<string>();
  let fresh: NewStop[] = [];

  const watchOf = (outlet: string): RefusalWatch => {
    const watch = watches.get(outlet) ?? createRefusalWatch(maxRefusalsOf(outlet));
    watches.set(outlet, watch);
    return watch;
  };
  const isNewAgainst = ({ outlet, destination, nowMs }: ReportedAnswer): boolean => {
    const key = `${outlet} ${destination}`;
    if (nowMs - (countedAtMs.get(key) ?? -Infinity) < COUNTED_MS) return false;
    if (countedAtMs.size >= COUNTED_MAX) countedAtMs.clear();
    countedAtMs.set(key, nowMs);
    return true;
  };
  const stop = (target: PauseTarget, answer: ReportedAnswer, count: RefusalCount): void => {
    if (stopped.has(keyOf(target))) return;
    stopped.add(keyOf(target));
    fresh.push({ target, reason: reasonOf(target, count, maxRefusalsOf(answer.outlet), answer.refusal!) });
  };

  return {
    heard(pauses) {
      const now = new Set(pauses.map(({ kind, name, lane_id }) => keyOf({ kind, name, laneId: lane_id })));
      for (const key of stopped) {
        if (now.has(key)) continue;
        stopped.delete(key);
        for (const watch of watches.values()) watch.forget(key);
      }
      for (const key of now) stopped.add(key);
    },
    isStopped(answer) {
      const { laneId, outlet, destination, refusal, nowMs } = answer;
      const here = { kind: "destination", name: destination, laneId } as const;
      const there = { kind: "outlet", name: outlet, laneId } as const;
      const isRefusal = refusal !== undefined;
      const watch = watchOf(outlet);
      const byDestination = watch.note(keyOf(here), isRefusal, nowMs);
      const byOutlet = watch.note(keyOf(there), isRefusal && isNewAgainst(answer), nowMs);
      if (!isRefusal) return false;
      if (byOutlet.isTripped) stop(there, answer, byOutlet);
      if (byDestination.isTripped) stop(here, answer, byDestination);
      return [here, there].some(
        (target) => stopped.has(keyOf(target)) || stopped.has(keyOf({ ...target, laneId: EVERY_LANE })),
      );
    },
    newStops() {
      const stops = fresh;
      fresh = [];
      return stops;
    },
  };
}

function keyOf({ kind, name, laneId }: PauseTarget): string {
  return `${laneId} ${kind} ${name}`;
}

function reasonOf(
  { kind, name }: PauseTarget,
  { answers, refusals }: RefusalCount,
  share: number,
  reply: string,
): Reason {
  const max_percent = Math.round(share * 1000) / 10;
  return {
    code: "policy_refusals",
    limits: "stop",
    limit: 0,
    evidence: { scope: kind, name, refusals, answers, max_percent, reply },
  };
}

export function tellStop({ reason }: NewStop): string {
  return `bulk stops: ${tellReason(reason)}`;
}
