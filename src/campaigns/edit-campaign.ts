// `campaign edit`: another template for those who were not handed over yet. It becomes a version of the campaign; dispatchers
// hear of it with their next orders, and each event says which version it was. What is out stays as it was sent.

import type { Pool, PoolClient } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import type { TemplateSource } from "../templates/compiled-template.ts";
import { holdsTemplate, insertTemplate, readContent, type TemplateParts } from "../templates/template-store.ts";
import {
  addCampaignVersion,
  findCampaign,
  lockCampaign,
  type CampaignRow,
  type CampaignStatus,
} from "./campaign-store.ts";
import { checkTemplateFits, type CampaignRefused, type TemplateWish } from "./check-campaign.ts";
import { readList } from "./list-store.ts";
import type { UnsubscribeOffer } from "./unsubscribe-offer.ts";

export interface EditWish {
  readonly template: TemplateWish;
  /** Otherwise the template's own; where it has none, the sender stays. */
  readonly from?: string;
  /** What the campaign's lane and the configuration offer to recipients who want no more. */
  readonly unsubscribe: UnsubscribeOffer;
}

export type EditAnswer =
  | { readonly kind: "edited"; readonly version: number }
  /** It has this template already. */
  | { readonly kind: "unchanged"; readonly version: number }
  | { readonly kind: "refused_status"; readonly status: CampaignStatus }
  | CampaignRefused;

const EDITABLE: readonly CampaignStatus[] = ["draft", "scheduled", "running", "paused"];

export async function editCampaign(pool: Pool, id: CampaignId, wish: EditWish): Promise<EditAnswer> {
  const campaign = await findCampaign(pool, "", id);
  if (campaign === undefined) throw new Error(`campaign ${id} is not in the database`);
  if (!EDITABLE.includes(campaign.status)) return { kind: "refused_status", status: campaign.status };
  const checked = await checkEdit(pool, campaign, wish);
  if (checked.kind === "refused") return checked;
  return await inTransaction(pool, (client) => addVersionOnce(client, id, checked.template));
}

async function checkEdit(pool: Pool, campaign: CampaignRow, { template, from, unsubscribe }: EditWish) {
  const { columns } = await readList(pool, campaign.list_id);
  const noUnsubscribe = campaign.no_unsubscribe;
  return await checkTemplateFits(
    pool,
    {
      template,
      unsubscribe,
      ...(from === undefined ? {} : { from }),
      ...(noUnsubscribe === null ? {} : { noUnsubscribe }),
    },
    columns.map(({ name }) => name),
  );
}

async function addVersionOnce(client: PoolClient, id: CampaignId, template: TemplateParts): Promise<EditAnswer> {
  const { status, version, content_id } = await lockCampaign(client, id);
  if (!EDITABLE.includes(status)) return { kind: "refused_status", status };
  const kept = (await readContent(client, content_id)) as TemplateSource;
  const wanted = { ...template, source: withSender(template.source, kept) };
  if (await holdsTemplate(client, content_id, wanted)) return { kind: "unchanged", version };
  return { kind: "edited", version: await addCampaignVersion(client, id, await insertTemplate(client, wanted)) };
}

function withSender(source: TemplateSource, { from }: TemplateSource): TemplateSource {
  return source.from !== undefined || from === undefined ? source : { ...source, from };
}
