// When relays report too many refusals that are not about the recipient: the same rule as for replies at hand-over
// (dispatcher/refusals.ts), for bulk lanes and on the word of our own relays alone. What is refused from then on is held
// and not bounced, and the pause is a row that every dispatcher of the lane obeys. Counts in memory; the front judges.

import type { LaneId } from "../mail/ids.ts";
import { tellReason, type Reason } from "../mail/reasons.ts";
import { createRefusalWatch, isBounceAlready, refusalReason } from "../outcome/refusal-watch.ts";
import { EVERY_LANE, type PauseRow, type PauseTarget } from "../queue/pause-store.ts";

export interface ReportedAnswer {
  readonly laneId: LaneId;
  readonly outlet: string;
  readonly destination: string;
  /** The refusal of policy; absent: any other answer. */
  readonly refusal?: string | undefined;
  readonly attempt: number;
  readonly nowMs: number;
}

export interface NewStop {
  readonly target: PauseTarget;
  readonly reason: Reason;
}

export interface ReturnedRefusals {
  /** What is in force, as the batch begins. What a person has resumed is counted anew. */
  heard(pauses: readonly PauseRow[]): void;
  /** Counts it. A refusal whose like have stopped bulk is held; one of which too few are known to tell waits. */
  judge(answer: ReportedAnswer): "as_it_is" | "held" | "waits";
  /** The stops that came with the batch, once. */
  newStops(): readonly NewStop[];
}

export function createReturnedRefusals(maxRefusalsOf: (outlet: string) => number): ReturnedRefusals {
  const watch = createRefusalWatch();
  const stopped = new Map<string, PauseTarget>();
  let fresh: NewStop[] = [];

  const stop = (target: PauseTarget, reason: Reason): void => {
    if (stopped.has(keyOf(target))) return;
    stopped.set(keyOf(target), target);
    fresh.push({ target, reason });
  };
  const isStopped = ({ laneId, outlet, destination }: ReportedAnswer): boolean =>
    [laneId, EVERY_LANE].some(
      (lane) =>
        stopped.has(keyOf({ kind: "destination", name: destination, laneId: lane })) ||
        stopped.has(keyOf({ kind: "outlet", name: outlet, laneId: lane })),
    );

  return {
    heard(pauses) {
      const now = new Set(pauses.map(({ kind, name, lane_id: laneId }) => keyOf({ kind, name, laneId })));
      for (const [key, { kind, name, laneId }] of stopped) {
        if (now.has(key)) continue;
        stopped.delete(key);
        watch.forget({ kind, name: ofLane(laneId, name) });
      }
      for (const { kind, name, lane_id: laneId } of pauses)
        stopped.set(keyOf({ kind, name, laneId }), { kind, name, laneId });
    },
    judge(answer) {
      const { laneId, outlet, destination, refusal, attempt, nowMs } = answer;
      const shareMax = maxRefusalsOf(outlet);
      const noted = watch.note(
        {
          outlet: ofLane(laneId, outlet),
          destination: ofLane(laneId, destination),
          isRefusal: refusal !== undefined,
          shareMax,
        },
        nowMs,
      );
      if (refusal === undefined) return "as_it_is";
      for (const { kind, answers, refusals } of noted.tripped) {
        const name = kind === "outlet" ? outlet : destination;
        stop({ kind, name, laneId }, refusalReason({ kind, name, answers, refusals }, shareMax, refusal));
      }
      if (isStopped(answer)) return "held";
      return isBounceAlready(noted.isTelling, attempt) ? "as_it_is" : "waits";
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

/** Lanes are counted apart: what stops one may be its own fault. */
function ofLane(laneId: LaneId, name: string): string {
  return `${laneId} ${name}`;
}

export function tellStop({ reason }: NewStop): string {
  return `bulk stops: ${tellReason(reason)}`;
}
