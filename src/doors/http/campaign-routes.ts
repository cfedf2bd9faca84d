// The routes of campaigns as they stand: list, read, pause, resume, cancel. An order is in force with its commit.

import type { FastifyInstance } from "fastify";
import { listCampaigns } from "../../campaigns/campaign-store.ts";
import { controlCampaign, type Order } from "../../campaigns/control-campaign.ts";
import { parseCampaignId, printCampaignId } from "../../mail/ids.ts";
import { reportCampaigns } from "../../reports/campaign-report.ts";
import { callerOf, type Caller } from "./authorize.ts";
import { campaignOf, campaignRefused } from "./campaign-of.ts";
import {
  CAMPAIGN_MOVED,
  CAMPAIGN_PARAMS,
  CAMPAIGN_TOLD,
  CAMPAIGNS,
  CAMPAIGNS_QUERY,
  type CampaignParams,
  type CampaignsQuery,
} from "./campaign-schema.ts";
import { LIST_LIMIT_DEFAULT } from "./http-limits.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem } from "./problem.ts";
import { readWholeNumber } from "./read-whole-number.ts";

export function addCampaignRoutes(server: FastifyInstance): void {
  server.get<{ Querystring: CampaignsQuery }>(
    "/campaigns",
    {
      config: { scopes: ["read", "operate"] },
      schema: {
        summary: "List the campaigns, the newest first",
        querystring: CAMPAIGNS_QUERY,
        response: { 200: CAMPAIGNS, ...PROBLEM_ANSWERS },
      },
      preValidation: async (request) => readWholeNumber(request.query, "limit"),
    },
    (request) => tellCampaigns(request.query, callerOf(request)),
  );
  server.get<{ Params: CampaignParams }>(
    "/campaigns/:campaign",
    {
      config: { scopes: ["read", "operate"] },
      schema: {
        summary: "Read a campaign, with its balance sheet",
        params: CAMPAIGN_PARAMS,
        response: { 200: CAMPAIGN_TOLD, ...PROBLEM_ANSWERS },
      },
    },
    (request) => tellCampaign(request.params.campaign, callerOf(request)),
  );
  for (const [order, summary] of ORDERS) {
    server.post<{ Params: CampaignParams }>(
      `/campaigns/:campaign/${order}`,
      {
        config: { scopes: ["operate"] },
        schema: { summary, params: CAMPAIGN_PARAMS, response: { 200: CAMPAIGN_MOVED, ...PROBLEM_ANSWERS } },
      },
      (request) => move(request.params.campaign, order, callerOf(request)),
    );
  }
}

const ORDERS: readonly (readonly [Order, string])[] = [
  ["pause", "Hand over nothing more of a campaign"],
  ["resume", "Go on with a paused campaign"],
  ["cancel", "Withdraw what a campaign has not handed over yet, for good"],
];

async function tellCampaigns({ limit = LIST_LIMIT_DEFAULT, before }: CampaignsQuery, { entry, patience }: Caller) {
  const work = async () => {
    const rows = await listCampaigns(entry.pool, limit + 1, before === undefined ? undefined : readPlace(before));
    const data = await reportCampaigns(entry.pool, rows.slice(0, limit));
    return { object: "list", has_more: rows.length > limit, data } as const;
  };
  return await patience.within(work());
}

function readPlace(before: string): number {
  const id = parseCampaignId(before);
  if (id !== undefined && id <= ID_MAX) return id;
  throw new Problem("bad_parameter", 'parameter "before" is no id of a campaign', {
    hint: "Give the id of the last campaign of the page before.",
  });
}

const ID_MAX = 2 ** 31 - 1;

async function tellCampaign(named: string, caller: Caller) {
  const row = await campaignOf(named, caller);
  const [report] = await caller.patience.within(reportCampaigns(caller.entry.pool, [row]));
  return { object: "campaign", ...report! } as const;
}

async function move(named: string, order: Order, caller: Caller) {
  const { id, name } = await campaignOf(named, caller);
  const answer = await caller.patience.within(
    controlCampaign(caller.entry.pool, id, order),
    "It may have been done all the same: read the campaign, or ask again.",
  );
  if (answer.kind === "refused") throw campaignRefused(answer.status, order);
  const { status, wasSo, withdrawn } = answer;
  return { object: "campaign", id: printCampaignId(id), name, status, was_so: wasSo, withdrawn } as const;
}
