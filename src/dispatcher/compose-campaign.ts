// A claimed row of a campaign as its message: what the row, the lane and the cache of attachments give to `campaign-mail.ts`.

import { loadCampaignMail, mergeCampaignMail, type CampaignMail } from "../compose/campaign-mail.ts";
import { envelopeOf, messageIdOf } from "../compose/message-sender.ts";
import type { ComposedMail } from "../mail/envelope.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import type { TemplateSource } from "../templates/compiled-template.ts";
import { keptOctets, type AttachmentCache } from "./attachment-cache.ts";
import { templateNeeds, type AttachmentNeed } from "./attachment-needs.ts";
import type { ListLines } from "./list-lines.ts";

export interface LoadedTemplate extends CampaignMail {
  readonly needs: readonly AttachmentNeed[];
}

export function composeCampaign(
  row: ClaimedRow,
  template: LoadedTemplate,
  given: {
    readonly lane: string;
    readonly lists?: ListLines | undefined;
    readonly attachments: AttachmentCache;
    readonly wallMs: number;
  },
): ComposedMail {
  const content = mergeCampaignMail(template, {
    campaignId: row.campaign_id,
    contentId: row.content_id,
    recipient: row.recipient,
    data: row.data ?? {},
    messageId: messageIdOf(row, template.sender),
    lane: given.lane,
    list: given.lists?.ofCampaign(row, template.sender.domain, template.ownListHeaders),
    wallMs: given.wallMs,
    octets: keptOctets(row, template.needs, given.attachments),
  });
  return { envelope: envelopeOf(row, template.sender), content };
}

/** An error is what is wrong with all messages of it. */
export function loadTemplate(contentId: number, source: TemplateSource, defaultFrom: string): LoadedTemplate | Error {
  const mail = loadCampaignMail(source, defaultFrom);
  return mail instanceof Error ? mail : { ...mail, needs: templateNeeds(contentId, source) };
}
