// Which list headers a message gets, and by which address its recipient unsubscribes. Made for a lane of priority bulk;
// other lanes have none. What a campaign says of its list is read once per process; who brings a List-Unsubscribe of
// their own keeps it. One HMAC for each message.

import { findCampaign } from "../campaigns/campaign-store.ts";
import {
  listHeadersIn,
  listIdHeader,
  ownListHeaders,
  unsubscribeHeaders,
  type OwnListHeaders,
} from "../compose/list-headers.ts";
import { NO_CAMPAIGN, type CampaignId, type MessageId } from "../mail/ids.ts";
import type { Mac } from "../mail/token-octets.ts";
import { unsubscribeAddressOf, unsubscribeTokenOf, unsubscribeUrlOf } from "../mail/unsubscribe-token.ts";
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

export interface WrittenListLines {
  /** Header lines, or empty. */
  readonly lines: string;
  /** What a template prints as `unsubscribe_url`. */
  readonly url: string | undefined;
  /** The list's name, if it has one. */
  readonly list: string | undefined;
}

type Headers = Readonly<Record<string, string>>;

export interface ListOfCampaign {
  /** Empty: it has none. */
  readonly list: string;
  readonly isWithoutUnsubscribe: boolean;
}

/** Of those whose lists are kept in mind; the one that was read first goes first. */
const CAMPAIGNS_MAX = 1000;

export function createListLines(given: {
  /** Absent: there is no page, and no message gets an address to unsubscribe by. */
  readonly publicUrl: string | undefined;
  readonly returnsDomain: string | undefined;
  readonly mac: Mac;
  readonly readCampaign: (id: CampaignId) => Promise<ListOfCampaign>;
}): ListLines {
  const { publicUrl, returnsDomain, mac } = given;
  const campaigns = new Map<CampaignId, ListOfCampaign>();

  const urlAndLines = (id: MessageId): { readonly url: string; readonly lines: string } | undefined => {
    if (publicUrl === undefined) return undefined;
    const token = unsubscribeTokenOf(id, mac);
    const url = unsubscribeUrlOf(token, publicUrl);
    const address = returnsDomain === undefined ? undefined : unsubscribeAddressOf(token, returnsDomain);
    return { url, lines: unsubscribeHeaders({ url, address }) };
  };
  const linesOf = (row: ClaimedRow, domain: string, list: string | undefined, own: OwnListHeaders): string => {
    const unsubscribe = own.hasUnsubscribe ? "" : (urlAndLines(row.message_id)?.lines ?? "");
    return unsubscribe + idLine(list, domain, own);
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
      const by = campaign.isWithoutUnsubscribe ? undefined : urlAndLines(row.message_id);
      const unsubscribe = own.hasUnsubscribe ? "" : (by?.lines ?? "");
      return {
        lines: unsubscribe + idLine(campaign.list, domain, own),
        url: by?.url,
        list: campaign.list || undefined,
      };
    },
    ofEmail: (row, domain, list, headers) => linesOf(row, domain, list, ownListHeaders(headers)),
    urlOf: (row) => urlAndLines(row.message_id)?.url,
    ofMail: (row, domain, list, mail) => linesOf(row, domain, list, listHeadersIn(mail)),
  };
}

/** What `createListLines` asks of the database. */
export async function readListOfCampaign(on: Queryable, id: CampaignId): Promise<ListOfCampaign> {
  const campaign = await findCampaign(on, "", id);
  if (campaign === undefined) throw new Error(`campaign ${id} is not in the database`);
  return { list: campaign.list, isWithoutUnsubscribe: campaign.no_unsubscribe !== null };
}

function idLine(list: string | undefined, domain: string, own: OwnListHeaders): string {
  return list === undefined || list === "" || own.hasListId ? "" : listIdHeader(list, domain);
}
