// When relays report too many refusals that are not about the recipient: the same rule as for replies at hand-over
// (dispatcher/refusals.ts), for bulk lanes and on the word of our own relays alone. What is refused from then on is held
// and not bounced, and the pause is a row that every dispatcher of the lane obeys. Counts in memory; the front judges.

import type { LaneId } from "../mail/ids.ts";
import { tellReason, type Reason } from "../mail/reasons.ts";
import { createRefusalWatch, refusalReason, type RefusalWatch } from "../outcome/refusal-watch.ts";
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

export function createReturnedRefusals(maxRefusalsOf: (outlet: string) => number): ReturnedRefusals {
  const watches = new Map<LaneId, RefusalWatch>();
  /** In force, by their names. */
  let stopped = new Map<string, PauseTarget>();
  let fresh: NewStop[] = [];

  const watchOf = (laneId: LaneId): RefusalWatch => {
    const watch = watches.get(laneId) ?? createRefusalWatch();
    watches.set(laneId, watch);
    return watch;
  };
  const isInForce = (kind: PauseTarget["kind"], name: string, laneId: LaneId): boolean =>
    stopped.has(keyOf({ kind, name, laneId })) || stopped.has(keyOf({ kind, name, laneId: EVERY_LANE }));

  return {
    heard(pauses) {
      const before = stopped;
      stopped = new Map(
        pauses.map(({ kind, name, lane_id: laneId }) => {
          const target = { kind, name, laneId };
          return [keyOf(target), target];
        }),
      );
      for (const [key, target] of before) if (!stopped.has(key)) watches.get(target.laneId)?.forget(target);
    },
    isStopped({ laneId, outlet, destination, refusal, nowMs }) {
      const shareMax = maxRefusalsOf(outlet);
      const isRefusal = refusal !== undefined;
      const { tripped } = watchOf(laneId).note({ outlet, destination, isRefusal, shareMax }, nowMs);
      if (!isRefusal) return false;
      for (const count of tripped) {
        const target = { kind: count.kind, name: count.name, laneId };
        if (stopped.has(keyOf(target))) continue;
        stopped.set(keyOf(target), target);
        fresh.push({ target, reason: refusalReason(count, shareMax, refusal) });
      }
      return isInForce("destination", destination, laneId) || isInForce("outlet", outlet, laneId);
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

export function tellStop({ reason }: NewStop): string {
  return `bulk stops: ${tellReason(reason)}`;
}
