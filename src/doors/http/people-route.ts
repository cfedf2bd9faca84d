// `GET /campaigns/{campaign}/people`: the people behind a number of a campaign's sheet, as CSV. Written as fast as its reader
// takes it, page by page, each page a query of its own; whoever takes nothing for a while is cut off. An export that breaks
// ends its connection, so that half a file is never taken for a whole one.

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { PassThrough } from "node:stream";
import type { CampaignRow } from "../../campaigns/campaign-store.ts";
import { exportPeople, parsePeopleWanted, PEOPLE_WANTED, type PeopleWanted } from "../../reports/export-people.ts";
import { callerOf } from "./authorize.ts";
import { campaignOf } from "./campaign-of.ts";
import { CAMPAIGN_PARAMS, PEOPLE_CSV, PEOPLE_QUERY, type CampaignParams, type PeopleQuery } from "./campaign-schema.ts";
import type { HttpApi } from "./http-api.ts";
import { EXPORT_STALL_MS_MAX, EXPORTS_OPEN_MAX } from "./http-limits.ts";
import { createOpenLimit, type OpenLimit } from "./open-limit.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem } from "./problem.ts";

export function addPeopleRoute(server: FastifyInstance, api: HttpApi): void {
  const exports = createOpenLimit(EXPORTS_OPEN_MAX, "other exports are under way");
  server.get<{ Params: CampaignParams; Querystring: PeopleQuery }>(
    "/campaigns/:campaign/people",
    {
      config: { scopes: ["read", "operate"] },
      schema: {
        summary: "The people behind a number of a campaign's sheet, as CSV",
        params: CAMPAIGN_PARAMS,
        querystring: PEOPLE_QUERY,
        response: { 200: PEOPLE_CSV, ...PROBLEM_ANSWERS },
      },
    },
    (request, reply) => sendPeople(request, reply, api, exports),
  );
}

type PeopleRequest = FastifyRequest<{ Params: CampaignParams; Querystring: PeopleQuery }>;

async function sendPeople(request: PeopleRequest, reply: FastifyReply, api: HttpApi, exports: OpenLimit) {
  const caller = callerOf(request);
  const wanted = readWanted(request.query.state);
  const campaign = await campaignOf(request.params.campaign, caller);
  const csv = openExport({ campaign, wanted, request }, api, exports);
  return reply.type("text/csv; charset=utf-8; header=present").send(csv);
}

function readWanted(text: string): PeopleWanted {
  const wanted = parsePeopleWanted(text);
  if (wanted !== undefined) return wanted;
  throw new Problem("bad_parameter", 'parameter "state" is none', { hint: `Give one of ${PEOPLE_WANTED}.` });
}

interface Export {
  readonly campaign: CampaignRow;
  readonly wanted: PeopleWanted;
  readonly request: FastifyRequest;
}

function openExport({ campaign, wanted, request }: Export, { clock, log }: HttpApi, exports: OpenLimit): PassThrough {
  const { longWork } = callerOf(request).entry;
  const giveBack = exports.take();
  const csv = new PassThrough();
  const drained = async (): Promise<void> =>
    await new Promise((resolve, reject) => {
      const stalled = clock.after(EXPORT_STALL_MS_MAX, () => csv.destroy(new Error("nobody reads the export")));
      const settle = (): void => {
        stalled.cancel();
        csv.off("drain", settle).off("close", settle);
        if (csv.destroyed) reject(new Error("the reader is gone"));
        else resolve();
      };
      csv.on("drain", settle).on("close", settle);
    });
  const write = async (text: string): Promise<void> => {
    if (csv.destroyed) throw new Error("the reader is gone");
    if (!csv.write(text)) await drained();
  };
  void exportPeople(longWork, { kind: "campaign", campaign, wanted }, write)
    .then(
      () => csv.end(),
      (error: Error) => {
        log.warn("http.export_ended", { error: error.message });
        csv.destroy(error);
      },
    )
    .finally(giveBack);
  return csv;
}
