// `postlane campaign edit`: another template for those who were not handed over yet.

import { editCampaign } from "../../campaigns/edit-campaign.ts";
import { offerOf } from "../../campaigns/unsubscribe-offer.ts";
import { printCampaignId } from "../../mail/ids.ts";
import { EXIT_DONE } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { readConfig } from "./read-config.ts";
import { campaignNamed, refusedAs } from "./run-campaign.ts";
import { tellRefused } from "./tell-refused.ts";
import { withDatabase } from "./with-database.ts";

export interface CampaignEditOptions extends CommonOptions {
  readonly template: string;
  readonly from?: string;
}

export async function runCampaignEdit(given: string, options: CampaignEditOptions): Promise<number> {
  const config = readConfig(options);
  const { template, from } = options;
  const { campaign, answer } = await withDatabase(config, async (pool) => {
    const found = await campaignNamed(pool, given);
    const wish = { template: { named: template }, unsubscribe: offerOf(config, found.lane) };
    return {
      campaign: found,
      answer: await editCampaign(pool, found.id, { ...wish, ...(from === undefined ? {} : { from }) }),
    };
  });
  if (answer.kind === "refused") return tellRefused(answer, "The campaign was not edited:", options);
  if (answer.kind === "refused_status") throw refusedAs(campaign.name, answer.status, "edit");
  const { kind, version } = answer;
  const output = createOutput(options);
  const id = printCampaignId(campaign.id);
  output.answer({ id, name: campaign.name, version, is_new: kind === "edited" });
  output.print(
    kind === "edited"
      ? `${campaign.name} (${id}) has version ${version} of its template, for all who were not handed over yet`
      : `${campaign.name} (${id}) has the same template already: version ${version} stays`,
  );
  return EXIT_DONE;
}
