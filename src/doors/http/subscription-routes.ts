// The routes of double opt-in that the site's programs call: ask for an address to be on a list, and see whether its owner has
// confirmed. The page on which they do is in ../confirm/. A key of scope `send` sees what it has asked for itself.

import { createHash } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { parseSubscriptionId, printSubscriptionId } from "../../mail/ids.ts";
import type { SubscriptionWish } from "../../subscriptions/request-subscription.ts";
import { readSubscription } from "../../subscriptions/subscription-store.ts";
import { printTemplateId } from "../../templates/template-id.ts";
import { refusalProblem } from "./answer-problem.ts";
import { callerOf, type Caller } from "./authorize.ts";
import { maySee, tellRepeated } from "./email-routes.ts";
import type { HttpApi } from "./http-api.ts";
import { readIdempotencyKey } from "./idempotency-key.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem } from "./problem.ts";
import { submissionOf, takeFromRate } from "./submit-email.ts";
import {
  NEW_SUBSCRIPTION,
  SUBSCRIPTION,
  SUBSCRIPTION_PARAMS,
  SUBSCRIPTION_PENDING,
  type NewSubscriptionBody,
  type ToldSubscription,
} from "./subscription-schema.ts";

interface SubscriptionParams {
  readonly id: string;
}

export function addSubscriptionRoutes(server: FastifyInstance, api: HttpApi): void {
  server.post<{ Body: NewSubscriptionBody }>(
    "/subscriptions",
    {
      config: { scopes: ["send", "operate"] },
      schema: {
        summary: "Ask the owner of an address to confirm that it should be on a list",
        body: NEW_SUBSCRIPTION,
        response: { 200: SUBSCRIPTION_PENDING, ...PROBLEM_ANSWERS },
      },
    },
    (request, reply) => ask(request, reply, api),
  );
  server.get<{ Params: SubscriptionParams }>(
    "/subscriptions/:id",
    {
      config: { scopes: ["send", "read", "operate"] },
      schema: {
        summary: "Read whether a subscription was confirmed",
        params: SUBSCRIPTION_PARAMS,
        response: { 200: SUBSCRIPTION, ...PROBLEM_ANSWERS },
      },
    },
    (request) => read(request.params.id, callerOf(request)),
  );
}

async function ask(request: FastifyRequest<{ Body: NewSubscriptionBody }>, reply: FastifyReply, api: HttpApi) {
  const caller = callerOf(request);
  const key = readIdempotencyKey(request.raw.headersDistinct["idempotency-key"]);
  const wish = wishOf(request.body, caller, api, key);
  await takeFromRate(caller, 1);
  const answer = await caller.patience.within(caller.entry.subscriptions.request(wish), MAYBE_ASKED);
  if (answer.kind === "refused") throw refusalProblem(answer);
  if (answer.isRepeated) tellRepeated(reply);
  return { object: "subscription", id: printSubscriptionId(answer.id), state: "pending" } as const;
}

const MAYBE_ASKED =
  "It may have been asked for all the same: ask again, and the owner of the address gets no second mail for it.";

function wishOf(
  body: NewSubscriptionBody,
  { sender }: Caller,
  { config }: HttpApi,
  key: string | undefined,
): SubscriptionWish {
  const { list, email: address, template, data, from, language } = body;
  const lane = body.lane ?? "transactional";
  // Which lane and which sender the key may use is said as of any other email.
  submissionOf({ from: from ?? null, to: address, template, lane }, sender, config.from);
  refuseBulk(lane, config);
  return {
    list,
    address,
    data: data ?? {},
    language: language ?? undefined,
    template: template.id,
    variables: template.variables ?? {},
    from: from ?? undefined,
    lane,
    credential: sender.credential,
    publicUrl: requirePublicUrl(config),
    once: key === undefined ? undefined : { key, fingerprint: fingerprintOf(body) },
  };
}

/** Who has unsubscribed from bulk mail must get it, and it must not wait behind a newsletter. */
function refuseBulk(lane: string, { lanes }: HttpApi["config"]): void {
  if (lanes[lane]?.priority !== "bulk") return;
  throw new Problem("bad_field", `lane "${lane}" is for bulk mail, and this is none`, {
    hint: "Leave the lane out, or give one whose priority is not bulk.",
    field: "lane",
  });
}

function requirePublicUrl({ publicUrl }: HttpApi["config"]): string {
  if (publicUrl !== undefined) return publicUrl;
  throw new Problem("public_url_missing", "`public_url` is not set, so the mail can have no link to confirm by", {
    hint: "Set it in postlane.yaml to where the world reaches the front, and start it anew.",
  });
}

/** No email has the same. */
function fingerprintOf(body: NewSubscriptionBody): Buffer {
  return createHash("sha256")
    .update(`POST /subscriptions ${JSON.stringify(body)}`)
    .digest();
}

async function read(idText: string, { entry, sender, patience }: Caller): Promise<ToldSubscription> {
  const id = parseSubscriptionId(idText);
  const row = id === undefined ? undefined : await patience.within(readSubscription(entry.pool, id));
  if (row === undefined || !maySee(sender, row.credential)) {
    throw new Problem("subscription_not_found", "there is no such subscription for this key", {
      hint: "An id is sbn_ and a number. What was not confirmed in time is deleted. A key of scope send sees only its own.",
    });
  }
  return {
    object: "subscription",
    id: printSubscriptionId(row.id),
    list: row.list,
    email: row.address,
    state: row.state,
    template: printTemplateId({ name: row.template, version: row.template_version }),
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at.toISOString(),
    confirmed_at: row.confirmed_at?.toISOString() ?? null,
  };
}
