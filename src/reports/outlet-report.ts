// The outlets: what stands in the configuration, what a person or a rule has stopped, what the dispatchers say of each,
// and what stops or limits it. Pure: made of a snapshot.

import type { Config } from "../platform/config.ts";
import type { EngineSnapshot } from "./engine-snapshot.ts";
import { laneNames, RANK } from "./explain-limit.ts";
import { findLimits } from "./explain-limits.ts";
import { shapeLimit, type ExplainedLimit } from "./explain.ts";

export interface ReportedOutlet {
  readonly name: string;
  readonly type: string;
  readonly lanes: readonly string[];
  /** For some lane, or for all. */
  readonly is_paused: boolean;
  /** Over all dispatchers. */
  readonly window: number;
  readonly open: number;
  readonly limits: readonly ExplainedLimit[];
}

export function reportOutlets(snapshot: EngineSnapshot, config: Config, nowMs: number): readonly ReportedOutlet[] {
  const around = { nowMs, dispatcherSeenAtMs: {}, alarms: [], databaseAlarms: [], cpuWaiting: null };
  const limits = findLimits({ snapshot, config, around }).filter(({ rank }) => rank < RANK.note);
  return Object.values(config.outlets).map(({ name, type }) => {
    const pulses = snapshot.lanes
      .flatMap((lane) => lane.dispatchers.filter((one) => one.isAlive))
      .flatMap(({ pulse }) => pulse.outlets.filter((outlet) => outlet.name === name));
    return {
      name,
      type,
      lanes: laneNames(name, config),
      is_paused: snapshot.pauses.some((pause) => pause.kind === "outlet" && pause.name === name),
      window: pulses.reduce((sum, { window }) => sum + window, 0),
      open: pulses.reduce((sum, { open }) => sum + open, 0),
      limits: limits.filter(({ outlet }) => outlet === name).map(shapeLimit),
    };
  });
}
