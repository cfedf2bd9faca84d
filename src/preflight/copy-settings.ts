// What preflight, preview and test copies need of the configuration: plain data, so that it can be passed to a worker.

import type { Config } from "../platform/config.ts";

export type PreflightSettings = Pick<Config, "from" | "publicUrl" | "returnsDomain" | "lanes" | "outlets" | "dkim">;

/** As its dispatcher takes it; a lane that this configuration does not have counts as bulk: then nothing is forgotten. */
export function isBulkLane({ lanes }: PreflightSettings, lane: string): boolean {
  return lanes[lane]?.priority !== "transactional";
}
