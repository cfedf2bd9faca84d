// A campaign's message: its template, compiled once, merged with the recipient's data. What is the same for all messages of
// a template or a campaign is made when it is loaded.

import { compileMail, mergeMail, type CompiledMail } from "../compose/compile-mail.ts";
import { ownListHeaders, type OwnListHeaders } from "../compose/list-headers.ts";
import { streamHeaders } from "../compose/stream-headers.ts";
import { NO_CAMPAIGN, printCampaignId, type CampaignId } from "../mail/ids.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import { headOf } from "../templates/attachment-problems.ts";
import { compileTemplate } from "../templates/compile-template.ts";
import type { MergeData, TemplateSource } from "../templates/compiled-template.ts";
import { UNSUBSCRIBE_URL } from "../templates/template-variables.ts";
import type { ComposedMail } from "../mail/envelope.ts";
import { keptOctets, type AttachmentCache } from "./attachment-cache.ts";
import { templateNeeds, type AttachmentNeed } from "./attachment-needs.ts";
import type { ListLines } from "./list-lines.ts";
import { envelopeOf, messageIdOf, senderOf, type Sender } from "./message-sender.ts";

export interface LoadedTemplate {
  readonly mail: CompiledMail;
  readonly needs: readonly AttachmentNeed[];
  readonly sender: Sender;
  readonly ownListHeaders: OwnListHeaders;
  /** The template's own. */
  readonly headers: Readonly<Record<string, string>>;
  readonly hasUnsubscribeUrl: boolean;
  /** Header lines of the campaign that was asked for last. */
  readonly stream: { campaignId: CampaignId; lines: string };
  readonly from: string;
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
  const list = given.lists?.ofCampaign(row, template.sender.domain, template.ownListHeaders);
  const content = mergeMail(template.mail, {
    data: template.hasUnsubscribeUrl ? withUnsubscribeUrl(row.data ?? {}, list?.url) : (row.data ?? {}),
    recipient: row.recipient,
    messageId: messageIdOf(row, template.sender),
    wallMs: given.wallMs,
    extra: streamOf(template, row, list?.list, given.lane) + (list?.lines ?? ""),
    octets: keptOctets(row, template.needs, given.attachments),
  });
  return { envelope: envelopeOf(row, template.sender), content };
}

/** An error is what is wrong with all messages of it. */
export function loadTemplate(contentId: number, source: TemplateSource, defaultFrom: string): LoadedTemplate | Error {
  try {
    const from = source.from ?? defaultFrom;
    return {
      mail: compileMail(compileTemplate(source), { from }, (source.attachments ?? []).map(headOf)),
      needs: templateNeeds(contentId, source),
      sender: senderOf(from),
      from,
      ownListHeaders: ownListHeaders(source.headers),
      headers: source.headers ?? {},
      hasUnsubscribeUrl: JSON.stringify(source).includes(UNSUBSCRIBE_URL),
      stream: { campaignId: NO_CAMPAIGN, lines: "" },
    };
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** The same for every message of a campaign. */
function streamOf(template: LoadedTemplate, row: ClaimedRow, list: string | undefined, lane: string): string {
  const { stream } = template;
  if (stream.campaignId !== row.campaign_id) {
    stream.campaignId = row.campaign_id;
    stream.lines = streamHeaders(
      {
        campaign: printCampaignId(row.campaign_id),
        list,
        template: String(row.content_id),
        lane,
        fromDomain: template.sender.domain,
      },
      template.headers,
    );
  }
  return stream.lines;
}

/** A column of that name is the site's own, and goes before ours. */
function withUnsubscribeUrl(data: MergeData, url: string | undefined): MergeData {
  if (Object.hasOwn(data, UNSUBSCRIBE_URL)) return data;
  if (url === undefined)
    throw new Error(
      `the template prints ${UNSUBSCRIBE_URL}, and there is none: set public_url and release the message`,
    );
  return { ...data, [UNSUBSCRIBE_URL]: url };
}
