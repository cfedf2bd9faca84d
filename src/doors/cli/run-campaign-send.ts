// `postlane campaign send`: create, check, import and start in one, with progress.

import {
  sendCampaign,
  type CampaignRefused,
  type CampaignSent,
  type UnsubscribeOffer,
} from "../../campaigns/send-campaign.ts";
import type { StartWish } from "../../campaigns/start-campaign.ts";
import type { Config } from "../../platform/config.ts";
import { reportStart } from "../../reports/start-report.ts";
import { countDispatchers } from "../../reports/status-report.ts";
import { EXIT_DONE, EXIT_FAILED } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { printStart, wishOf, type StartOptions } from "./run-campaign-start.ts";
import { withDatabase } from "./with-database.ts";

export interface CampaignSendOptions extends CommonOptions, StartOptions {
  readonly list: string;
  readonly template: string;
  readonly lane: string;
  readonly name?: string;
  readonly from?: string;
  readonly allowEmpty?: boolean;
  readonly rejects?: string;
  readonly listName?: string;
  /** Of `--no-unsubscribe <reason>`: the reason, or true when it was not given. */
  readonly unsubscribe: string | true;
}

export async function runCampaignSend(options: CampaignSendOptions): Promise<number> {
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
    if (answer.kind === "refused") return tellRefused(answer, options);
    tellSent(answer, start, output);
    if (unsubscribe === "kept_here" && noUnsubscribe === undefined)
      output.note("no message says where to unsubscribe, since public_url is not set; nothing leaves this machine");
    if ((await countDispatchers(pool, options.lane)) === 0) output.note("queued; run `postlane up` to send it");
    return EXIT_DONE;
  });
}

/** A lane that this configuration does not have is refused by the database. */
function offerOf({ publicUrl, lanes, outlets }: Config, laneName: string): UnsubscribeOffer {
  const lane = lanes[laneName];
  if (lane === undefined || lane.priority !== "bulk") return "not_bulk";
  if (publicUrl !== undefined) return "offered";
  return lane.outlets.some((name) => outlets[name]?.type !== "capture") ? "missing" : "kept_here";
}

function tellRefused({ code, problems, empty }: CampaignRefused, options: CommonOptions): number {
  const message = "The campaign was not started, and nothing was queued:";
  if (options.json === true)
    createOutput(options).answer({ error: { code, message, problems, ...(empty && { empty }) } });
  else process.stderr.write(`postlane: ${[message, ...problems].join("\n  ")}\n`);
  return EXIT_FAILED;
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
