// What has to be done from time to time, whoever sends: fold the books, make messages of campaigns ahead of the dispatchers,
// judge their canaries, make tomorrow's partitions, sweep canceled campaigns, close finished ones, rescue leases whose
// dispatcher is long gone, judge what came back, look for hand-overs that nobody confirmed, forget suppressions and
// subscriptions that have ended, close lanes to more mail while the queue is full, raise alarms. Every round is safe to run twice and by several
// processes.

import type { Pool } from "pg";
import { finishCampaigns, reopenWaitingCampaigns } from "../campaigns/campaign-store.ts";
import { createFeeder } from "../campaigns/feed-campaigns.ts";
import { judgeCanaries, type StoppedCampaign } from "../campaigns/judge-canary.ts";
import { createPartitionsAhead } from "../events/event-store.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { createPauses } from "../platform/pauses.ts";
import { foldBalance } from "../queue/balance-store.ts";
import { readIntakes, setIntake } from "../queue/lane-store.ts";
import { pruneJudged } from "../returns/return-store.ts";
import { countUnaccounted } from "../returns/unaccounted-store.ts";
import { lookForUnaccounted } from "../returns/unaccounted.ts";
import { pruneSubscriptions } from "../subscriptions/subscription-store.ts";
import { pruneSuppressions } from "../suppression/suppression-store.ts";
import { createAlarmWatch, createUnaccountedWatch, type Alarm } from "./alarm.ts";
import { intakeChanges, type IntakeLimits, type LaneIntake } from "./intake.ts";
import { sweepCanceled } from "./sweep.ts";
import { readProgress, readQueueSize } from "./upkeep-store.ts";
import { createVacuumWatch, type VacuumLimits } from "./vacuum-alarm.ts";
import { readVacuumState } from "./vacuum-store.ts";

export interface UpkeepSettings {
  readonly noProgressAlarmMs: number;
  readonly vacuumAlarm: VacuumLimits;
  /** Outlets whose relay reports back on what it took. */
  readonly confirmingOutlets: readonly string[];
  /** How long judged notices are kept: as long as the other side may report back. */
  readonly returnsKeptMs: number;
  readonly intake: IntakeLimits;
  /** Lanes whose priority is bulk. */
  readonly bulkLanes: ReadonlySet<string>;
}

export interface UpkeepPorts {
  readonly pool: Pool;
  readonly clock: Clock;
  readonly log: Log;
  readonly rescueOverdue: () => Promise<void>;
  /** Takes and judges what came back and is due. */
  readonly takeReturns: () => Promise<void>;
  readonly onAlarm: (alarm: Alarm) => void;
  readonly onFinished: (campaign: string) => void;
  readonly onStopped: (campaign: StoppedCampaign) => void;
  readonly onIntake: (change: LaneIntake) => void;
  /** Of the database's disk, where that is this machine's. */
  readonly freeDiskBytes: () => Promise<number | undefined>;
}

const ROUND_MS = 1000;
/** A campaign that starts is felt within this, and one at a pace goes in steps of it. */
const FEED_MS = 100;
/** The database's size is found out by looking at all its files. */
const INTAKE_MS = 2000;
/** Who holds back vacuum has done so for half a minute, or is of no interest. */
const VACUUM_MS = 5000;
const PARTITIONS_MS = 3_600_000;
const PARTITION_DAYS_AHEAD = 3;
const RESCUE_MS = 5000;
/** Between two looks for what came back: a probe of an index, and what a log says is known in a quarter of a second. */
const RETURNS_MS = 200;
const UNACCOUNTED_MS = 60_000;
const REOPEN_MS = 60_000;
const PRUNE_MS = 60_000;
/** Of one transaction. */
const PRUNE_ROWS_MAX = 5000;

export interface Upkeep {
  stop(): Promise<void>;
}

export function startUpkeep(settings: UpkeepSettings, ports: UpkeepPorts): Upkeep {
  const { pool, clock, log } = ports;
  const watch = createAlarmWatch(settings.noProgressAlarmMs);
  const unaccounted = createUnaccountedWatch();
  const vacuum = createVacuumWatch(settings.vacuumAlarm);
  const feeder = createFeeder({ pool, clock });
  const pauses = createPauses(clock);
  const every = async (ms: number, name: string, work: () => Promise<void>): Promise<void> => {
    while (!pauses.isEnded) {
      try {
        await work();
      } catch (error) {
        log.warn("upkeep.failed", { work: name, error: error instanceof Error ? error.message : String(error) });
      }
      await pauses.wait(ms);
    }
  };
  const loops = Promise.all([
    every(ROUND_MS, "fold", () => foldBalance(pool)),
    every(FEED_MS, "feed", () => feeder.feed()),
    every(ROUND_MS, "canary", async () => {
      for (const stopped of await judgeCanaries(pool)) ports.onStopped(stopped);
    }),
    every(ROUND_MS, "sweep", async () => void (await sweepCanceled(pool))),
    every(ROUND_MS, "finish", async () => {
      for (const { name } of await finishCampaigns(pool)) ports.onFinished(name);
    }),
    every(ROUND_MS, "alarm", async () => {
      for (const alarm of watch.look(await readProgress(pool), clock.monotonicMs())) ports.onAlarm(alarm);
    }),
    every(VACUUM_MS, "vacuum", async () => {
      for (const alarm of vacuum.look(await readVacuumState(pool), clock.monotonicMs())) ports.onAlarm(alarm);
    }),
    every(INTAKE_MS, "intake", () => judgeIntake(settings, ports)),
    every(PARTITIONS_MS, "partitions", () => createPartitionsAhead(pool, PARTITION_DAYS_AHEAD)),
    every(RESCUE_MS, "rescue", ports.rescueOverdue),
    every(RETURNS_MS, "returns", ports.takeReturns),
    every(REOPEN_MS, "reopen", () => reopenWaitingCampaigns(pool)),
    every(UNACCOUNTED_MS, "unaccounted", async () => {
      await lookForUnaccounted(pool, settings.confirmingOutlets);
      for (const alarm of unaccounted.look(await countUnaccounted(pool))) ports.onAlarm(alarm);
    }),
    every(PRUNE_MS, "prune returns", async () => {
      while ((await pruneJudged(pool, settings.returnsKeptMs, PRUNE_ROWS_MAX)) > 0);
    }),
    every(PRUNE_MS, "prune suppressions", async () => {
      while ((await pruneSuppressions(pool, PRUNE_ROWS_MAX)) > 0);
    }),
    every(PRUNE_MS, "prune subscriptions", async () => {
      while ((await pruneSubscriptions(pool, PRUNE_ROWS_MAX)) > 0);
    }),
  ]);
  return {
    async stop() {
      pauses.end();
      await loops;
    },
  };
}

async function judgeIntake({ bulkLanes, intake }: UpkeepSettings, { pool, freeDiskBytes, onIntake }: UpkeepPorts) {
  const { waiting, database_bytes } = await readQueueSize(pool);
  const figures = { waiting, databaseBytes: database_bytes, freeDiskBytes: await freeDiskBytes() };
  for (const change of intakeChanges(await readIntakes(pool), bulkLanes, figures, intake)) {
    await setIntake(pool, change.lane, change.full_because);
    onIntake(change);
  }
}
