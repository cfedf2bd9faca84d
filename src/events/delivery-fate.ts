// What becomes of a delivery by what its endpoint answered, and what that says of the endpoint. The retries are those of
// Standard Webhooks. Pure.

import type { WebhookId } from "../mail/ids.ts";
import type { PostAnswer } from "../platform/poster.ts";
import type { DeliveryRow, EndpointNews, FailedDelivery } from "./delivery-store.ts";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** The waits between the tries, the first of which is made at once. */
export const RETRY_DELAYS_MS: readonly number[] = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];
/** All of them together, and a little: what waited so long without a try, since its endpoint is dead, is given up too. */
export const GIVE_UP_AFTER_MS = 76 * HOUR_MS;
/** Of what is kept of an answer. */
const ANSWER_CHARS_MAX = 300;

export type DeliveryFate =
  | { readonly kind: "taken"; readonly answer: string }
  | { readonly kind: "failed"; readonly failed: Omit<FailedDelivery, "id"> }
  /** 410: the endpoint wants nothing more, ever. */
  | { readonly kind: "disabled"; readonly failed: Omit<FailedDelivery, "id"> }
  /** Nothing was tried, or nothing that could be heard of: it is due as before, and says nothing of the endpoint. */
  | { readonly kind: "untried"; readonly failed: Omit<FailedDelivery, "id"> }
  /** There is nothing to tell any more. */
  | { readonly kind: "gone"; readonly failed: Omit<FailedDelivery, "id"> };

export interface DeliveryEnd {
  readonly row: DeliveryRow;
  readonly fate: DeliveryFate;
}

/** `tries`: those before this one. */
export function fateOfDelivery(answer: PostAnswer | { readonly kind: "gone" }, tries: number): DeliveryFate {
  switch (answer.kind) {
    case "answered":
      return fateOfStatus(answer.status, tries);
    case "failed":
      return failedFate(answer.reason, tries);
    case "aborted":
      return { kind: "untried", failed: { answer: "", delayMs: null, tries: 0 } };
    case "gone":
      return { kind: "gone", failed: { answer: "its message is no longer kept", delayMs: null, tries: 1 } };
  }
}

function fateOfStatus(status: number, tries: number): DeliveryFate {
  const answer = `HTTP ${status}`;
  if (status >= 200 && status < 300) return { kind: "taken", answer };
  if (status === 410) return { kind: "disabled", failed: { answer: `${answer} Gone`, delayMs: null, tries: 1 } };
  const isRedirect = status >= 300 && status < 400;
  return failedFate(isRedirect ? `${answer}: a redirect, which is not followed` : answer, tries);
}

function failedFate(reason: string, tries: number): DeliveryFate {
  // No text in the database can hold a NUL, and a terminal must not get orders.
  const answer = reason.replaceAll(/\p{Cc}/gu, " ").slice(0, ANSWER_CHARS_MAX);
  return { kind: "failed", failed: { answer, delayMs: RETRY_DELAYS_MS[tries] ?? null, tries: 1 } };
}

/** In the order in which they ended: whether an endpoint took something, and how many failures came since. */
export function newsOf(group: readonly DeliveryEnd[]): readonly EndpointNews[] {
  const news = new Map<WebhookId, EndpointNews>();
  for (const { row, fate } of group) {
    const before = news.get(row.webhook_id) ?? { webhookId: row.webhook_id, hasTaken: false, failures: 0, answer: "" };
    if (fate.kind === "taken")
      news.set(row.webhook_id, { ...before, hasTaken: true, failures: 0, answer: fate.answer });
    else if (fate.kind === "failed" || fate.kind === "disabled") {
      news.set(row.webhook_id, { ...before, failures: before.failures + 1, answer: fate.failed.answer });
    }
  }
  return [...news.values()].toSorted((one, other) => one.webhookId - other.webhookId);
}
