// The routes that make something of a campaign: create it, edit it, start it, send its rest. Of a large list each takes longer
// than a request otherwise waits, and has a time of its own.

import type { FastifyInstance } from "fastify";
import { findCampaign } from "../../campaigns/campaign-store.ts";
import type { CampaignRefused } from "../../campaigns/check-campaign.ts";
import { createDraft } from "../../campaigns/create-campaign.ts";
import { editCampaign } from "../../campaigns/edit-campaign.ts";
import { createRest, type RestAnswer } from "../../campaigns/send-rest.ts";
import { startCampaign, type StartAnswer } from "../../campaigns/start-campaign.ts";
import { readStartWish, type StartProblem, type StartTexts } from "../../campaigns/start-wish.ts";
import { offerOf } from "../../campaigns/unsubscribe-offer.ts";
import { printCampaignId } from "../../mail/ids.ts";
import { isListName } from "../../mail/list-name.ts";
import { callerOf, type Caller } from "./authorize.ts";
import { campaignOf, campaignRefused } from "./campaign-of.ts";
import {
  CAMPAIGN_CREATED,
  CAMPAIGN_EDIT,
  CAMPAIGN_EDITED,
  CAMPAIGN_PARAMS,
  CAMPAIGN_REST,
  CAMPAIGN_START,
  CAMPAIGN_STARTED,
  NEW_CAMPAIGN,
  REST_MADE,
  type CampaignEditBody,
  type CampaignParams,
  type CampaignRestBody,
  type CampaignStartBody,
  type NewCampaignBody,
} from "./campaign-schema.ts";
import type { HttpApi } from "./http-api.ts";
import { CAMPAIGN_MS_MAX } from "./http-limits.ts";
import { createPatience, type Patience } from "./patience.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem } from "./problem.ts";
import { requireAllowed, requireFrom } from "./submit-email.ts";

export function addCampaignWorkRoutes(server: FastifyInstance, api: HttpApi): void {
  server.post<{ Body: NewCampaignBody }>(
    "/campaigns",
    {
      config: { scopes: ["operate"] },
      schema: {
        summary: "Create a campaign as a draft: a pushed template to a kept list",
        body: NEW_CAMPAIGN,
        response: { 200: CAMPAIGN_CREATED, ...PROBLEM_ANSWERS },
      },
    },
    (request) => create(request.body, work(callerOf(request), api)),
  );
  server.patch<{ Params: CampaignParams; Body: CampaignEditBody }>(
    "/campaigns/:campaign",
    {
      config: { scopes: ["operate"] },
      schema: {
        summary: "Give a campaign another template, for those who were not handed over yet",
        params: CAMPAIGN_PARAMS,
        body: CAMPAIGN_EDIT,
        response: { 200: CAMPAIGN_EDITED, ...PROBLEM_ANSWERS },
      },
    },
    (request) => edit(request.params.campaign, request.body, work(callerOf(request), api)),
  );
  server.post<{ Params: CampaignParams; Body: CampaignStartBody | undefined }>(
    "/campaigns/:campaign/start",
    {
      config: { scopes: ["operate"] },
      schema: {
        summary: "Start a draft: at once, at a time, or at a local time of each recipient",
        params: CAMPAIGN_PARAMS,
        body: CAMPAIGN_START,
        response: { 200: CAMPAIGN_STARTED, ...PROBLEM_ANSWERS },
      },
    },
    (request) => start(request.params.campaign, request.body ?? {}, work(callerOf(request), api)),
  );
  server.post<{ Params: CampaignParams; Body: CampaignRestBody | undefined }>(
    "/campaigns/:campaign/rest",
    {
      config: { scopes: ["operate"] },
      schema: {
        summary: "Send to those of its list who ended canceled or expired, and to who was added since",
        params: CAMPAIGN_PARAMS,
        body: CAMPAIGN_REST,
        response: { 200: REST_MADE, ...PROBLEM_ANSWERS },
      },
    },
    (request) => sendRest(request.params.campaign, request.body ?? {}, work(callerOf(request), api)),
  );
}

interface Work {
  readonly caller: Caller;
  readonly api: HttpApi;
  readonly patience: Patience;
}

function work(caller: Caller, api: HttpApi): Work {
  return { caller, api, patience: createPatience(api.clock, CAMPAIGN_MS_MAX) };
}

const MAYBE_DONE = "It may have been done all the same: read the campaign before you try again.";

// ---- create and edit -------------------------------------------------------------------------------------------------

async function create(body: NewCampaignBody, { caller, api, patience }: Work) {
  const { sender, entry } = caller;
  const { name, list, template } = body;
  const lane = body.lane ?? sender.lanes?.[0] ?? "bulk";
  const [from, listName] = [body.from ?? undefined, body.list_name ?? undefined];
  const noUnsubscribe = body.no_unsubscribe ?? undefined;
  requireFrom(from, sender);
  requireAllowed(sender, lane, from);
  const wish = {
    name,
    lane,
    list: { kept: list },
    template: { pushed: template },
    unsubscribe: offerOf(api.config, lane),
    ...(from === undefined ? {} : { from }),
    ...(listName === undefined ? {} : { listName }),
    ...(noUnsubscribe === undefined ? {} : { noUnsubscribe }),
  };
  const answer = await patience.within(createDraft(entry.longWork, wish), MAYBE_DONE);
  if (answer.kind === "refused") throw await createRefused(answer, body, caller);
  return { object: "campaign", id: printCampaignId(answer.campaignId), name, status: "draft" } as const;
}

async function createRefused(answer: CampaignRefused, body: NewCampaignBody, { entry, patience }: Caller) {
  if (answer.code !== "campaign") return refusalProblem(answer, body.list_name ?? undefined);
  const existing = await patience.within(findCampaign(entry.pool, body.name, undefined));
  if (existing === undefined) {
    return new Problem("bad_field", `field "name": ${answer.problems.join("\n")}`, {
      hint: "Correct it.",
      field: "name",
    });
  }
  return nameTaken(existing.name, `It is ${printCampaignId(existing.id)}, and ${existing.status}.`);
}

function nameTaken(name: string, hint: string): Problem {
  return new Problem("campaign_exists", `there is a campaign "${name}"`, {
    hint: `${hint} Give this one another name, or change that one.`,
    field: "name",
  });
}

async function edit(named: string, body: CampaignEditBody, { caller, api, patience }: Work) {
  const { id, name, lane } = await campaignOf(named, caller);
  const from = body.from ?? undefined;
  requireFrom(from, caller.sender);
  requireAllowed(caller.sender, lane, from);
  const wish = {
    template: { pushed: body.template },
    unsubscribe: offerOf(api.config, lane),
    ...(from === undefined ? {} : { from }),
  };
  const answer = await patience.within(editCampaign(caller.entry.longWork, id, wish), MAYBE_DONE);
  if (answer.kind === "refused_status") throw campaignRefused(answer.status, "edit");
  if (answer.kind === "refused") throw refusalProblem(answer);
  const { kind, version } = answer;
  return { object: "campaign", id: printCampaignId(id), name, version, is_new: kind === "edited" } as const;
}

/** More of them help nobody. */
const PROBLEMS_TOLD_MAX = 20;

/** What is wrong with a campaign's parts, a line each. */
function refusalProblem({ code, problems }: CampaignRefused, listName?: string): Problem {
  const detail = problems.slice(0, PROBLEMS_TOLD_MAX).join("\n");
  switch (code) {
    case "list":
      return new Problem("list_refused", "there is no such list", { hint: "GET /lists lists them.", field: "list" });
    case "lane":
      return new Problem("no_such_lane", "there is no such lane", { hint: "GET /lanes lists them.", field: "lane" });
    case "unsubscribe":
      return unsubscribeProblem(problems, listName);
    case "template":
    case "empty_cells":
    case "campaign":
      return new Problem("template_refused", detail, {
        hint: "GET /templates lists what is pushed, and GET /lists the columns of a list. Nothing was changed.",
        field: "template",
      });
  }
}

function unsubscribeProblem(problems: readonly string[], listName: string | undefined): Problem {
  if (listName !== undefined && !isListName(listName)) {
    return new Problem("bad_field", problems.join("\n"), { hint: "Correct it.", field: "list_name" });
  }
  return new Problem("bad_field", problems[0]!.replace("--no-unsubscribe", "no_unsubscribe"), {
    hint: "Set public_url in the configuration, or say in `no_unsubscribe` in one line why it goes without.",
    field: "no_unsubscribe",
  });
}

// ---- start -----------------------------------------------------------------------------------------------------------

async function start(named: string, body: CampaignStartBody & object, { caller, api, patience }: Work) {
  const { id, name, lane } = await campaignOf(named, caller);
  requireAllowed(caller.sender, lane, undefined);
  const read = readStartWish(startTexts(body), api.clock);
  if (read.kind === "bad") throw startProblem(read.problems);
  const answer = await patience.within(startCampaign(caller.entry.longWork, id, read.wish), MAYBE_DONE);
  if (answer.kind === "refused") throw startRefused(answer);
  const { status, accepted, canaryRows, waves } = answer;
  return {
    object: "campaign",
    id: printCampaignId(id),
    name,
    status,
    accepted,
    canary_rows: canaryRows,
    waves: waves.map(({ time_zone, due_at, rows }) => ({ time_zone, due_at: due_at.toISOString(), rows })),
  } as const;
}

/** Null is the same as left out. */
function startTexts({ at, local_time, time_zone, pace, canary }: CampaignStartBody & object): StartTexts {
  return {
    at: at ?? undefined,
    localTime: local_time ?? undefined,
    timeZone: time_zone ?? undefined,
    pace: pace ?? undefined,
    canary: canary ? { ...canary, wait: canary.wait ?? undefined, limit: canary.limit ?? undefined } : undefined,
  };
}

function startProblem(problems: readonly StartProblem[]): Problem {
  const { field } = problems[0]!;
  const isTime = field === "at" || field === "local_time" || field === "time_zone";
  const detail = problems.map((each) => `field "${each.field}": ${each.problem}`).join("\n");
  return new Problem(isTime ? "bad_time" : "bad_field", detail, { hint: "Nothing was started. Correct it.", field });
}

function startRefused({ why, status }: StartAnswer & { readonly kind: "refused" }): Problem {
  switch (why) {
    case "status":
      return campaignRefused(status, "start");
    case "empty":
      return new Problem("list_refused", "nobody is on its list", {
        hint: "Import a file: POST /lists/{name}/imports.",
      });
    case "importing":
      return new Problem("campaign_refused", "its list is being imported", { hint: "Start it when that has ended." });
    case "over":
      return new Problem("bad_time", 'field "local_time": it is over in the time zones of all of them', {
        hint: "Give a time to come, or none to start at once.",
        field: "local_time",
      });
  }
}

// ---- its rest --------------------------------------------------------------------------------------------------------

async function sendRest(named: string, body: CampaignRestBody & object, { caller, patience }: Work) {
  const { id, lane } = await campaignOf(named, caller);
  requireAllowed(caller.sender, lane, undefined);
  const wish = { name: body.name ?? undefined, also: body.also ?? undefined, isDraft: body.draft ?? undefined };
  const answer = await patience.within(createRest(caller.entry.longWork, id, wish), MAYBE_DONE);
  if (answer.kind !== "made") throw restRefused(answer, wish.name);
  const { campaignId, name, status, recipients, stood, left } = answer;
  const rest = { object: "campaign", id: printCampaignId(campaignId), name, status } as const;
  return { ...rest, rest_of: printCampaignId(id), recipients, stood, left };
}

function restRefused(answer: Exclude<RestAnswer, { readonly kind: "made" }>, name: string | undefined): Problem {
  if (answer.kind === "nobody") {
    return new Problem("campaign_refused", "nobody of it is left to send to", {
      hint: `Nobody ended canceled or expired, or was added since. ${standingsText(answer.left)}`,
    });
  }
  switch (answer.why) {
    case "status":
      return campaignRefused(answer.root.status, "sending its rest");
    case "importing":
      return new Problem("campaign_refused", "its list is being imported, or a rest of it is being made", {
        hint: "Ask again when that has ended.",
      });
    case "name":
      return nameTaken(name ?? "", "GET /campaigns lists them.");
  }
}

function standingsText(left: Readonly<Record<string, number>>): string {
  const told = Object.entries(left).map(([state, count]) => `${count} are ${state}`);
  return told.length === 0
    ? "Its list is empty."
    : `Of its people ${told.join(", ")}; \`also\` names states that are meant.`;
}
