// Notices to submitters, in the front: a loop that looks a few times a second what is owed.

import type { Pool } from "pg";
import { sendOwedNotices } from "../events/submitter-notices.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";
import { createPauses } from "../platform/pauses.ts";

/** Between two looks: a probe of an index that is nearly always empty. */
const LOOK_MS = 500;

export function startNotices(pool: Pool, { from, outlets }: Config, log: Log): { stop(): Promise<void> } {
  const pauses = createPauses(systemClock);
  const keep = Object.values(outlets).filter((outlet) => outlet.type === "smtp" && outlet.returnPath === "keep");
  const tellingOutlets = new Set(keep.map(({ name }) => name));
  const ports = { pool, clock: systemClock, log, from, tellingOutlets };
  const loop = (async () => {
    while (!pauses.isEnded) {
      try {
        await sendOwedNotices(ports);
      } catch (error) {
        log.warn("notices.not_sent", { error: error instanceof Error ? error.message : String(error) });
      }
      await pauses.wait(LOOK_MS);
    }
  })();
  return {
    async stop() {
      pauses.end();
      await loop;
    },
  };
}
