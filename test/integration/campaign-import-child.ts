// A process that imports a list and can be killed in the middle: it says each batch that is in.

import { silentLog } from "../../src/platform/log.ts";
import { sendCampaign } from "../../src/campaigns/send-campaign.ts";
import { connectDatabase } from "../../src/postgres/database.ts";

const [databaseUrl, dataDir, file, templateDir] = process.argv.slice(2) as [string, string, string, string];
const database = await connectDatabase({ databaseUrl, dataDir, log: silentLog });
const answer = await sendCampaign(database.pool, {
  file,
  templateDir,
  lane: "bulk",
  onProgress: (progress) => process.stdout.write(`${JSON.stringify(progress)}\n`),
});
process.stdout.write(`${JSON.stringify({ ...answer, rssMax: process.resourceUsage().maxRSS })}\n`);
await database.close();
