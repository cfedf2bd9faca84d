// What was submitted by SMTP becomes a submission. A mail with an idempotency key of its own is named by it for ever.
// Without one, a mail that has a Message-ID is recognised for a day when it comes again octet for octet to the same
// recipients: as a client sends it that lost our reply. Never by the Message-ID alone, which many programs repeat; and
// never without one: then nothing in the mail says that the second was not meant as a second. Pure.

import { createHash } from "node:crypto";
import type { Sender } from "../../senders/sender.ts";
import type { KeptMail, Submission } from "../../submission/submission.ts";
import type { Controls } from "./control-headers.ts";
import type { MailCommand, RcptCommand } from "./read-envelope.ts";

export interface SubmittedMail {
  readonly sender: Sender;
  readonly mail: MailCommand;
  readonly recipients: readonly RcptCommand[];
  readonly controls: Controls;
  readonly lane: string;
  /** As it came. */
  readonly content: Buffer;
  readonly hasMessageId: boolean;
  /** As it is sent. */
  readonly raw: Buffer;
  readonly isLoopback: boolean;
}

export function submissionOfMail(submitted: SubmittedMail): Submission {
  const { sender, recipients, controls, lane, raw, isLoopback } = submitted;
  return {
    kind: "mail",
    door: controls.isBySendmail && isLoopback ? "sendmail" : "smtp",
    credential: sender.credential,
    raw,
    envelope: {
      to: recipients.map(({ recipient }) => recipient),
      lane,
      ...(controls.expiresAt === undefined ? {} : { expires_at: controls.expiresAt }),
      ...keyOf(submitted),
      mail: keptOf(submitted),
    },
  };
}

/** For a client that tries again: Postfix does so for five days, but a lost reply is followed within hours. */
const DERIVED_KEY_KEPT_S = 24 * 60 * 60;

function keyOf(submitted: SubmittedMail) {
  const { sender, controls, hasMessageId } = submitted;
  if (controls.idempotencyKey !== undefined) {
    return { idempotency_key: controls.idempotencyKey, fingerprint: fingerprintOf(submitted) };
  }
  if (!sender.isDeduplicated || !hasMessageId) return {};
  const fingerprint = fingerprintOf(submitted);
  return { idempotency_key: `smtp:${fingerprint}`, fingerprint, key_kept_s: DERIVED_KEY_KEPT_S };
}

/** Of the envelope and the content. The order of recipients is the client's whim. */
function fingerprintOf({ mail, recipients, content }: SubmittedMail): string {
  const envelope = [mail.sender, ...recipients.map(({ recipient }) => recipient).toSorted()];
  return createHash("sha256").update(JSON.stringify(envelope)).update("\n").update(content).digest("hex");
}

function keptOf({ sender, mail, recipients, controls: { list } }: SubmittedMail): KeptMail {
  const notify = byRecipient(recipients, "notify");
  const orcpt = byRecipient(recipients, "orcpt");
  return {
    sender: mail.sender,
    ...(mail.isUtf8 ? { is_utf8: true } : {}),
    ...(mail.ret === undefined ? {} : { ret: mail.ret }),
    ...(mail.envid === undefined ? {} : { envid: mail.envid }),
    ...(notify === undefined ? {} : { notify }),
    ...(orcpt === undefined ? {} : { orcpt }),
    ...(sender.getsNotices ? {} : { is_silent: true }),
    ...(list === undefined ? {} : { list }),
  };
}

function byRecipient(
  recipients: readonly RcptCommand[],
  parameter: "notify" | "orcpt",
): Readonly<Record<string, string>> | undefined {
  const given = recipients.flatMap(({ recipient, [parameter]: value }) =>
    value === undefined ? [] : [[recipient, value] as const],
  );
  return given.length === 0 ? undefined : Object.fromEntries(given);
}
