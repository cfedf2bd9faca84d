// Whatever a route throws becomes a problem that its caller can act on. What is our own mistake is logged with its words,
// and answered without them.

import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import type { Log } from "../../platform/log.ts";
import type { Properties, SchemaNode } from "../../platform/plain-schema.ts";
import { AcceptanceBusy } from "../../submission/accept-submission.ts";
import type { RefusalCode, SubmissionRefused } from "../../submission/submission.ts";
import { EMAIL } from "./email-schema.ts";
import { CODE_OF_REFUSAL, Problem, problemBody } from "./problem.ts";

export function answerProblem(error: unknown, request: FastifyRequest, reply: FastifyReply, log: Log): FastifyReply {
  const problem = problemOf(error, bodyFields(request));
  if (problem.status >= 500) logFailure(problem, error, request, log);
  if (problem.status === 401) reply.header("www-authenticate", 'Bearer realm="postlane"');
  if (problem.retryAfterS !== undefined) reply.header("retry-after", problem.retryAfterS);
  return reply.code(problem.status).type("application/problem+json").send(problemBody(problem));
}

/** A refusal of the rules of entry, in words for HTTP. */
export function refusalProblem({ code, message, hint, field }: Omit<SubmissionRefused, "kind">): Problem {
  return new Problem(CODE_OF_REFUSAL[code], message, { hint: hint === "" ? "Correct it." : hint, field });
}

/** What the body of this route may have; `anyOf`: it may be left out. */
function bodyFields({ routeOptions }: FastifyRequest): Properties {
  const { properties, anyOf } = (routeOptions.schema?.body ?? {}) as SchemaNode;
  return properties ?? anyOf?.[0]?.properties ?? EMAIL.properties;
}

function problemOf(error: unknown, fields: Properties): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof AcceptanceBusy) {
    return new Problem("busy", error.message, { hint: "Nothing was queued. Send it again in a moment." });
  }
  const { code } = error as { readonly code?: unknown };
  if (typeof code === "string" && Object.hasOwn(CODE_OF_REFUSAL, code)) return raisedProblem(error);
  return frameworkProblem(error as FastifyError, fields);
}

/** Raised by a function of the database, outside of a group. */
function raisedProblem(error: unknown): Problem {
  const { code, message, hint, column } = error as Readonly<Record<"code" | "message" | "hint" | "column", string>>;
  return refusalProblem({ code: code as RefusalCode, message, hint: hint ?? "", field: column });
}

function frameworkProblem(error: FastifyError, fields: Properties): Problem {
  if (error.validation !== undefined) return validationProblem(error, fields);
  switch (error.code) {
    case "FST_ERR_CTP_BODY_TOO_LARGE":
      return new Problem("body_too_large", "the body is larger than is taken here", {
        hint: "Link to large content instead of sending it, and send long batches in parts.",
      });
    case "FST_ERR_CTP_INVALID_MEDIA_TYPE":
      return new Problem("not_json", "the body is not sent as JSON", { hint: "Send Content-Type: application/json." });
  }
  if ((error.statusCode ?? 500) < 500) {
    return new Problem("bad_request", "the request cannot be read", { hint: "Check its header and its body." });
  }
  return new Problem("failed", "Postlane made a mistake", {
    hint: "Its log says more. If you repeat it, do so with the same idempotency key.",
  });
}

/** Of the body, the field is to blame; of the address, the parameter. */
function validationProblem(error: Pick<FastifyError, "validation" | "validationContext">, fields: Properties): Problem {
  const [first] = error.validation ?? [];
  const { additionalProperty, missingProperty } = (first?.params ?? {}) as Readonly<Record<string, string | undefined>>;
  const named = first?.instancePath.split("/")[1] ?? missingProperty ?? additionalProperty;
  const field = named?.slice(0, FIELD_CHARS_MAX);
  if (error.validationContext !== "body") {
    return new Problem("bad_parameter", `parameter "${field}" ${first?.message ?? "is wrong"}`, {
      hint: "docs/reference/http.md has the parameters of each route.",
    });
  }
  const about = { isUnknown: additionalProperty !== undefined, isMissing: missingProperty !== undefined };
  return fieldProblem(field, about, fields);
}

const FIELD_CHARS_MAX = 100;

function fieldProblem(
  field: string | undefined,
  about: { readonly isUnknown: boolean; readonly isMissing: boolean },
  fields: Properties,
): Problem {
  if (field === undefined) {
    return new Problem("bad_field", "the body is not of the shape that is taken here", {
      hint: 'Send a JSON object such as {"to": "ann@example.com", "subject": "Hello", "text": "Hello Ann"}.',
    });
  }
  if (about.isUnknown) {
    const hint = `Known: ${Object.keys(fields).join(", ")}.`;
    return new Problem("bad_field", `there is no field "${field}"`, { hint, field });
  }
  const expected = Object.hasOwn(fields, field) ? fields[field]!.description : undefined;
  return new Problem("bad_field", `field "${field}" is ${about.isMissing ? "missing" : "not of its type"}`, {
    hint: expected === undefined ? "Correct it." : `Expected: ${expected}.`,
    field,
  });
}

/** What validating one item of a batch by itself has found. */
export function itemValidationProblem(validation: FastifyError["validation"]): Problem {
  return validationProblem({ validation, validationContext: "body" } as FastifyError, EMAIL.properties);
}

/** Without the address, which may hold an id, and without the client's words. */
function logFailure(problem: Problem, error: unknown, { method, routeOptions }: FastifyRequest, log: Log): void {
  const cause = error instanceof Problem ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : undefined;
  const fields = {
    method,
    route: routeOptions.url,
    code: problem.code,
    ...(reason === undefined ? {} : { error: reason }),
  };
  if (problem.code === "failed") log.error("http.failed", fields);
  else log.warn("http.refused", fields);
}
