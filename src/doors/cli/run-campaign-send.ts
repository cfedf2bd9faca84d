// `postlane campaign send`: create, check, import and start in one, with progress.

import { printCampaignId } from "../../mail/ids.ts";
import { sendCampaign, type CampaignRefused, type CampaignSent } from "../../campaigns/send-campaign.ts";
import { countDispatchers } from "../../reports/status-report.ts";
import { EXIT_DONE, EXIT_FAILED } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf, printCount } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export interface CampaignSendOptions extends CommonOptions {
  readonly list: string;
  readonly template: string;
  readonly lane: string;
  readonly name?: string;
  readonly from?: string;
  readonly allowEmpty?: boolean;
  readonly rejects?: string;
}

export async function runCampaignSend(options: CampaignSendOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  return await withDatabase(config, async (pool) => {
    const progress = createProgress("imported", "KB", output);
    const answer = await sendCampaign(pool, {
      file: options.list,
      templateDir: options.template,
      lane: options.lane,
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.from === undefined ? {} : { from: options.from }),
      ...(options.rejects === undefined ? {} : { rejectsFile: options.rejects }),
      allowEmpty: options.allowEmpty === true,
      onProgress: ({ bytesRead, bytesTotal }) => progress.update(bytesRead / 1000, bytesTotal / 1000),
    });
    progress.end();
    if (answer.kind === "refused") return tellRefused(answer, options);
    tellSent(answer, output);
    if ((await countDispatchers(pool, options.lane)) === 0) output.note("queued; run `postlane up` to send it");
    return EXIT_DONE;
  });
}

function tellRefused({ code, problems, empty }: CampaignRefused, options: CommonOptions): number {
  const message = "The campaign was not started, and nothing was queued:";
  if (options.json === true) createOutput(options).answer({ error: { code, message, problems, ...(empty && { empty }) } });
  else process.stderr.write(`postlane: ${[message, ...problems].join("\n  ")}\n`);
  return EXIT_FAILED;
}

function tellSent(sent: CampaignSent, output: Output): void {
  const id = printCampaignId(sent.campaignId);
  output.answer({});
  output.print(`${sent.name} (${id}) is running: ${countOf(sent.accepted, "message")} queued`);
  output.print(printCount(sent.rejected));
}
