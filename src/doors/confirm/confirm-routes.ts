// Where the owner of an address confirms that they want to be on a list: `PUBLIC_URL/confirm/TOKEN`. GET shows a page with
// one button and confirms nobody; only what that button sends confirms.

import type { FastifyInstance } from "fastify";
import { CONFIRM_PATH } from "../../mail/confirm-token.ts";
import type { SubscriptionId } from "../../mail/ids.ts";
import type { ConfirmationFound } from "../../subscriptions/confirm-subscription.ts";
import type { HttpApi } from "../http/http-api.ts";
import { invalidPage } from "../pages/page.ts";
import { addPageRoutes, type PageAnswer, type Visit } from "../pages/page-routes.ts";
import { confirmPage, isConfirmed } from "./confirm-page.ts";

export function addConfirmRoutes(server: FastifyInstance, api: HttpApi): void {
  addPageRoutes(server, api, {
    path: CONFIRM_PATH,
    failed: "subscription.confirm_failed",
    show: (visit) => showPage(visit, api),
    take: (visit) => takeConfirmation(visit, api),
  });
}

async function showPage(visit: Visit, api: HttpApi, statusOfPage = 200): Promise<PageAnswer> {
  const id = await readToken(visit);
  if (id === undefined) return { status: 404, page: invalidPage };
  return answer(statusOfPage, await visit.patience.within(visit.entry.subscriptions.find(id)), api);
}

async function takeConfirmation(visit: Visit, api: HttpApi): Promise<PageAnswer> {
  // Not what the button sends: the page asks.
  if (!isConfirmed(visit.fields)) return showPage(visit, api, 400);
  const id = await readToken(visit);
  if (id === undefined) return { status: 404, page: invalidPage };
  return answer(200, await visit.patience.within(visit.entry.subscriptions.confirm(id)), api);
}

async function readToken({ token, entry, patience, takeTurn }: Visit): Promise<SubscriptionId | undefined> {
  const id = await patience.within(entry.subscriptions.read(token));
  if (id !== undefined) takeTurn();
  return id;
}

function answer(status: number, found: ConfirmationFound, { config }: HttpApi): PageAnswer {
  if (found.kind === "too_old") return { status: 404, page: (language) => confirmPage(found, language) };
  const { list, address, sender, locale } = found.subscription;
  const content = { kind: found.kind, list, address, sender: sender ?? config.from };
  return { status, page: (language) => confirmPage(content, language), locale };
}
