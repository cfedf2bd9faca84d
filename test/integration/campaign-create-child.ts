// A process that makes a draft of a file and can be killed in the middle: it says each batch that is in.

import { createDraft } from "../../src/campaigns/create-campaign.ts";
import { silentLog } from "../../src/platform/log.ts";
import { connectDatabase } from "../../src/postgres/database.ts";

const [databaseUrl, dataDir, file, templateDir] = process.argv.slice(2) as [string, string, string, string];
const database = await connectDatabase({ databaseUrl, dataDir, log: silentLog });
await createDraft(database.pool, {
  name: "march",
  lane: "bulk",
  list: { file },
  template: { named: templateDir },
  unsubscribe: "offered",
  onProgress: (progress) => process.stdout.write(`${JSON.stringify(progress)}\n`),
});
await database.close();
