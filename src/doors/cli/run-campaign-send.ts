// `postlane campaign send`: create, check, import and start in one, with progress.

import { sendCampaign, type CampaignSent } from "../../campaigns/send-campaign.ts";
import type { StartWish } from "../../campaigns/start-campaign.ts";
import { offerOf } from "../../campaigns/unsubscribe-offer.ts";
import { reportStart } from "../../reports/start-report.ts";
import { countDispatchers } from "../../reports/status-report.ts";
import { readColumnTypes } from "./read-column-option.ts";
import { EXIT_DONE } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { printStart, wishOf, type StartOptions } from "./run-campaign-start.ts";
import { tellRefused } from "./tell-refused.ts";
import { withDatabase } from "./with-database.ts";

export interface CampaignSendOptions extends CommonOptions, StartOptions {
  readonly list: string;
  readonly template: string;
  readonly lane: string;
  readonly name?: string;
  readonly from?: string;
  readonly allowEmpty?: boolean;
  readonly column?: readonly string[];
  readonly rejects?: string;
  readonly listName?: string;
  /** Of `--no-unsubscribe <reason>`: the reason, or true when it was not given. */
  readonly unsubscribe: string | true;
}

export async function runCampaignSend(options: CampaignSendOptions): Promise<number> {
  const types = readColumnTypes(options.column);
  const config = readConfig(options);
  const output = createOutput(options);
  const start = wishOf(options);
  return await withDatabase(config, async (pool) => {
    const unsubscribe = offerOf(config, options.lane);
    const noUnsubscribe = options.unsubscribe === true ? undefined : options.unsubscribe;
    const progress = createProgress("imported", "row", output);
    const answer = await sendCampaign(pool, {
      file: options.list,
      templateDir: options.template,
      lane: options.lane,
      start,
      types,
      ...(options.name === undefined ? {} : { name: options.name }),
      ...(options.from === undefined ? {} : { from: options.from }),
      ...(options.rejects === undefined ? {} : { rejectsFile: options.rejects }),
      ...(options.listName === undefined ? {} : { list: options.listName }),
      ...(noUnsubscribe === undefined ? {} : { noUnsubscribe }),
      unsubscribe,
      allowEmpty: options.allowEmpty === true,
      onProgress: ({ rows, bytesRead, bytesTotal }) => progress.update(rows, bytesRead / bytesTotal),
    });
    progress.end();
    if (answer.kind === "refused")
      return tellRefused(answer, "The campaign was not started, and nothing was queued:", options);
    tellSent(answer, start, output);
    if (unsubscribe === "kept_here" && noUnsubscribe === undefined)
      output.note("no message says where to unsubscribe, since public_url is not set; nothing leaves this machine");
    if ((await countDispatchers(pool, options.lane)) === 0) output.note("queued; run `postlane up` to send it");
    return EXIT_DONE;
  });
}

function tellSent(sent: CampaignSent, start: StartWish, output: Output): void {
  const { campaignId, name, rows, accepted, doubled, rejected, rejectsFile, started } = sent;
  const report = reportStart({ id: campaignId, name }, started);
  const { id } = report;
  output.answer({ ...report, rows, accepted, doubled, rejected, rejects_file: rejectsFile ?? null });
  output.print(`${name} (${id}) is started: ${countOf(accepted, "message")} queued from ${countOf(rows, "row")}`);
  for (const line of printStart(report, start)) output.print(line);
  if (doubled > 0) output.print(`  ${countOf(doubled, "row")} left out: in the list twice, or in the campaign already`);
  if (rejected > 0)
    output.print(
      `  ${countOf(rejected, "row")} rejected, each with its reason in ${rejectsFile ?? "the rejects file"}`,
    );
  output.print(`see \`postlane campaign status ${id}\``);
}
