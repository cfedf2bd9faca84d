// Which list headers a message gets, and by which address its recipient unsubscribes. Made for a lane of priority bulk;
// other lanes have none. What a campaign says of its list is read once per process; who brings a List-Unsubscribe of
// their own keeps it. One HMAC for each message.

import { findCampaign } from "../campaigns/campaign-store.ts";
import {
  campaignListLines,
  listHeadersIn,
  listIdLine,
  ownListHeaders,
  writeUnsubscribe,
  type ListOfCampaign,
  type OwnListHeaders,
  type UnsubscribePlaces,
  type WrittenListLines,
} from "../compose/list-headers.ts";
import { NO_CAMPAIGN, type CampaignId, type MessageId } from "../mail/ids.ts";
import type { Mac } from "../mail/token-octets.ts";
import { unsubscribeTokenOf } from "../mail/unsubscribe-token.ts";
import type { Queryable } from "../postgres/statement.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";

export interface ListLines {
  /** Reads what is to be known of these rows' campaigns. */
  prepare(rows: readonly ClaimedRow[]): Promise<void>;
  /** `own`: the headers that the template brings. */
  ofCampaign(row: ClaimedRow, domain: string, own: OwnListHeaders): WrittenListLines;
  /** Of an email's parts: `headers` are the caller's. */
  ofEmail(row: ClaimedRow, domain: string, list: string | undefined, headers: Headers | undefined): string;
  /** What the template of an email prints as `unsubscribe_url`. */
  urlOf(row: ClaimedRow): string | undefined;
  /** What goes ahead of a whole mail. */
  ofMail(row: ClaimedRow, domain: string, list: string | undefined, mail: string): string;
}

type Headers = Readonly<Record<string, string>>;

/** Of those whose lists are kept in mind; the one that was read first goes first. */
const CAMPAIGNS_MAX = 1000;

export function createListLines(
  given: UnsubscribePlaces & {
    readonly mac: Mac;
    readonly readCampaign: (id: CampaignId) => Promise<ListOfCampaign>;
  },
): ListLines {
  const { publicUrl, returnsDomain, mac } = given;
  const campaigns = new Map<CampaignId, ListOfCampaign>();

  const writtenFor = (id: MessageId) => writeUnsubscribe(() => unsubscribeTokenOf(id, mac), given);
  const linesOf = (row: ClaimedRow, domain: string, list: string | undefined, own: OwnListHeaders): string => {
    const unsubscribe = own.hasUnsubscribe ? "" : (writtenFor(row.message_id)?.lines ?? "");
    return unsubscribe + listIdLine(list, domain, own);
  };

  return {
    async prepare(rows) {
      for (const { campaign_id: id } of rows) {
        if (id === NO_CAMPAIGN || campaigns.has(id)) continue;
        const campaign = await given.readCampaign(id);
        if (campaigns.size >= CAMPAIGNS_MAX) campaigns.delete(campaigns.keys().next().value!);
        campaigns.set(id, campaign);
      }
    },
    ofCampaign(row, domain, own) {
      const campaign = campaigns.get(row.campaign_id);
      if (campaign === undefined) throw new Error(`campaign ${row.campaign_id} was not looked up`);
      const tokenOf = () => unsubscribeTokenOf(row.message_id, mac);
      return campaignListLines(campaign, tokenOf, { publicUrl, returnsDomain, domain, own });
    },
    ofEmail: (row, domain, list, headers) => linesOf(row, domain, list, ownListHeaders(headers)),
    urlOf: (row) => writtenFor(row.message_id)?.url,
    ofMail: (row, domain, list, mail) => linesOf(row, domain, list, listHeadersIn(mail)),
  };
}

/** What `createListLines` asks of the database. */
export async function readListOfCampaign(on: Queryable, id: CampaignId): Promise<ListOfCampaign> {
  const campaign = await findCampaign(on, "", id);
  if (campaign === undefined) throw new Error(`campaign ${id} is not in the database`);
  return { list: campaign.list, isWithoutUnsubscribe: campaign.no_unsubscribe !== null };
}
