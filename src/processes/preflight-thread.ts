// A thread of the front that looks at all of a campaign's messages: up to a million are rendered, and the front must answer
// meanwhile. It has sessions of its own, and keeps what it has found, or why it could not, in the database.

import { parentPort, workerData } from "node:worker_threads";
import { findCampaign } from "../campaigns/campaign-store.ts";
import { resolverOf } from "../doors/cli/dns-resolver.ts";
import type { PreflightOrder } from "../doors/http/http-api.ts";
import { systemClock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import { createLog } from "../platform/log.ts";
import { SESSIONS_MAX } from "../platform/session-limits.ts";
import { connectDatabase } from "../postgres/database.ts";
import { preflightCampaign } from "../preflight/preflight-campaign.ts";
import { keepPreflight } from "../preflight/preflight-store.ts";

/** Plain data: the configuration is. */
export interface PreflightThreadData {
  readonly config: Config;
  readonly order: PreflightOrder;
}

await run(workerData as PreflightThreadData);

async function run({ config, order: { campaignId: id, sampleRows, isDnsAsked } }: PreflightThreadData): Promise<void> {
  const { databaseUrl, dataDir } = config;
  const log = createLog(config.logLevel, { process: "front", thread: "preflight" });
  const given = { databaseUrl, dataDir, log, role: "front preflight", connectionsMax: SESSIONS_MAX.frontPreflight };
  const { pool, close } = await connectDatabase(given);
  try {
    const campaign = await findCampaign(pool, "", id);
    if (campaign === undefined) throw new Error(`campaign ${id} is not in the database`);
    const resolver = isDnsAsked ? resolverOf(config) : undefined;
    const report = await preflightCampaign({ pool, clock: systemClock, settings: config, resolver }, campaign, {
      sampleRows,
    });
    await keepPreflight(pool, id, { report });
    // Its exit code says little: a thread that was ended before it began has 0.
    parentPort?.postMessage("kept");
  } finally {
    await close();
  }
}
