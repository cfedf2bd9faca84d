// Where recipients unsubscribe: `PUBLIC_URL/u/TOKEN`, without a key, a cookie or a redirect. POST unsubscribes at once
// (RFC 8058); GET shows a page with one button and changes nothing, since scanners of mail follow every link. Every answer
// is a page that a person can read, also when the database says nothing.

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { MessageId } from "../../mail/ids.ts";
import { UNSUBSCRIBE_PATH } from "../../mail/unsubscribe-token.ts";
import { pathOfPublicUrl } from "../../platform/public-url.ts";
import type { AddressedMessage } from "../../suppression/unsubscribe-store.ts";
import type { Unsubscriber } from "../../suppression/unsubscribe.ts";
import type { HttpApi } from "../http/http-api.ts";
import { createPatience, type Patience } from "../http/patience.ts";
import { Problem, PROBLEMS } from "../http/problem.ts";
import { createRateLimit, type RateLimit } from "../../platform/rate-limit.ts";
import { chooseLanguage } from "./choose-language.ts";
import { readUnsubscribeForm, type FormRead } from "./unsubscribe-form.ts";
import { pageHeaders, unsubscribePage, type PageContent } from "./unsubscribe-page.ts";
import { UNSUBSCRIBE_BODY_BYTES_MAX, UNSUBSCRIBE_BURST, UNSUBSCRIBE_PER_S } from "./unsubscribe-limits.ts";

export function addUnsubscribeRoutes(server: FastifyInstance, api: HttpApi): void {
  const { publicUrl } = api.config;
  const limit = createRateLimit({
    perS: UNSUBSCRIBE_PER_S,
    burst: UNSUBSCRIBE_BURST,
    nowMs: () => api.clock.monotonicMs(),
  });
  takeAnyBody(server);
  server.setErrorHandler((error: FastifyError, request, reply) => answerFailure(error, request, reply, api));
  // A proxy may take the path away, or leave it.
  const paths = new Set(["", publicUrl === undefined ? "" : pathOfPublicUrl(publicUrl)]);
  for (const path of paths) {
    // Whatever stands behind it, so that a link that was cut or grew is answered with a page, too.
    const url = `${path}${UNSUBSCRIBE_PATH}*`;
    server.get<TokenRoute>(url, HIDDEN, async (request, reply) => showPage(request, reply, api, limit));
    server.post<TokenRoute>(url, HIDDEN, async (request, reply) => takeUnsubscribe(request, reply, api, limit));
  }
}

/** It is for people and mail clients: the OpenAPI document is of what programs of the site call. */
const HIDDEN = { schema: { hide: true }, bodyLimit: UNSUBSCRIBE_BODY_BYTES_MAX };

interface TokenRoute {
  Params: { readonly "*": string };
}

/** What a mail client declares its body to be is not believed, but read. */
function takeAnyBody(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser("*", { parseAs: "buffer" }, async (_: FastifyRequest, bytes: Buffer) => bytes);
}

type TokenRequest = FastifyRequest<TokenRoute>;

async function showPage(
  request: TokenRequest,
  reply: FastifyReply,
  api: HttpApi,
  limit: RateLimit,
  statusOfPage = 200,
): Promise<void> {
  const asked = await readToken(request, api, limit);
  if (asked === undefined) return answer(request, reply, 404, { kind: "invalid" });
  const found = await asked.patience.within(asked.unsubscriber.find(asked.messageId));
  if (found.kind !== "message") return answer(request, reply, 404, found);
  const { message } = found;
  const content = { kind: "ask", list: message.list, about: aboutOf(message, api) } as const;
  return answer(request, reply, statusOfPage, content, message.locale);
}

async function takeUnsubscribe(
  request: TokenRequest,
  reply: FastifyReply,
  api: HttpApi,
  limit: RateLimit,
): Promise<void> {
  const form = readForm(request);
  // Not what a button or a mail client sends: the page asks.
  if (form.kind === "other") return showPage(request, reply, api, limit, 400);
  const asked = await readToken(request, api, limit);
  if (asked === undefined) return answer(request, reply, 404, { kind: "invalid" });
  const { unsubscriber, messageId, patience } = asked;
  const done = await patience.within(unsubscriber.unsubscribe({ messageId, isAll: form.isAll, door: form.door }));
  if (done.kind !== "unsubscribed") return answer(request, reply, 404, done);
  const { message, list } = done;
  return answer(request, reply, 200, { kind: "done", list, about: aboutOf(message, api) }, message.locale);
}

interface Asked {
  readonly unsubscriber: Unsubscriber;
  readonly messageId: MessageId;
  readonly patience: Patience;
}

/** Only what asks the database is bounded: whoever makes tokens up takes nobody's turn. */
async function readToken(
  { params }: TokenRequest,
  { entry, clock }: HttpApi,
  limit: RateLimit,
): Promise<Asked | undefined> {
  const unsubscriber = entry()?.unsubscriber;
  if (unsubscriber === undefined) throw new Problem("database_silent", "the database is not there yet", COME_AGAIN);
  const patience = createPatience(clock);
  const messageId = await patience.within(unsubscriber.read(params["*"]));
  if (messageId !== undefined && !limit.take()) throw new Problem("busy", "too many ask at once", COME_AGAIN);
  return messageId === undefined ? undefined : { unsubscriber, messageId, patience };
}

const COME_AGAIN = { hint: "Come again in a moment." };

function readForm(request: FastifyRequest): FormRead {
  const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0);
  return readUnsubscribeForm(request.headers["content-type"] ?? "", body);
}

function aboutOf({ sender, recipient }: AddressedMessage, { config }: HttpApi) {
  return { sender: sender ?? config.from, recipient };
}

function answer(
  request: FastifyRequest,
  reply: FastifyReply,
  status: number,
  content: PageContent,
  locale: string | null = null,
): void {
  const language = chooseLanguage(locale, request.headers["accept-language"]);
  void reply.code(status).headers(pageHeaders(language)).send(unsubscribePage(content, language));
}

/** Nothing was changed, or nobody knows: to say it again is right in both cases. */
function answerFailure(error: FastifyError, request: FastifyRequest, reply: FastifyReply, { log }: HttpApi): void {
  const status = error instanceof Problem ? error.status : (error.statusCode ?? 500);
  if (status < 500) return answer(request, reply, status, { kind: "invalid" });
  const cause = error instanceof Problem ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : error.message;
  log.warn("unsubscribe.failed", { method: request.method, error: reason });
  const retryAfterS = error instanceof Problem ? error.retryAfterS : undefined;
  reply.header("retry-after", retryAfterS ?? PROBLEMS.database_silent.retryAfterS);
  return answer(request, reply, 503, { kind: "not_now" });
}
