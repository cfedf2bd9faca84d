// The campaign that a route's address names, by id or by name, and the problems that all its routes have in common.

import { findCampaign, type CampaignRow, type CampaignStatus } from "../../campaigns/campaign-store.ts";
import { POSSIBLE } from "../../campaigns/control-campaign.ts";
import { parseCampaignId } from "../../mail/ids.ts";
import type { Caller } from "./authorize.ts";
import { Problem } from "./problem.ts";

export async function campaignOf(named: string, { entry, patience }: Caller): Promise<CampaignRow> {
  const row = named.includes("\0")
    ? undefined
    : await patience.within(findCampaign(entry.pool, named, parseCampaignId(named)));
  if (row !== undefined) return row;
  throw new Problem("campaign_not_found", "there is no such campaign", { hint: "GET /campaigns lists them." });
}

/** What cannot be done with it as it stands, and what can. */
export function campaignRefused(status: CampaignStatus, order: string, possible = POSSIBLE[status]): Problem {
  const standing = status === "draft" ? "a draft" : status;
  return new Problem("campaign_refused", `the campaign is ${standing}: ${order} is not possible`, {
    hint: `${possible}.`,
  });
}
