// Reads all sheets again and again while a campaign runs, each time in one snapshot, and judges them. A database that is down
// for a moment is no violation: then there is no sample.

import { setTimeout as sleep } from "node:timers/promises";
import { sheetProblems } from "./campaign-check.ts";
import { readSample, type Sample } from "./campaign-store.ts";
import type { Installation } from "./installation.ts";
import { readRssMbMax } from "./lane-rig.ts";
import { processesOf } from "./running-processes.ts";
import { openSiteDatabase } from "./site-database.ts";

export interface Sampler {
  readonly samples: number;
  /** Of all samples. */
  readonly violations: number;
  /** The first few, in words. */
  readonly told: readonly string[];
  readonly rssMbFrontMax: number;
  /** Undefined until there is one. */
  readonly latest: Sample | undefined;
  /** Ends after the read that is under way. Rejects when reading failed for another reason than a database that is down. */
  stop(): Promise<void>;
}

const SAMPLE_EVERY_MS = 200;
const MEMORY_EVERY_SAMPLES = 5;
const TOLD_MAX = 20;

export function startSampler(installation: Installation, say: (line: string) => void): Sampler {
  const database = openSiteDatabase(installation.dataDir);
  const told: string[] = [];
  const state = { samples: 0, violations: 0, rssMbFrontMax: 0, isStopped: false };
  let latest: Sample | undefined;

  const judge = (sample: Sample): void => {
    state.samples++;
    latest = sample;
    for (const problem of sheetProblems(sample)) {
      state.violations++;
      if (told.length >= TOLD_MAX) continue;
      told.push(`sample ${state.samples}: ${problem}`);
      say(`VIOLATION: ${told.at(-1)}`);
    }
  };
  const running = (async () => {
    for (let looks = 0; !state.isStopped; looks++) {
      const call = await database.call(readSample);
      if (call.kind === "committed") judge(call.value);
      if (looks % MEMORY_EVERY_SAMPLES === 0)
        state.rssMbFrontMax = Math.max(state.rssMbFrontMax, rssMbOfFront(installation));
      await sleep(SAMPLE_EVERY_MS);
    }
    await database.close();
  })();
  running.catch(() => {}); // Heard when it is stopped.
  return {
    get samples() {
      return state.samples;
    },
    get violations() {
      return state.violations;
    },
    told,
    get rssMbFrontMax() {
      return state.rssMbFrontMax;
    },
    get latest() {
      return latest;
    },
    async stop() {
      state.isStopped = true;
      await running;
    },
  };
}

/** 0 while there is none. */
function rssMbOfFront({ folder }: Installation): number {
  const fronts = processesOf(folder).filter(({ command }) => command.includes(" front "));
  return Math.max(0, ...fronts.map(({ pid }) => rssMbOrNone(pid)));
}

/** It may be gone already. */
function rssMbOrNone(pid: number): number {
  try {
    return readRssMbMax(pid) || 0;
  } catch {
    return 0;
  }
}
