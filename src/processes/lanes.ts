// Lanes of the configuration and lanes of the database, brought together.

import type { Pool } from "pg";
import type { RescueContext } from "../dispatcher/rescue.ts";
import { readSight } from "../guard/guard-store.ts";
import { printIdentity } from "../guard/judge-guard.ts";
import type { LaneId } from "../mail/ids.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";
import { readBootId } from "../platform/process-identity.ts";
import { systemRandom } from "../platform/random.ts";
import { listLanes, syncLanes } from "../queue/lane-store.ts";

export async function laneIdOf(pool: Pool, config: Config, name: string): Promise<LaneId> {
  await syncLanes(pool, config.lanes);
  const lane = (await listLanes(pool)).find((row) => row.name === name);
  if (lane === undefined) throw new Error(`lane "${name}" was not made in the database`);
  return lane.id;
}

export async function rescueContextOf(pool: Pool, config: Config, log: Log): Promise<RescueContext> {
  const names = new Map((await listLanes(pool)).map((row) => [row.id, row.name]));
  return {
    pool,
    bootId: readBootId(),
    database: printIdentity((await readSight(pool)).seen),
    // A lane that the configuration has forgotten: its unknown messages wait for a person, as bulk's do.
    laneSettingsOf: (id) => config.lanes[names.get(id) ?? "bulk"] ?? config.lanes["bulk"]!,
    nowMs: () => systemClock.wallMs(),
    random: () => systemRandom.unit(),
    log,
  };
}

/** Lanes that give way, by the configuration. */
export function bulkLanesOf({ lanes }: Config): ReadonlySet<string> {
  const bulk = Object.values(lanes).filter(({ priority }) => priority === "bulk");
  return new Set(bulk.map(({ name }) => name));
}
