// Notices to submitters, in the front: a loop that looks a few times a second what is owed.

import type { Pool } from "pg";
import { sendOwedNotices } from "../events/submitter-notices.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { Log } from "../platform/log.ts";

/** Between two looks: a probe of an index that is nearly always empty. */
const LOOK_MS = 500;

export function startNotices(pool: Pool, { from, outlets }: Config, log: Log): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const keep = Object.values(outlets).filter((outlet) => outlet.type === "smtp" && outlet.returnPath === "keep");
  const tellingOutlets = new Set(keep.map(({ name }) => name));
  const ports = { pool, clock: systemClock, log, from, tellingOutlets };
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      try {
        await sendOwedNotices(ports);
      } catch (error) {
        log.warn("notices.not_sent", { error: error instanceof Error ? error.message : String(error) });
      }
      await pause(LOOK_MS, stopping.signal);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await loop;
    },
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = systemClock.after(signal.aborted ? 0 : ms, end);
    signal.addEventListener("abort", end);
  });
}
