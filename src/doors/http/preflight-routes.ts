// What is looked at before a campaign is sent: its preflight, which goes on in a thread of its own and is asked for later; one
// recipient's copy; and test copies to oneself. None of it changes the campaign.

import type { FastifyInstance, FastifyReply } from "fastify";
import { printCampaignId } from "../../mail/ids.ts";
import { preflightProblem } from "../../preflight/preflight-campaign.ts";
import { readPreflight } from "../../preflight/preflight-store.ts";
import { previewCopy, type CopyOf, type PreviewedCopy } from "../../preflight/preview-copy.ts";
import { sendTestCopies, TEST_COPIES_DEFAULT, type TestAnswer } from "../../preflight/send-test-copies.ts";
import type { CampaignRow } from "../../campaigns/campaign-store.ts";
import { refusalProblem } from "./answer-problem.ts";
import { callerOf, type Caller } from "./authorize.ts";
import { campaignOf, campaignRefused } from "./campaign-of.ts";
import { CAMPAIGN_PARAMS, type CampaignParams } from "./campaign-schema.ts";
import type { HttpApi } from "./http-api.ts";
import {
  PREFLIGHT,
  PREFLIGHT_BEGUN,
  PREFLIGHT_ORDER,
  PREVIEW,
  PREVIEW_QUERY,
  TEST_ORDER,
  TESTS_SENT,
  type PreflightOrderBody,
  type PreviewQuery,
  type TestOrderBody,
} from "./preflight-schema.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem } from "./problem.ts";
import { readWholeNumber } from "./read-whole-number.ts";
import { MAYBE_QUEUED, requireAllowed, takeFromRate } from "./submit-email.ts";

export function addPreflightRoutes(server: FastifyInstance, api: HttpApi): void {
  server.post<{ Params: CampaignParams; Body: PreflightOrderBody | undefined }>(
    "/campaigns/:campaign/preflight",
    {
      config: { scopes: ["operate"] },
      schema: {
        summary: "Look at all of a campaign's messages before one is sent; the answer does not wait for it",
        params: CAMPAIGN_PARAMS,
        body: PREFLIGHT_ORDER,
        response: { 202: PREFLIGHT_BEGUN, ...PROBLEM_ANSWERS },
      },
    },
    (request, reply) => begin(request.params.campaign, request.body ?? {}, callerOf(request), reply),
  );
  server.get<{ Params: CampaignParams }>(
    "/campaigns/:campaign/preflight",
    {
      config: { scopes: ["read", "operate"] },
      schema: {
        summary: "The latest preflight of a campaign, or how far it is",
        params: CAMPAIGN_PARAMS,
        response: { 200: PREFLIGHT, ...PROBLEM_ANSWERS },
      },
    },
    (request) => tellPreflight(request.params.campaign, callerOf(request)),
  );
  server.get<{ Params: CampaignParams; Querystring: PreviewQuery }>(
    "/campaigns/:campaign/preview",
    {
      config: { scopes: ["read", "operate"] },
      schema: {
        summary: "One recipient's copy, as text, as HTML and as raw source",
        params: CAMPAIGN_PARAMS,
        querystring: PREVIEW_QUERY,
        response: { 200: PREVIEW, ...PROBLEM_ANSWERS },
      },
      preValidation: async (request) => readWholeNumber(request.query, "line"),
    },
    (request) => tellPreview(request.params.campaign, request.query, callerOf(request), api),
  );
  server.post<{ Params: CampaignParams; Body: TestOrderBody }>(
    "/campaigns/:campaign/test",
    {
      config: { scopes: ["operate"] },
      schema: {
        summary: "Send recipients' copies to oneself, marked as tests",
        params: CAMPAIGN_PARAMS,
        body: TEST_ORDER,
        response: { 200: TESTS_SENT, ...PROBLEM_ANSWERS },
      },
    },
    (request) => sendTests(request.params.campaign, request.body, callerOf(request), api),
  );
}

// ---- preflight -------------------------------------------------------------------------------------------------------

async function begin(named: string, body: PreflightOrderBody & object, caller: Caller, reply: FastifyReply) {
  const { id, version, status } = await campaignOf(named, caller);
  const problem = preflightProblem(status);
  if (problem !== undefined) throw campaignRefused(status, "preflight", problem);
  const order = { campaignId: id, version, sampleRows: body.sample ?? undefined, isDnsAsked: body.dns ?? false };
  if (!(await caller.patience.within(caller.entry.preflights.begin(order)))) {
    throw new Problem("busy", "another preflight is under way", { hint: "Ask for this one when it has ended." });
  }
  reply.code(202);
  return { object: "preflight", campaign: printCampaignId(id), state: "running", version } as const;
}

async function tellPreflight(named: string, caller: Caller) {
  const { id } = await campaignOf(named, caller);
  const kept = await caller.patience.within(readPreflight(caller.entry.pool, id));
  if (kept === undefined) {
    throw new Problem("preflight_not_found", "nobody has asked for a preflight of this campaign", {
      hint: "POST begins one.",
    });
  }
  const { version, begun_at, finished_at, report, error } = kept;
  return {
    object: "preflight",
    campaign: printCampaignId(id),
    state: finished_at === null ? "running" : error === null ? "done" : "failed",
    version,
    begun_at: begun_at.toISOString(),
    finished_at: finished_at?.toISOString() ?? null,
    error,
    report,
  } as const;
}

// ---- copies ----------------------------------------------------------------------------------------------------------

async function tellPreview(named: string, query: PreviewQuery, caller: Caller, api: HttpApi) {
  const campaign = await campaignOf(named, caller);
  const copy = await previewOf(campaign, readCopyOf(query), caller, api);
  return { object: "preview", campaign: printCampaignId(campaign.id), ...copy } as const;
}

function readCopyOf({ recipient, line }: PreviewQuery): CopyOf {
  if (recipient !== undefined && line !== undefined) {
    throw new Problem("bad_parameter", 'parameters "recipient" and "line" do not go together', { hint: "Give one." });
  }
  if (recipient !== undefined) return { kind: "address", address: recipient };
  return line === undefined ? { kind: "first" } : { kind: "line", line };
}

async function previewOf(
  campaign: CampaignRow,
  of: CopyOf,
  { entry, patience }: Caller,
  { clock, config }: HttpApi,
): Promise<PreviewedCopy> {
  const isNobody = of.kind === "address" && of.address.includes("\0");
  const looking = isNobody
    ? undefined
    : await patience.within(previewCopy({ pool: entry.pool, clock, settings: config }, campaign, of));
  if (looking?.kind === "copy") return looking.copy;
  if (looking?.kind === "failed") throw heldWith(looking);
  throw new Problem("recipient_not_found", "nobody of that address or line is on the campaign's list", {
    hint: "Give an address of the list, or none for its first.",
  });
}

function heldWith({ recipient, problem }: { readonly recipient: string; readonly problem: string }): Problem {
  return new Problem("copy_refused", `the message to ${recipient} would be held: ${problem}`, {
    hint: "Mend the template or the data.",
  });
}

async function sendTests(named: string, { to, recipients }: TestOrderBody, caller: Caller, api: HttpApi) {
  const { entry, sender, patience } = caller;
  const campaign = await campaignOf(named, caller);
  requireAllowed(sender, campaign.lane, undefined);
  if (sender.fromDomains !== undefined) {
    const { from } = await previewOf(campaign, { kind: "first" }, caller, api);
    requireAllowed(sender, campaign.lane, from);
  }
  const wanted = recipients ?? [];
  await takeFromRate(caller, wanted.length === 0 ? TEST_COPIES_DEFAULT : wanted.length);
  const ports = { pool: entry.longWork, clock: api.clock, settings: api.config };
  const wish = { to, recipients: wanted, door: "http", credential: sender.credential } as const;
  const answer = await patience.within(sendTestCopies(ports, campaign, wish), MAYBE_QUEUED);
  if (answer.kind !== "sent") throw testProblem(answer);
  const data = answer.copies.map(({ recipient, submission }) => ({ id: submission, recipient }));
  return { object: "list", data } as const;
}

function testProblem(answer: Exclude<TestAnswer, { readonly kind: "sent" }>): Problem {
  switch (answer.kind) {
    case "empty":
      return new Problem("list_refused", "nobody is on its list", {
        hint: "Import a file: POST /lists/{name}/imports.",
      });
    case "not_found":
      return new Problem("bad_field", `not on the campaign's list: ${answer.recipients.join(", ")}`, {
        hint: "Nothing was sent. Give addresses of the list, or none for its first.",
        field: "recipients",
      });
    case "too_many":
      return new Problem("limit_exceeded", `at most ${answer.max} recipients' copies are sent at once`, {
        hint: "Nothing was sent. Name fewer.",
        field: "recipients",
      });
    case "failed":
      return heldWith(answer);
    case "refused":
      return refusalProblem(answer.refusal);
  }
}
