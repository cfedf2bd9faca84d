// The events that a webhook can ask for, in the words of HTTP (Resend's, where it has one), and the kinds of our own
// story that they stand for. Not every kind is told: what came too late to change anything, or was done by a person who
// knows it, is not.

/** By kind. */
export const WEBHOOK_EVENTS = {
  sent: "email.sent",
  delivered: "email.delivered",
  deferred: "email.delivery_delayed",
  bounced: "email.bounced",
  held: "email.held",
  unknown: "email.unknown",
  expired: "email.expired",
  canceled: "email.canceled",
  suppressed: "email.suppressed",
  unsubscribed: "email.unsubscribed",
} as const;

export type WebhookKind = keyof typeof WEBHOOK_EVENTS;

export const WEBHOOK_KINDS = Object.keys(WEBHOOK_EVENTS) as readonly WebhookKind[];

/** `delivery_delayed` or `email.delivery_delayed` → `deferred`; undefined when there is no such event. */
export function kindOfEvent(event: string): WebhookKind | undefined {
  const full = event.startsWith("email.") ? event : `email.${event}`;
  return WEBHOOK_KINDS.find((kind) => WEBHOOK_EVENTS[kind] === full);
}
