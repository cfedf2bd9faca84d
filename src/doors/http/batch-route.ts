// `POST /emails/batch`: up to a thousand emails in one request and one transaction. Each is answered for itself, and those that
// are refused are named by their place. With `x-batch-validation: strict`, which Resend's SDK sends, all are accepted or
// none. 2xx only when at least one was accepted.

import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { printSubmissionId } from "../../mail/ids.ts";
import type { Submission, SubmissionAnswer } from "../../submission/submission.ts";
import { itemValidationProblem, refusalProblem } from "./answer-problem.ts";
import { callerOf } from "./authorize.ts";
import { tellRepeated } from "./email-routes.ts";
import { EMAIL, EMAILS, type EmailBody } from "./email-schema.ts";
import type { HttpApi } from "./http-api.ts";
import { BATCH_ITEMS_MAX } from "./http-limits.ts";
import { readIdempotencyKey } from "./idempotency-key.ts";
import { BATCH_ANSWER, PROBLEM_ANSWERS, type BatchAnswerBody } from "./problem-schema.ts";
import { itemProblem, Problem } from "./problem.ts";
import { MAYBE_QUEUED, submissionOf, takeFromRate } from "./submit-email.ts";

export function addBatchRoute(server: FastifyInstance, api: HttpApi): void {
  server.post(
    "/emails/batch",
    {
      bodyLimit: api.config.http.batchBodyBytesMax,
      config: { scopes: ["send", "operate"], isBatch: true },
      schema: {
        summary: "Submit up to a thousand emails",
        body: EMAILS,
        response: { 200: BATCH_ANSWER, ...PROBLEM_ANSWERS },
      },
      // Each item is validated by itself, so that one does not refuse all.
      validatorCompiler: () => () => true,
    },
    (request, reply) => submitBatch(request, reply, api),
  );
}

/** An item that the request itself makes wrong, or what is to be accepted. */
type Item = { readonly index: number } & (
  | { readonly kind: "good"; readonly submission: Submission }
  | { readonly kind: "bad"; readonly problem: Problem }
);

async function submitBatch(request: FastifyRequest, reply: FastifyReply, api: HttpApi): Promise<BatchAnswerBody> {
  const caller = callerOf(request);
  const isAllOrNone = readValidation(request.headers["x-batch-validation"]);
  const key = readIdempotencyKey(request.raw.headersDistinct["idempotency-key"]);
  const items = readItems(request, api);
  const good = items.filter((item) => item.kind === "good");
  const bad = items.filter((item) => item.kind === "bad");
  if (good.length === 0 || (isAllOrNone && bad.length > 0)) throw nothingQueued(bad, items.length);
  await takeFromRate(caller, items.length);

  const { entry, sender, patience } = caller;
  const submissions = good.map(({ submission }) => submission);
  const batch = { credential: sender.credential, submissions, isAllOrNone, key };
  const answer = await patience.within(entry.batches.accept(batch, patience.signal), MAYBE_QUEUED);
  if (answer.kind === "key_refused") throw keyProblem(refusalProblem(answer.refusal));
  const refused = [...bad, ...refusedOf(good, answer.answers)].toSorted((one, other) => one.index - other.index);
  if (answer.kind === "none_accepted") throw nothingQueued(refused, items.length);
  if (answer.isRepeated) tellRepeated(reply);
  const data = answer.answers.flatMap((each, place) =>
    each.kind === "accepted" ? [{ id: printSubmissionId(each.submissionId), index: good[place]!.index }] : [],
  );
  return refused.length === 0
    ? { data }
    : { data, errors: refused.map(({ index, problem }) => itemProblem(index, problem)) };
}

/** Without it each email is answered for itself. */
function readValidation(given: string | readonly string[] | undefined): boolean {
  if (given === undefined || given === "permissive") return false;
  if (given === "strict") return true;
  throw new Problem("bad_parameter", "the header field x-batch-validation is neither strict nor permissive", {
    hint: "`strict`: all emails are accepted or none. `permissive`, or no such field: each is answered for itself.",
  });
}

function readItems(request: FastifyRequest, { config }: HttpApi): readonly Item[] {
  const { body } = request;
  if (!Array.isArray(body) || body.length === 0) {
    throw new Problem("bad_field", "the body is no list of emails", {
      hint: 'Send a JSON array such as [{"to": "ann@example.com", "subject": "Hello", "text": "Hello Ann"}].',
    });
  }
  if (body.length > BATCH_ITEMS_MAX) throw new Error("the reader of the body lets no longer list through");
  const { sender } = callerOf(request);
  return body.map((item: unknown, index): Item => {
    try {
      const submission = submissionOf(validated(item, request), sender, config.from);
      return { kind: "good", index, submission };
    } catch (error) {
      if (error instanceof Problem) return { kind: "bad", index, problem: error };
      throw error;
    }
  });
}

function validated(item: unknown, request: FastifyRequest): EmailBody {
  // The compiled check is kept by the framework, under the schema object.
  const check = request.getValidationFunction(EMAIL) ?? request.compileValidationSchema(EMAIL);
  if (check(item)) return item as EmailBody;
  throw itemValidationProblem(check.errors ?? undefined);
}

function refusedOf(
  good: readonly { readonly index: number }[],
  answers: readonly SubmissionAnswer[],
): readonly { readonly index: number; readonly problem: Problem }[] {
  return answers.flatMap((answer, place) =>
    answer.kind === "refused" ? [{ index: good[place]!.index, problem: refusalProblem(answer) }] : [],
  );
}

/** The first that is wrong speaks for all. */
function nothingQueued(
  refused: readonly { readonly index: number; readonly problem: Problem }[],
  count: number,
): Problem {
  const { index, problem } = refused[0]!;
  const { hint, field, retryAfterS } = problem.facts;
  return new Problem(problem.code, `emails[${index}]: ${problem.message}`, {
    hint: `${hint} Nothing was queued: ${refused.length} of ${count} emails are refused.`,
    field,
    retryAfterS,
    errors: refused.map((one) => itemProblem(one.index, one.problem)),
  });
}

/** The rules of entry name the key of one item, which is of our own making. */
function keyProblem(problem: Problem): Problem {
  const isUsed = problem.code === "key_used_for_other";
  return new Problem(
    problem.code,
    isUsed
      ? "the idempotency key was used for another request"
      : "the idempotency key is being used by another request",
    {
      hint: isUsed
        ? "Nothing was queued. A key names one request for ever: use a new one for a new batch."
        : "Wait for that one's answer, or ask again in a second.",
    },
  );
}
