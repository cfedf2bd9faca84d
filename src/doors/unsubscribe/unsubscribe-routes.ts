// Where recipients unsubscribe: `PUBLIC_URL/u/TOKEN`. POST unsubscribes at once (RFC 8058); GET shows a page with one button
// and changes nothing.

import type { FastifyInstance } from "fastify";
import type { MessageId } from "../../mail/ids.ts";
import { UNSUBSCRIBE_PATH } from "../../mail/unsubscribe-token.ts";
import type { AddressedMessage } from "../../suppression/unsubscribe-store.ts";
import type { HttpApi } from "../http/http-api.ts";
import { addPageRoutes, type PageAnswer, type Visit } from "../pages/page-routes.ts";
import { readUnsubscribeForm } from "./unsubscribe-form.ts";
import { unsubscribePage, type PageContent } from "./unsubscribe-page.ts";

export function addUnsubscribeRoutes(server: FastifyInstance, api: HttpApi): void {
  addPageRoutes(server, api, {
    path: UNSUBSCRIBE_PATH,
    failed: "unsubscribe.failed",
    show: (visit) => showPage(visit, api),
    take: (visit) => takeUnsubscribe(visit, api),
  });
}

async function showPage(visit: Visit, api: HttpApi, statusOfPage = 200): Promise<PageAnswer> {
  const messageId = await readToken(visit);
  if (messageId === undefined) return answer(404, { kind: "invalid" });
  const found = await visit.patience.within(visit.entry.unsubscriber.find(messageId));
  if (found.kind !== "message") return answer(404, found);
  const { message } = found;
  return answer(statusOfPage, { kind: "ask", list: message.list, about: aboutOf(message, api) }, message.locale);
}

async function takeUnsubscribe(visit: Visit, api: HttpApi): Promise<PageAnswer> {
  const form = readUnsubscribeForm(visit.fields);
  // Not what a button or a mail client sends: the page asks.
  if (form.kind === "other") return showPage(visit, api, 400);
  const messageId = await readToken(visit);
  if (messageId === undefined) return answer(404, { kind: "invalid" });
  const { entry, patience } = visit;
  const done = await patience.within(entry.unsubscriber.unsubscribe({ messageId, isAll: form.isAll, door: form.door }));
  if (done.kind !== "unsubscribed") return answer(404, done);
  const { message, list } = done;
  return answer(200, { kind: "done", list, about: aboutOf(message, api) }, message.locale);
}

async function readToken({ token, entry, patience, takeTurn }: Visit): Promise<MessageId | undefined> {
  const messageId = await patience.within(entry.unsubscriber.read(token));
  if (messageId !== undefined) takeTurn();
  return messageId;
}

function aboutOf({ sender, recipient }: AddressedMessage, { config }: HttpApi) {
  return { sender: sender ?? config.from, recipient };
}

function answer(status: number, content: PageContent, locale: string | null = null): PageAnswer {
  return { status, page: (language) => unsubscribePage(content, language), locale };
}
