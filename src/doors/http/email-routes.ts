// The routes of emails, one at a time: submit, read, list, cancel, reschedule. 2xx stands for what is committed. A key of
// scope `send` sees what it has submitted itself, and nothing says whether there is anything else.

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { parseSubmissionId, printSubmissionId, type SubmissionId } from "../../mail/ids.ts";
import { cancelUnclaimed, rescheduleScheduled, type SubmissionControl } from "../../queue/control-submission.ts";
import { listEmails, reportEmail, reportStanding, type ReportedMessage } from "../../reports/email-report.ts";
import { refusalProblem } from "./answer-problem.ts";
import { callerOf, type Caller } from "./authorize.ts";
import { listedEmail, movedEmail, submittedEmail } from "./email-answers.ts";
import {
  ACCEPTED,
  EMAIL,
  EMAIL_LIST,
  EMAIL_PARAMS,
  LIST_QUERY,
  MOVED,
  RESCHEDULE,
  SUBMITTED_EMAIL,
  type EmailBody,
  type ListQuery,
  type MovedEmail,
  type RescheduleBody,
} from "./email-schema.ts";
import type { HttpApi } from "./http-api.ts";
import { LIST_LIMIT_DEFAULT } from "./http-limits.ts";
import { readWholeNumber } from "./read-whole-number.ts";
import { readIdempotencyKey } from "./idempotency-key.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem } from "./problem.ts";
import { MAYBE_QUEUED, submissionOf, takeFromRate } from "./submit-email.ts";

interface EmailParams {
  readonly id: string;
}

export function addEmailRoutes(server: FastifyInstance, api: HttpApi): void {
  server.post<{ Body: EmailBody }>(
    "/emails",
    {
      config: { scopes: ["send", "operate"] },
      schema: { summary: "Submit an email", body: EMAIL, response: { 200: ACCEPTED, ...PROBLEM_ANSWERS } },
    },
    (request, reply) => submit(request, reply, api),
  );
  server.get<{ Querystring: ListQuery }>(
    "/emails",
    {
      config: { scopes: ["send", "read", "operate"] },
      schema: {
        summary: "List emails, the newest first",
        querystring: LIST_QUERY,
        response: { 200: EMAIL_LIST, ...PROBLEM_ANSWERS },
      },
      preValidation: async (request) => readWholeNumber(request.query, "limit"),
    },
    (request) => list(request.query, callerOf(request), api),
  );
  server.get<{ Params: EmailParams }>(
    "/emails/:id",
    {
      config: { scopes: ["send", "read", "operate"] },
      schema: {
        summary: "Read an email, and where its messages stand",
        params: EMAIL_PARAMS,
        response: { 200: SUBMITTED_EMAIL, ...PROBLEM_ANSWERS },
      },
    },
    (request) => read(request.params.id, callerOf(request), api),
  );
  server.post<{ Params: EmailParams }>(
    "/emails/:id/cancel",
    {
      config: { scopes: ["send", "operate"] },
      schema: {
        summary: "Cancel what waits of an email",
        params: EMAIL_PARAMS,
        response: { 200: MOVED, ...PROBLEM_ANSWERS },
      },
    },
    (request) => cancel(request.params.id, callerOf(request), api),
  );
  server.patch<{ Params: EmailParams; Body: RescheduleBody }>(
    "/emails/:id",
    {
      config: { scopes: ["send", "operate"] },
      schema: {
        summary: "Give a scheduled email another time",
        params: EMAIL_PARAMS,
        body: RESCHEDULE,
        response: { 200: MOVED, ...PROBLEM_ANSWERS },
      },
    },
    (request) => reschedule(request.params.id, request.body.scheduled_at, callerOf(request), api),
  );
}

async function submit(
  request: FastifyRequest<{ Body: EmailBody }>,
  reply: FastifyReply,
  { config }: HttpApi,
): Promise<{ readonly id: string }> {
  const caller = callerOf(request);
  const key = readIdempotencyKey(request.raw.headersDistinct["idempotency-key"]);
  const submission = submissionOf(request.body, caller.sender, config.from, key);
  await takeFromRate(caller, 1);
  const answer = await caller.patience.within(caller.entry.acceptance.accept(submission), MAYBE_QUEUED);
  if (answer.kind === "refused") throw refusalProblem(answer);
  if (answer.isRepeated) tellRepeated(reply);
  return { id: printSubmissionId(answer.submissionId) };
}

/** As others do, so that a program can tell the first answer from its repetition. */
export function tellRepeated(reply: FastifyReply): void {
  reply.header("idempotent-replayed", "true");
}

async function read(idText: string, { entry, sender, patience }: Caller, { config }: HttpApi) {
  const id = readId(idText);
  const email = await patience.within(reportEmail(entry.pool, id));
  if (email === undefined || !maySee(sender, email.row.credential)) throw notFound(id);
  return submittedEmail(email, config.from);
}

async function list({ limit, after }: ListQuery, { entry, sender, patience }: Caller, { config }: HttpApi) {
  const question = {
    credential: sender.scope === "send" ? sender.credential : undefined,
    after: after === undefined ? undefined : readCursor(after),
    limit: limit ?? LIST_LIMIT_DEFAULT,
  };
  const { emails, hasMore } = await patience.within(
    listEmails(entry.pool, question),
    "Ask again later, or for fewer with `limit`.",
  );
  return { object: "list", has_more: hasMore, data: emails.map((email) => listedEmail(email, config.from)) } as const;
}

async function cancel(idText: string, caller: Caller, { clock }: HttpApi): Promise<MovedEmail> {
  const { entry, sender, patience } = caller;
  const id = readId(idText);
  const before = await standingOf(id, caller);
  const ids = before.map((message) => message.id);
  const control = await patience.within(cancelUnclaimed({ pool: entry.pool, clock }, ids, sender.credential));
  const isSoAlready = before.length > 0 && before.every(({ state }) => state === "canceled");
  if (!isSoAlready) refuseUnmoved(control, "not_waiting");
  return movedEmail(id, await standingOf(id, caller), control);
}

async function reschedule(idText: string, at: string, caller: Caller, { clock }: HttpApi): Promise<MovedEmail> {
  const { entry, sender, patience } = caller;
  const id = readId(idText);
  const ids = (await standingOf(id, caller)).map((message) => message.id);
  const answer = await patience.within(
    rescheduleScheduled({ pool: entry.pool, clock }, ids, at, sender.credential),
    "It may have another time all the same: read it before you try again.",
  );
  if (answer.kind === "expired_by_then") {
    throw new Problem("bad_time", 'field "scheduled_at" is not before the email\'s expires_at', {
      hint: "Give an earlier time, or cancel it and send it anew.",
      field: "scheduled_at",
    });
  }
  refuseUnmoved(answer, "not_scheduled");
  return movedEmail(id, await standingOf(id, caller), answer);
}

async function standingOf(id: SubmissionId, { entry, sender, patience }: Caller): Promise<readonly ReportedMessage[]> {
  const standing = await patience.within(reportStanding(entry.pool, id));
  if (standing === undefined || !maySee(sender, standing.credential)) throw notFound(id);
  return standing.messages;
}

/** As long as one message was moved, the answer tells the fate of each. */
function refuseUnmoved({ moved, beingHandedOver }: SubmissionControl, code: "not_waiting" | "not_scheduled"): void {
  if (moved.length > 0) return;
  if (beingHandedOver.length > 0) {
    throw new Problem("being_handed_over", "the email is being handed over right now, and cannot be stopped", {
      hint: "Read it for how that ends.",
    });
  }
  if (code === "not_waiting") {
    throw new Problem(code, "nothing of the email waits any more", { hint: "Read it for where it stands." });
  }
  throw new Problem(code, "nothing of the email is scheduled", {
    hint: "Only what is still `scheduled` can get another time. Read it for where it stands.",
  });
}

export function maySee({ scope, credential }: Caller["sender"], owner: string): boolean {
  return scope !== "send" || owner === credential;
}

function readId(text: string): SubmissionId {
  const id = parseSubmissionId(text);
  if (id !== undefined) return id;
  throw new Problem("email_not_found", "there is no such email", { hint: "An id is sub_ and a number." });
}

function notFound(id: SubmissionId): Problem {
  return new Problem("email_not_found", `there is no email ${printSubmissionId(id)} for this key`, {
    hint: "Check the id. A key of scope send sees only what it has submitted.",
  });
}

function readCursor(text: string): number {
  const id = parseSubmissionId(text);
  if (id !== undefined) return id;
  throw new Problem("bad_parameter", 'parameter "after" is no id of an email', {
    hint: "Give the id of the last email of the page before.",
  });
}
