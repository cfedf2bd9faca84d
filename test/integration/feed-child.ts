// A process that makes messages of campaigns and can be killed in the middle.

import { createFeeder } from "../../src/campaigns/feed-campaigns.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { connectDatabase } from "../../src/postgres/database.ts";

const [databaseUrl, dataDir] = process.argv.slice(2) as [string, string];
const database = await connectDatabase({ databaseUrl, dataDir, log: silentLog });
await createFeeder({ pool: database.pool, clock: systemClock }).feed();
await database.close();
