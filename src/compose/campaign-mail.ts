// A campaign's message: its template, compiled once, merged with a recipient's data. What is the same for all messages of a
// template or a campaign is made when it is loaded. Pure: whoever claims, looks at or checks a message composes it here, so
// that what is shown is what goes out. Throws what is wrong with one message.

import type { Content } from "../mail/envelope.ts";
import { NO_CAMPAIGN, printCampaignId, type CampaignId } from "../mail/ids.ts";
import { headOf } from "../templates/attachment-problems.ts";
import { compileTemplate } from "../templates/compile-template.ts";
import type { MergeData, TemplateSource } from "../templates/compiled-template.ts";
import { UNSUBSCRIBE_URL } from "../templates/template-variables.ts";
import type { EncodedOctets } from "./attachment-part.ts";
import { compileMail, mergeMail, type CompiledMail } from "./compile-mail.ts";
import { ownListHeaders, type OwnListHeaders, type WrittenListLines } from "./list-headers.ts";
import { senderOf, type Sender } from "./message-sender.ts";
import { streamHeaders } from "./stream-headers.ts";

export interface CampaignMail {
  readonly mail: CompiledMail;
  readonly sender: Sender;
  readonly ownListHeaders: OwnListHeaders;
  /** The template's own. */
  readonly headers: Readonly<Record<string, string>>;
  readonly hasUnsubscribeUrl: boolean;
  /** Header lines of the campaign that was asked for last. */
  readonly stream: { campaignId: CampaignId; lines: string };
  readonly from: string;
}

export interface CampaignMessage {
  readonly campaignId: CampaignId;
  readonly contentId: number;
  readonly recipient: string;
  readonly data: MergeData;
  readonly messageId: string;
  readonly lane: string;
  /** Absent: the lane's mail is no bulk, and gets no list headers. */
  readonly list: WrittenListLines | undefined;
  readonly wallMs: number;
  /** Of the template's attachments, in their order. */
  readonly octets: readonly EncodedOctets[];
}

/** An error is what is wrong with all messages of it. */
export function loadCampaignMail(source: TemplateSource, defaultFrom: string): CampaignMail | Error {
  try {
    const from = source.from ?? defaultFrom;
    return {
      mail: compileMail(compileTemplate(source), { from }, (source.attachments ?? []).map(headOf)),
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

export function mergeCampaignMail(template: CampaignMail, given: CampaignMessage): Content {
  const { list } = given;
  return mergeMail(template.mail, {
    data: mergeDataOf(template, given.data, list?.url),
    recipient: given.recipient,
    messageId: given.messageId,
    wallMs: given.wallMs,
    extra: streamOf(template, given) + (list?.lines ?? ""),
    octets: given.octets,
  });
}

/** The recipient's data as the template's parts see it. */
export function mergeDataOf({ hasUnsubscribeUrl }: CampaignMail, data: MergeData, url: string | undefined): MergeData {
  return hasUnsubscribeUrl ? withUnsubscribeUrl(data, url) : data;
}

/** The same for every message of a campaign. */
function streamOf(template: CampaignMail, { campaignId, contentId, list, lane }: CampaignMessage): string {
  const { stream } = template;
  if (stream.campaignId !== campaignId) {
    stream.campaignId = campaignId;
    stream.lines = streamHeaders(
      {
        campaign: printCampaignId(campaignId),
        list: list?.list,
        template: String(contentId),
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
