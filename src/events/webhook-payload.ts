// What is sent to an endpoint of one event: Resend's shape, with our words for what it has none for. Made anew for each
// try, of what is never changed once it is written, so that every try has the same octets and the same id.

import { printCampaignId, printMessageId, printSubmissionId } from "../mail/ids.ts";
import { readPart, textOfOctets } from "../returns/mime-parts.ts";
import { listUnsubscribedFrom } from "../mail/unsubscribe-words.ts";
import type { DeliveryRow } from "./delivery-store.ts";
import { headerText } from "./header-words.ts";
import { WEBHOOK_EVENTS, type WebhookKind } from "./webhook-events.ts";

export interface WebhookPayload {
  /** `webhook-id`. Names the event, so two endpoints are told of it under one id, and a replay has it again. */
  readonly id: string;
  /** JSON. */
  readonly body: string;
}

type EventName = Pick<DeliveryRow, "message_id" | "attempt" | "kind" | "at_us">;

/** `evt_4711_1_sent_…`: printable and without a dot, as the scheme wants it. */
export function webhookIdOf({ message_id, attempt, kind, at_us }: EventName): string {
  return `evt_${message_id}_${attempt}_${kind}_${at_us.toString(36)}`;
}

export function eventTypeOf(kind: string): string {
  return WEBHOOK_EVENTS[kind as WebhookKind] ?? `email.${kind}`;
}

/** `defaultFrom`: whom mail without a sender of its own is from. Undefined: its message is no longer kept. */
export function webhookPayload(row: DeliveryRow, defaultFrom: string): WebhookPayload | undefined {
  if (row.recipient === null || row.accepted_at === null) return undefined;
  const createdAt = new Date(Math.floor(row.at_us / 1000)).toISOString();
  const body = JSON.stringify({ type: eventTypeOf(row.kind), created_at: createdAt, data: dataOf(row, defaultFrom) });
  return { id: webhookIdOf(row), body };
}

function dataOf(row: DeliveryRow, defaultFrom: string): Readonly<Record<string, unknown>> {
  const header = headerOf(row.head);
  return {
    ...(row.submission_id === null ? {} : { email_id: printSubmissionId(row.submission_id) }),
    ...(row.campaign_id === null || row.campaign_id === 0 ? {} : { campaign_id: printCampaignId(row.campaign_id) }),
    message_id: printMessageId(row.message_id),
    created_at: row.accepted_at!.toISOString(),
    from: [header?.from, row.sender].find((mailbox) => Boolean(mailbox)) ?? defaultFrom,
    to: [row.recipient],
    ...optional("subject", header === undefined ? row.subject : header.subject),
    ...(row.tags === null ? {} : { tags: Object.fromEntries(row.tags.map(({ name, value }) => [name, value])) }),
    ...(row.metadata === null ? {} : { metadata: row.metadata }),
    ...optional("lane", row.lane),
    attempt: row.attempt,
    ...optional("outlet", row.outlet),
    ...whatWasSaid(row),
  };
}

/** Under `bounce` where Resend has it there, else under `response`. */
function whatWasSaid({ kind, host, reply }: DeliveryRow): Readonly<Record<string, unknown>> {
  if (kind === "unsubscribed") return { unsubscribe: unsubscribeOf(host, reply) };
  if (host === null && reply === null) return {};
  const said = { ...optional("message", reply), ...optional("code", codeIn(reply)), ...optional("host", host) };
  if (kind !== "bounced") return { response: said };
  return { bounce: { type: "Permanent", subType: "General", ...said } };
}

/** Of which list, as the event tells it (src/suppression/unsubscribe.ts), and how it was said. */
function unsubscribeOf(host: string | null, reply: string | null): Readonly<Record<string, string>> {
  const list = listUnsubscribedFrom(reply ?? "");
  return { ...(list === undefined ? { scope: "bulk" } : { scope: "list", list }), ...optional("by", host) };
}

/** The enhanced status code (RFC 3463) in a reply. */
function codeIn(reply: string | null): string | undefined {
  return /(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])/.exec(reply ?? "")?.[0];
}

/** Of a mail that came whole. */
function headerOf(head: Buffer | null): { readonly from?: string; readonly subject?: string } | undefined {
  if (head === null) return undefined;
  const { fields } = readPart(textOfOctets(head));
  const [from, subject] = ["from", "subject"].map((name) => fields.get(name));
  return {
    ...(from === undefined ? {} : { from: headerText(from) }),
    ...(subject === undefined ? {} : { subject: headerText(subject) }),
  };
}

function optional(name: string, value: string | null | undefined): Readonly<Record<string, string>> {
  return value === null || value === undefined || value === "" ? {} : { [name]: value };
}
