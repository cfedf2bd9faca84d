// A submission in Resend's shape, and what stands where Resend has no field for it.

import { parseMailbox } from "../../mail/address.ts";
import { printMessageId, printSubmissionId, type MessageId, type SubmissionId } from "../../mail/ids.ts";
import type { SubmissionControl } from "../../queue/control-submission.ts";
import type { ReportedEmail, ReportedMessage } from "../../reports/email-report.ts";
import type { EmailRow } from "../../reports/email-store.ts";
import type { ListedEmail, MovedEmail, SubmittedEmail } from "./email-schema.ts";
import { eventWord, httpWord, lastEvent } from "./email-words.ts";

/** `defaultFrom`: of mail that names nobody. */
export function listedEmail({ row, messages }: ReportedEmail, defaultFrom: string): ListedEmail {
  const recipients = messages.map(({ recipient }) => recipient);
  return {
    id: printSubmissionId(row.id),
    // Of a whole mail only its envelope is known.
    to: [...(row.to ?? recipients)],
    from: row.from ?? row.sender ?? defaultFrom,
    created_at: row.accepted_at.toISOString(),
    subject: row.subject,
    bcc: row.to === null ? null : namedNowhere(recipients, [...row.to, ...(row.cc ?? [])]),
    cc: row.cc === null ? null : [...row.cc],
    reply_to: row.reply_to === null ? null : [...row.reply_to],
    last_event: lastEvent(messages.map(({ state }) => state)),
    scheduled_at: firstScheduled(messages),
    lane: messages[0]?.lane ?? null,
    expires_at: messages[0]?.expiresAt?.toISOString() ?? null,
  };
}

export function submittedEmail(email: ReportedEmail<EmailRow>, defaultFrom: string): SubmittedEmail {
  const { row, messages } = email;
  return {
    object: "email",
    ...listedEmail(email, defaultFrom),
    html: row.html,
    text: row.text,
    headers: { ...row.headers },
    tags: (row.tags ?? []).map(({ name, value }) => ({ name, value })),
    template: row.template === null ? null : { id: row.template.id, variables: { ...row.template.variables } },
    metadata: row.metadata === null ? null : { ...row.metadata },
    messages: messages.map(({ id, recipient, state, events }) => ({
      id: printMessageId(id),
      to: recipient,
      status: state === null ? null : httpWord(state),
      events: events.map(({ at, kind, attempt, outlet, host, reply }) => ({
        at: at.toISOString(),
        event: eventWord(kind),
        attempt,
        outlet,
        host,
        reply,
      })),
    })),
  };
}

/** What became of each message; `messages` as they stand afterwards. */
export function movedEmail(
  id: SubmissionId,
  messages: readonly ReportedMessage[],
  { moved, beingHandedOver, refused }: SubmissionControl,
): MovedEmail {
  const resultOf = (message: MessageId): MovedEmail["messages"][number]["result"] => {
    if (moved.includes(message)) return "done";
    if (beingHandedOver.includes(message)) return "being_handed_over";
    return refused.some((one) => one.id === message) ? "refused" : "not_waiting";
  };
  return {
    object: "email",
    id: printSubmissionId(id),
    messages: messages.map((message) => ({
      id: printMessageId(message.id),
      result: resultOf(message.id),
      status: message.state === null ? null : httpWord(message.state),
    })),
  };
}

/** The blind copies: recipients that no header names. */
function namedNowhere(recipients: readonly string[], mailboxes: readonly string[]): string[] | null {
  const named = new Set(mailboxes.map(addressOf));
  const blind = recipients.filter((recipient) => !named.has(recipient.toLowerCase()));
  return blind.length === 0 ? null : blind;
}

function addressOf(mailbox: string): string {
  const parsed = parseMailbox(mailbox);
  return (parsed.kind === "mailbox" ? parsed.address : mailbox).toLowerCase();
}

function firstScheduled(messages: readonly ReportedMessage[]): string | null {
  const times = messages.flatMap(({ state, dueAt }) =>
    state === "scheduled" && dueAt !== null ? [dueAt.getTime()] : [],
  );
  return times.length === 0 ? null : new Date(Math.min(...times)).toISOString();
}
