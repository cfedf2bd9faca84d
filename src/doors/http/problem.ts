// The catalogue of what HTTP can answer instead of what was asked: each code with its status, its title and Resend's name
// for it. docs/reference/http.md describes every code, and a test compares. A `Problem` is thrown by whatever finds one, and
// becomes `application/problem+json` (RFC 9457) with Resend's three fields beside it, since their SDK hands the body on.

import type { RefusalCode } from "../../submission/submission.ts";

interface Catalogued {
  readonly status: number;
  readonly title: string;
  /** Resend's. */
  readonly name: string;
  /** When to come back, unless it is known better. */
  readonly retryAfterS?: number;
}

const catalogued = (status: number, title: string, name: string, retryAfterS?: number): Catalogued => ({
  status,
  title,
  name,
  ...(retryAfterS === undefined ? {} : { retryAfterS }),
});

export const PROBLEMS = {
  bad_request: catalogued(400, "The request cannot be read", "validation_error"),
  bad_json: catalogued(400, "The body is no JSON", "validation_error"),
  bad_parameter: catalogued(400, "A parameter of the address is wrong", "invalid_parameter"),
  bad_idempotency_key: catalogued(400, "The idempotency key cannot be one", "invalid_idempotency_key"),
  usage: catalogued(400, "The question cannot be read", "invalid_parameter"),
  lane_unknown: catalogued(400, "There is no such lane", "invalid_parameter"),
  outlet_unknown: catalogued(400, "There is no such outlet", "invalid_parameter"),
  key_missing: catalogued(401, "A key is needed", "missing_api_key"),
  key_refused: catalogued(401, "The key is not valid", "invalid_api_key"),
  scope_not_allowed: catalogued(403, "The key may not do that", "restricted_api_key"),
  lane_not_allowed: catalogued(403, "The key may not use this lane", "restricted_api_key"),
  from_not_allowed: catalogued(403, "The key may not send from this domain", "invalid_from_address"),
  not_from_here: catalogued(403, "Only this machine may ask that", "invalid_access"),
  not_found: catalogued(404, "There is nothing here", "not_found"),
  email_not_found: catalogued(404, "There is no such email", "not_found"),
  message_not_found: catalogued(404, "There is no such message", "not_found"),
  lane_not_found: catalogued(404, "There is no such lane", "not_found"),
  template_not_found: catalogued(404, "There is no such template", "not_found"),
  outlet_not_found: catalogued(404, "There is no such outlet", "not_found"),
  subscription_not_found: catalogued(404, "There is no such subscription", "not_found"),
  list_not_found: catalogued(404, "There is no such list", "not_found"),
  campaign_not_found: catalogued(404, "There is no such campaign", "not_found"),
  recipient_not_found: catalogued(404, "Nobody of that address is on the list", "not_found"),
  preflight_not_found: catalogued(404, "There is no preflight of it", "not_found"),
  suppression_not_found: catalogued(404, "There is no such suppression", "not_found"),
  request_timeout: catalogued(408, "The request took too long", "application_error"),
  key_in_progress: catalogued(409, "The idempotency key is being used", "concurrent_idempotent_requests", 1),
  not_waiting: catalogued(409, "It waits no longer", "validation_error"),
  not_scheduled: catalogued(409, "It is not scheduled", "validation_error"),
  being_handed_over: catalogued(409, "It is being handed over", "validation_error", 1),
  paused_for_every_lane: catalogued(409, "It is paused for every lane", "validation_error"),
  public_url_missing: catalogued(409, "The installation has no public address", "validation_error"),
  campaign_exists: catalogued(409, "There is a campaign of this name", "validation_error"),
  campaign_refused: catalogued(409, "The campaign's status does not permit that", "validation_error"),
  body_too_large: catalogued(413, "The body is too large", "validation_error"),
  body_too_complex: catalogued(413, "The body is too complex", "validation_error"),
  not_json: catalogued(415, "The body must be JSON", "validation_error"),
  not_csv: catalogued(415, "The body must be CSV", "validation_error"),
  bad_field: catalogued(422, "A field is wrong", "validation_error"),
  bad_address: catalogued(422, "An address is wrong", "validation_error"),
  no_such_lane: catalogued(422, "There is no such lane", "validation_error"),
  limit_exceeded: catalogued(422, "A limit is exceeded", "validation_error"),
  key_used_for_other: catalogued(422, "The idempotency key was used before", "invalid_idempotent_request"),
  bad_time: catalogued(422, "A time is wrong", "validation_error"),
  template_refused: catalogued(422, "The template has errors", "validation_error"),
  copy_refused: catalogued(422, "A message cannot be made", "validation_error"),
  list_refused: catalogued(422, "The list cannot be used", "validation_error"),
  not_supported: catalogued(422, "That is not supported yet", "validation_error"),
  rate_limited: catalogued(429, "Too many emails", "rate_limit_exceeded", 1),
  header_too_large: catalogued(431, "The header is too large", "validation_error"),
  failed: catalogued(500, "Something is broken", "internal_server_error"),
  lane_full: catalogued(503, "The lane takes no more mail for now", "application_error", 30),
  busy: catalogued(503, "Too much at once", "application_error", 1),
  database_silent: catalogued(503, "The database does not answer", "application_error", 5),
  too_many_connections: catalogued(503, "Too many connections", "application_error", 5),
} as const satisfies Readonly<Record<string, Catalogued>>;

export type ProblemCode = keyof typeof PROBLEMS;

/** What the rules of entry refuse. */
export const CODE_OF_REFUSAL: Readonly<Record<RefusalCode, ProblemCode>> = {
  PL001: "bad_field",
  PL002: "bad_address",
  PL003: "no_such_lane",
  PL004: "limit_exceeded",
  PL005: "key_used_for_other",
  PL006: "bad_time",
  PL008: "key_in_progress",
  PL009: "lane_full",
};

interface ProblemFacts {
  /** What to do about it. */
  readonly hint: string;
  /** Of the body's fields, the one to blame. */
  readonly field?: string | undefined;
  readonly retryAfterS?: number | undefined;
  /** Of a batch: what is wrong with each item that was refused. */
  readonly errors?: readonly ItemProblem[];
  readonly cause?: unknown;
}

export class Problem extends Error {
  readonly code: ProblemCode;
  readonly facts: ProblemFacts;

  constructor(code: ProblemCode, detail: string, facts: ProblemFacts) {
    super(detail, { cause: facts.cause });
    this.name = "Problem";
    this.code = code;
    this.facts = facts;
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }

  /** Undefined: coming back changes nothing. */
  get retryAfterS(): number | undefined {
    return this.facts.retryAfterS ?? PROBLEMS[this.code].retryAfterS;
  }
}

interface ProblemWords {
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
  readonly hint: string;
  readonly field?: string;
  readonly name: string;
  readonly message: string;
  readonly statusCode: number;
}

export interface ItemProblem extends ProblemWords {
  readonly index: number;
}

interface ProblemBody extends ProblemWords {
  readonly type: string;
  readonly title: string;
  readonly errors?: readonly ItemProblem[];
}

export function problemBody(problem: Problem): ProblemBody {
  const { code, facts } = problem;
  return {
    // A name and not an address: every installation is its own.
    type: `urn:postlane:problem:${code}`,
    title: PROBLEMS[code].title,
    ...wordsOf(problem),
    ...(facts.errors === undefined ? {} : { errors: facts.errors }),
  };
}

export function itemProblem(index: number, problem: Problem): ItemProblem {
  return { index, ...wordsOf(problem) };
}

function wordsOf({ code, message: detail, facts: { hint, field } }: Problem): ProblemWords {
  const { status, name } = PROBLEMS[code];
  return {
    status,
    code,
    detail,
    hint,
    ...(field === undefined ? {} : { field }),
    name,
    message: `${detail.replace(/\.$/, "")}. ${hint}`,
    statusCode: status,
  };
}
