// The journals of this data directory, and the rescue of what their dead processes had claimed: every dispatcher does it
// when it starts, for all lanes, and the front from time to time, so that one that died alone waits for nobody.

import path from "node:path";
import type { Pool } from "pg";
import type { JournalHead } from "../dispatcher/journal.ts";
import { rescueByJournals } from "../dispatcher/rescue.ts";
import type { Config } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";
import { processStartOf } from "../platform/process-identity.ts";
import { rescueContextOf } from "./lanes.ts";

/** To be called while no dispatcher of this very process is at work: its journals count as those of the dead. */
export async function rescueHere(config: Config, pool: Pool, log: Log): Promise<void> {
  const context = await rescueContextOf(pool, config, log);
  await rescueByJournals(context, journalDirOf(config), (head) => isAliveElsewhere(head, context.bootId));
}

/** After a boot, another process may have the same pid and the same start in the kernel's ticks. */
function isAliveElsewhere({ bootId, pid, processStart }: JournalHead, ownBootId: string): boolean {
  return pid !== process.pid && bootId === ownBootId && processStartOf(pid) === processStart;
}

export function journalDirOf(config: Config): string {
  return path.join(config.dataDir, "journal");
}
