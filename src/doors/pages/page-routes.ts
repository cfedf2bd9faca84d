// Pages that people open from a mail: `PUBLIC_URL/u/TOKEN` and the like, without a key, a cookie or a redirect. GET and HEAD
// show and change nothing, since scanners of mail follow every link; POST acts. Every answer is a page that a person can
// read, also when the database says nothing.

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { pathOfPublicUrl } from "../../platform/public-url.ts";
import { createRateLimit } from "../../platform/rate-limit.ts";
import type { HttpApi, HttpEntry } from "../http/http-api.ts";
import { createPatience, type Patience } from "../http/patience.ts";
import { Problem, PROBLEMS } from "../http/problem.ts";
import { chooseLanguage } from "./choose-language.ts";
import { readFormFields, type FormFields } from "./form-fields.ts";
import type { Language } from "./languages.ts";
import { PAGE_BODY_BYTES_MAX, PAGES_BURST, PAGES_PER_S } from "./page-limits.ts";
import { invalidPage, notNowPage, pageHeaders, printPage, type Page } from "./page.ts";

export interface PageDoor {
  /** Behind the path of `public_url`, such as `/u/`. */
  readonly path: string;
  /** What the log says when it fails. */
  readonly failed: string;
  readonly show: (visit: Visit) => Promise<PageAnswer>;
  readonly take: (visit: Visit) => Promise<PageAnswer>;
}

export interface Visit {
  /** Whatever stands behind the path. */
  readonly token: string;
  readonly fields: FormFields;
  readonly entry: HttpEntry;
  readonly patience: Patience;
  /** Before the database is asked, and only then: whoever makes tokens up takes nobody's turn. Throws when too many ask. */
  takeTurn(): void;
}

export interface PageAnswer {
  readonly status: number;
  readonly page: (language: Language) => Page;
  /** What the recipient's data say; else the browser is asked. */
  readonly locale?: string | null;
}

export function addPageRoutes(server: FastifyInstance, api: HttpApi, door: PageDoor): void {
  const { config, clock } = api;
  const limit = createRateLimit({ perS: PAGES_PER_S, burst: PAGES_BURST, nowMs: () => clock.monotonicMs() });
  const takeTurn = (): void => {
    if (!limit.take()) throw new Problem("busy", "too many ask at once", COME_AGAIN);
  };
  takeAnyBody(server);
  server.setErrorHandler((error: FastifyError, request, reply) => answerFailure(error, request, reply, api, door));
  // A proxy may take the path away, or leave it.
  const paths = new Set(["", config.publicUrl === undefined ? "" : pathOfPublicUrl(config.publicUrl)]);
  for (const path of paths) {
    // Whatever stands behind it, so that a link that was cut or grew is answered with a page, too.
    const url = `${path}${door.path}*`;
    server.get<TokenRoute>(url, HIDDEN, async (request, reply) =>
      answer(request, reply, await door.show(visitOf(request, api, takeTurn))),
    );
    server.post<TokenRoute>(url, HIDDEN, async (request, reply) =>
      answer(request, reply, await door.take(visitOf(request, api, takeTurn))),
    );
  }
}

/** It is for people and mail clients: the OpenAPI document is of what programs of the site call. */
const HIDDEN = { schema: { hide: true }, bodyLimit: PAGE_BODY_BYTES_MAX };

interface TokenRoute {
  Params: { readonly "*": string };
}

/** What a mail client declares its body to be is not believed, but read. */
function takeAnyBody(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", { parseAs: "buffer" }, async (_: FastifyRequest, bytes: Buffer) => bytes);
}

function visitOf(request: FastifyRequest<TokenRoute>, { entry, clock }: HttpApi, takeTurn: () => void): Visit {
  const found = entry();
  if (found === undefined) throw new Problem("database_silent", "the database is not there yet", COME_AGAIN);
  const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0);
  const fields = readFormFields(request.headers["content-type"] ?? "", body);
  return { token: request.params["*"], fields, entry: found, patience: createPatience(clock), takeTurn };
}

const COME_AGAIN = { hint: "Come again in a moment." };

function answer(request: FastifyRequest, reply: FastifyReply, { status, page, locale }: PageAnswer): void {
  const language = chooseLanguage(locale, request.headers["accept-language"]);
  void reply
    .code(status)
    .headers(pageHeaders(language))
    .send(printPage(page(language), language));
}

/** Nothing was changed, or nobody knows: to say it again is right in both cases. */
function answerFailure(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
  { log }: HttpApi,
  { failed }: PageDoor,
): void {
  const status = error instanceof Problem ? error.status : (error.statusCode ?? 500);
  if (status < 500) return answer(request, reply, { status, page: invalidPage });
  const cause = error instanceof Problem ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : error.message;
  log.warn(failed, { method: request.method, error: reason });
  const retryAfterS = error instanceof Problem ? error.retryAfterS : undefined;
  reply.header("retry-after", retryAfterS ?? PROBLEMS.database_silent.retryAfterS);
  return answer(request, reply, { status: 503, page: notNowPage });
}
