// Upkeep on a test's database, with nothing to rescue and nothing that comes home: what a test looks at comes in.

import type { TestContext } from "node:test";
import type { Pool } from "pg";
import { systemClock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { startUpkeep } from "../../src/upkeep/upkeep.ts";

type UpkeepSettings = Parameters<typeof startUpkeep>[0];
type UpkeepPorts = Parameters<typeof startUpkeep>[1];

/** It stops with the test. */
export function startQuietUpkeep(
  t: TestContext,
  pool: Pool,
  given: { readonly intake?: UpkeepSettings["intake"]; readonly onIntake?: UpkeepPorts["onIntake"] } = {},
): void {
  const nothing = async (): Promise<void> => undefined;
  const upkeep = startUpkeep(
    {
      noProgressAlarmMs: 60_000,
      vacuumAlarm: { deadRows: 1e9, heldForMs: 60_000, slotWalBytes: 1e12 },
      confirmingOutlets: [],
      returnsKeptMs: 1000,
      intake: given.intake ?? { waitingMax: 1e9, databaseBytesMax: 1e15, freeDiskBytesMin: 0 },
      bulkLanes: new Set(["bulk"]),
    },
    {
      pool,
      clock: systemClock,
      log: silentLog,
      rescueOverdue: nothing,
      takeReturns: nothing,
      onAlarm: () => undefined,
      onFinished: () => undefined,
      onStopped: () => undefined,
      onIntake: given.onIntake ?? (() => undefined),
      freeDiskBytes: () => Promise.resolve(undefined),
    },
  );
  t.after(() => upkeep.stop());
}
