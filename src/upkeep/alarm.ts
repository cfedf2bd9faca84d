// Nothing stops in silence: a lane with backlog in which nothing was settled for `no_progress_alarm` raises an alarm,
// once, and takes it back when it moves again. So does an outlet with hand-overs that its relay never confirmed, until
// they are accounted for. Pure.

import type { LaneProgress } from "./upkeep-store.ts";
import type { VacuumAlarm } from "./vacuum-alarm.ts";

export type Alarm = LaneAlarm | OutletAlarm | VacuumAlarm;

interface LaneAlarm {
  readonly lane: string;
  readonly isRaised: boolean;
  readonly detail: string;
}

interface OutletAlarm {
  readonly outlet: string;
  readonly isRaised: boolean;
  readonly detail: string;
}

export interface AlarmWatch {
  /** The alarms that begin or end with this look. */
  look(lanes: readonly LaneProgress[], nowMs: number): readonly Alarm[];
}

export function createAlarmWatch(noProgressMs: number): AlarmWatch {
  const stuckSinceMs = new Map<string, number>();
  const idleAtMs = new Map<string, number>();
  const raised = new Set<string>();
  return {
    look(lanes, nowMs) {
      return lanes.flatMap((lane): readonly Alarm[] => {
        const isMoving = lane.queued === 0 || lane.is_paused || (lane.settled_ms_ago ?? Infinity) < noProgressMs;
        if (isMoving) {
          stuckSinceMs.delete(lane.lane);
          if (lane.queued === 0 || lane.is_paused) idleAtMs.set(lane.lane, nowMs);
          if (!raised.delete(lane.lane)) return [];
          return [{ lane: lane.lane, isRaised: false, detail: "messages are settled again, or none wait" }];
        }
        // What came just now into a lane that had nothing to do has not waited since the last settle.
        const quietSinceMs = Math.max(
          nowMs - Math.min(lane.settled_ms_ago ?? 0, noProgressMs),
          idleAtMs.get(lane.lane) ?? -Infinity,
        );
        const sinceMs = stuckSinceMs.get(lane.lane) ?? quietSinceMs;
        stuckSinceMs.set(lane.lane, sinceMs);
        if (nowMs - sinceMs < noProgressMs || raised.has(lane.lane)) return [];
        raised.add(lane.lane);
        return [{ lane: lane.lane, isRaised: true, detail: explainStop(lane, noProgressMs) }];
      });
    },
  };
}

export interface UnaccountedWatch {
  /** The alarms that begin, grow or end with this look. */
  look(counts: readonly { readonly outlet: string; readonly n: number }[]): readonly Alarm[];
}

/** Told again when there are so many times more: a relay that is lost for good should not fill the log. */
const GROWTH = 10;

export function createUnaccountedWatch(): UnaccountedWatch {
  const told = new Map<string, number>();
  return {
    look(counts) {
      const ended = [...told.keys()].filter((outlet) => counts.every((count) => count.outlet !== outlet));
      for (const outlet of ended) told.delete(outlet);
      const news = counts.filter(({ outlet, n }) => n >= (told.get(outlet) ?? 0) * GROWTH && n > 0);
      for (const { outlet, n } of news) told.set(outlet, n);
      return [
        ...ended.map((outlet) => ({ outlet, isRaised: false, detail: "every hand-over is accounted for" })),
        ...news.map(({ outlet, n }) => ({ outlet, isRaised: true, detail: explainUnaccounted(outlet, n) })),
      ];
    },
  };
}

function explainUnaccounted(outlet: string, n: number): string {
  const messages = n === 1 ? "1 message" : `${n} messages`;
  return `${messages} handed to outlet ${outlet} were never confirmed by its relay: see \`postlane unaccounted list\``;
}

function explainStop(lane: LaneProgress, noProgressMs: number): string {
  const waiting = `${lane.queued} messages wait in lane ${lane.lane} and none was settled for ${noProgressMs / 1000} s`;
  if (lane.dispatchers === 0) return `${waiting}: no dispatcher serves it; run \`postlane up\``;
  return `${waiting}: see \`postlane status\` for what its dispatchers say`;
}
