// The engine kept in mind: the last snapshot, read anew every second, and since when it could not be. So explain and the
// metrics answer at once, and also while the disk or the database stands still. One read is under way at a time, each is
// given up by the pool's own timeout, and nothing is written, neither to the database nor to the log's disk.

import type { Pool } from "pg";
import type { Reason } from "../mail/reasons.ts";
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import { createPauses } from "../platform/pauses.ts";
import { createCpuPressure } from "./cpu-pressure.ts";
import { readSnapshot, type EngineSnapshot } from "./engine-snapshot.ts";
import { isHeard, type Surroundings } from "./explain-limit.ts";
import { failureOf, type Known } from "./explain-question.ts";

export interface EngineWatch {
  known(): Known;
  /** Upkeep's alarms, as they are raised and taken back; those of a lane and of the database are kept in mind. */
  hear(alarm: { readonly lane?: string; readonly reason?: Reason; readonly isRaised: boolean }): void;
  stop(): Promise<void>;
}

export interface EngineWatchPorts {
  /** With a query timeout of its own: `READ_MS_MAX`. */
  readonly pool: Pool;
  readonly clock: Clock;
  readonly config: Pick<Config, "leaseMs">;
  /** What `/proc/pressure/cpu` says; undefined where there is none. */
  readonly readCpuPressure: () => string | undefined;
  /** After each look, whether or not the database answered. */
  readonly onLook: (known: Known) => void;
}

const ROUND_MS = 1000;
/** A read takes a few milliseconds; one that is under way for longer than this is told as silence, before it fails. */
const SILENT_MS = 1500;

export function watchEngine({ pool, clock, config, readCpuPressure, onLook }: EngineWatchPorts): EngineWatch {
  const cpu = createCpuPressure();
  const seen: Record<string, number> = {};
  const alarms = new Map<string, number>();
  const databaseAlarms = new Map<string, Reason>();
  let snapshot: EngineSnapshot | undefined;
  let answeredAtMs = clock.wallMs();
  let askedAtMs: number | undefined;
  let failure: string | undefined;
  const pauses = createPauses(clock);

  const read = async (): Promise<void> => {
    askedAtMs = clock.wallMs();
    try {
      snapshot = await readSnapshot(pool);
      remember(snapshot);
      answeredAtMs = askedAtMs;
      failure = undefined;
    } catch (error) {
      failure = failureOf(error);
    }
    askedAtMs = undefined;
  };
  const remember = (of: EngineSnapshot): void => {
    for (const { name, dispatchers } of of.lanes) {
      if (dispatchers.some((one) => isHeard(one, config, of))) seen[name] = of.atMs;
    }
  };
  const known = (): Known => {
    cpu.take(readCpuPressure(), clock.monotonicMs());
    const nowMs = clock.wallMs();
    const isLate = askedAtMs !== undefined && nowMs - askedAtMs > SILENT_MS;
    const silence = failure ?? (isLate ? `nothing for ${SILENT_MS / 1000} s` : undefined);
    const around: Surroundings = {
      nowMs,
      ...(silence === undefined ? {} : { databaseSilent: { sinceMs: answeredAtMs, error: silence } }),
      dispatcherSeenAtMs: seen,
      alarms: Array.from(alarms, ([lane, sinceMs]) => ({ lane, sinceMs })),
      databaseAlarms: [...databaseAlarms.values()],
      cpuWaiting: cpu.share(),
    };
    return { snapshot, around };
  };
  const rounds = (async () => {
    while (!pauses.isEnded) {
      cpu.take(readCpuPressure(), clock.monotonicMs());
      await read();
      onLook(known());
      await pauses.wait(ROUND_MS);
    }
  })();

  return {
    known,
    hear({ lane, reason, isRaised }) {
      if (reason !== undefined) {
        const key = `${reason.code} ${reason.code === "slot_keeps_wal" ? reason.evidence["slot"] : ""}`;
        if (isRaised) databaseAlarms.set(key, reason);
        else databaseAlarms.delete(key);
      }
      if (lane === undefined) return;
      if (isRaised) alarms.set(lane, clock.wallMs());
      else alarms.delete(lane);
    },
    async stop() {
      pauses.end();
      await rounds;
    },
  };
}
