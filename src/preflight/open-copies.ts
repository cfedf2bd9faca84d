// A campaign's messages as they would go out, for whoever looks at them before: composed by the code that the dispatcher
// composes them with, of the version in force, under a name and an address to unsubscribe by that are nobody's.

import type { Pool } from "pg";
import type { CampaignRow } from "../campaigns/campaign-store.ts";
import { encodeOctets } from "../compose/attachment-part.ts";
import { loadCampaignMail, mergeCampaignMail, mergeDataOf, type CampaignMail } from "../compose/campaign-mail.ts";
import { campaignListLines, type WrittenListLines } from "../compose/list-headers.ts";
import type { Content } from "../mail/envelope.ts";
import { printCampaignId } from "../mail/ids.ts";
import { readAttachments } from "../templates/attachment-store.ts";
import type { MergeData, TemplateSource } from "../templates/compiled-template.ts";
import { readContent } from "../templates/template-store.ts";
import { isBulkLane, type PreflightSettings } from "./copy-settings.ts";
import type { ListedRecipient } from "./recipient-store.ts";

/** In the place of a token: as long as one, so that lines break where they will, and with signs that none has. */
export const PREVIEW_TOKEN = "preview-no-working-token";
export const TEST_TOKEN = "test-copy-no-unsubscribe";

export interface OpenedCopies {
  readonly source: TemplateSource;
  readonly mail: CampaignMail;
  readonly isBulk: boolean;
  /** List headers; undefined: the lane's mail has none. */
  readonly list: WrittenListLines | undefined;
  /** The template's attachments as they are stored. */
  readonly attachments: readonly Buffer[];
  /** What the template's parts see of a recipient. Throws what the message would be held with. */
  dataOf(recipient: ListedRecipient): MergeData;
  /** `data`: as `dataOf` answers it. Throws what the message would be held with. */
  compose(recipient: ListedRecipient, data: MergeData, wallMs: number): Content;
}

/** An error is what is wrong with every message. */
export async function openCopies(
  pool: Pool,
  campaign: CampaignRow,
  settings: PreflightSettings,
  token: string,
): Promise<OpenedCopies | Error> {
  const source = (await readContent(pool, campaign.content_id)) as TemplateSource;
  const mail = loadCampaignMail(source, settings.from);
  if (mail instanceof Error) return mail;
  const attachments = source.attachments === undefined ? [] : await readAttachments(pool, campaign.content_id);
  const octets = attachments.map(encodeOctets);
  const isBulk = isBulkLane(settings, campaign.lane);
  const list = isBulk ? listLinesOf(campaign, mail, settings, token) : undefined;
  const name = printCampaignId(campaign.id);
  return {
    source,
    mail,
    isBulk,
    list,
    attachments,
    dataOf: ({ data }) => mergeDataOf(mail, JSON.parse(data) as MergeData, list?.url),
    compose: (recipient, data, wallMs) =>
      mergeCampaignMail(mail, {
        campaignId: campaign.id,
        contentId: campaign.content_id,
        recipient: recipient.address,
        data,
        messageId: `preview.${name}.${recipient.n}@${mail.sender.domain}`,
        lane: campaign.lane,
        list,
        wallMs,
        octets,
      }),
  };
}

function listLinesOf(
  { list, no_unsubscribe }: CampaignRow,
  mail: CampaignMail,
  { publicUrl, returnsDomain }: PreflightSettings,
  token: string,
): WrittenListLines {
  const campaign = { list, isWithoutUnsubscribe: no_unsubscribe !== null };
  const given = { publicUrl, returnsDomain, domain: mail.sender.domain, own: mail.ownListHeaders };
  return campaignListLines(campaign, () => token, given);
}
