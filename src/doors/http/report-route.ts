// `GET /campaigns/{campaign}/report`: the whole report, with versions, reasons, rests and all of them together. It may look
// through all of the list, so it has a time of its own, and few are made at once.

import type { FastifyInstance } from "fastify";
import { reportInFull } from "../../reports/family-report.ts";
import { callerOf, type Caller } from "./authorize.ts";
import { campaignOf } from "./campaign-of.ts";
import { CAMPAIGN_PARAMS, CAMPAIGN_REPORT, type CampaignParams } from "./campaign-schema.ts";
import type { HttpApi } from "./http-api.ts";
import { CAMPAIGN_MS_MAX, REPORTS_OPEN_MAX } from "./http-limits.ts";
import { createOpenLimit, type OpenLimit } from "./open-limit.ts";
import { createPatience } from "./patience.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";

export function addReportRoute(server: FastifyInstance, api: HttpApi): void {
  const reports = createOpenLimit(REPORTS_OPEN_MAX, "other reports are being made");
  server.get<{ Params: CampaignParams }>(
    "/campaigns/:campaign/report",
    {
      config: { scopes: ["read", "operate"] },
      schema: {
        summary: "The whole report of a campaign: who got which version, and its rests",
        params: CAMPAIGN_PARAMS,
        response: { 200: CAMPAIGN_REPORT, ...PROBLEM_ANSWERS },
      },
    },
    (request) => report(request.params.campaign, callerOf(request), api, reports),
  );
}

async function report(named: string, caller: Caller, { clock }: HttpApi, reports: OpenLimit) {
  const campaign = await campaignOf(named, caller);
  const giveBack = reports.take();
  const making = reportInFull(caller.entry.longWork, campaign).finally(giveBack);
  return { object: "campaign_report", ...(await createPatience(clock, CAMPAIGN_MS_MAX).within(making)) } as const;
}
