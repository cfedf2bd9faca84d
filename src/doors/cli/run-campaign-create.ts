// `postlane campaign create`: a draft of a template and a list, with progress while a file is imported.

import { isRegularFile } from "../../campaigns/check-campaign.ts";
import { createDraft, type DraftCreated, type DraftList } from "../../campaigns/create-campaign.ts";
import { offerOf } from "../../campaigns/unsubscribe-offer.ts";
import { printCampaignId } from "../../mail/ids.ts";
import { readColumnTypes } from "./read-column-option.ts";
import { EXIT_DONE, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { tellRefused } from "./tell-refused.ts";
import { withDatabase } from "./with-database.ts";

export interface CampaignCreateOptions extends CommonOptions {
  readonly list: string;
  readonly template: string;
  readonly lane: string;
  readonly from?: string;
  readonly listName?: string;
  /** Of `--no-unsubscribe <reason>`: the reason, or true when it was not given. */
  readonly unsubscribe: string | true;
  readonly column?: readonly string[];
  readonly rejects?: string;
}

export async function runCampaignCreate(name: string, options: CampaignCreateOptions): Promise<number> {
  const list = readList(options);
  const config = readConfig(options);
  const output = createOutput(options);
  const progress = createProgress("imported", "row", output);
  const { lane, template, from, listName, unsubscribe } = options;
  const answer = await withDatabase(config, (pool) =>
    createDraft(pool, {
      name,
      lane,
      list,
      template: { named: template },
      unsubscribe: offerOf(config, lane),
      ...(from === undefined ? {} : { from }),
      ...(listName === undefined ? {} : { listName }),
      ...(unsubscribe === true ? {} : { noUnsubscribe: unsubscribe }),
      onProgress: ({ rows, bytesRead, bytesTotal }) => progress.update(rows, bytesRead / bytesTotal),
    }),
  );
  progress.end();
  if (answer.kind === "refused") return tellRefused(answer, "The campaign was not created:", options);
  tellCreated(answer, output);
  return EXIT_DONE;
}

/** What there is as a file is one. */
function readList({ list, column, rejects }: CampaignCreateOptions): DraftList {
  const types = readColumnTypes(column);
  if (isRegularFile(list)) return { file: list, types, ...(rejects === undefined ? {} : { rejectsFile: rejects }) };
  if (column !== undefined || rejects !== undefined)
    throw misused("--column and --rejects go with a file: a kept list has its types from `postlane list import`.");
  return { kept: list };
}

function tellCreated({ campaignId, name, imported }: DraftCreated, output: Output): void {
  const id = printCampaignId(campaignId);
  const { rejectsFile, ...counts } = imported ?? { rejectsFile: undefined };
  output.answer({ id, name, status: "draft", ...counts, ...(imported && { rejects_file: rejectsFile ?? null }) });
  output.print(`${name} (${id}) is a draft; nothing is queued`);
  if (imported === undefined) return;
  const { rows, accepted, doubled, rejected } = imported;
  output.print(`  ${countOf(accepted, "recipient")} from ${countOf(rows, "row")}`);
  if (doubled > 0) output.print(`  ${countOf(doubled, "row")} left out: in the file twice`);
  if (rejected > 0)
    output.print(
      `  ${countOf(rejected, "row")} rejected, each with its reason in ${rejectsFile ?? "the rejects file"}`,
    );
}
