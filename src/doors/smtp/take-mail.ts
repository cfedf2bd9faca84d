// One mail whose content has been read: checked, prepared, submitted and answered. 250 follows the commit and names the
// submission. While the database is silent it is answered 4yz within `ANSWER_MS_MAX`, and the client tries again; should
// the commit have come about nevertheless, the mail is recognised by its key.

import { randomBytes } from "node:crypto";
import { printSubmissionId } from "../../mail/ids.ts";
import type { Clock } from "../../platform/clock.ts";
import type { Log } from "../../platform/log.ts";
import { laneFor, whyNotAllowed } from "../../senders/may-submit.ts";
import type { Sender } from "../../senders/sender.ts";
import { AcceptanceBusy, type Acceptance } from "../../submission/accept-submission.ts";
import type { Submission } from "../../submission/submission.ts";
import { readControls } from "./control-headers.ts";
import { headerAddresses } from "./header-addresses.ts";
import { prepareMail, type Additions } from "./prepare-mail.ts";
import type { MailCommand, RcptCommand } from "./read-envelope.ts";
import { readHeader, valueOf, type HeaderField } from "./read-header.ts";
import { loopIn, mailDate, receivedField, type Loop, type Protocol } from "./received-field.ts";
import { replyToRefused, type SmtpReply } from "./smtp-reply.ts";
import { submissionOfMail } from "./submission-of-mail.ts";
import { within } from "./within.ts";

export interface TakenMail {
  readonly sender: Sender;
  readonly mail: MailCommand;
  readonly recipients: readonly RcptCommand[];
  readonly content: Buffer;
  readonly client: {
    readonly address: string;
    readonly helo: string;
    readonly isLoopback: boolean;
    readonly protocol: Protocol;
  };
  /** Of the listener that it came by; absent: the sender's. */
  readonly lane?: string;
}

export interface TakePorts {
  readonly acceptance: Acceptance;
  /** What we call ourselves in Received. */
  readonly host: string;
  /** The right side of a Message-ID that is made here. */
  readonly messageIdDomain: string;
  /** `markOf` this installation. */
  readonly mark: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** What waiting for the database in one command may take, so that a client is told of its silence within 3 s whatever happens. */
export const ANSWER_MS_MAX = 2500;

export async function takeMail(taken: TakenMail, ports: TakePorts): Promise<SmtpReply> {
  const checked = checkMail(taken, ports);
  return checked.kind === "refused" ? checked.reply : await submit(checked.submission, ports);
}

type Checked =
  | { readonly kind: "submission"; readonly submission: Submission }
  | { readonly kind: "refused"; readonly reply: SmtpReply };

function checkMail(taken: TakenMail, ports: TakePorts): Checked {
  const { content, sender, mail, recipients, client } = taken;
  const header = readHeader(content);
  if (header.kind === "refused") return refused(554, HEADER_TEXTS[header.why]);
  const { fields } = header;
  const loop = loopIn(content, fields, ports.mark);
  if (loop !== undefined) return refused(554, LOOP_TEXTS[loop]);
  const read = readControls(content, fields);
  if (read.kind === "refused") {
    return refused(554, `5.6.0 ${read.header} must stand once, with ${read.expected}`);
  }
  const { controls } = read;
  const lane = laneFor(sender, controls.lane ?? taken.lane);
  const problem = permissionProblem(sender, lane, fromOf(content, fields, sender), mail.sender);
  if (problem !== undefined) return refused(550, problem);
  const raw = prepareMail(content, fields, additionsFor(taken, ports));
  const hasMessageId = fields.some((field) => field.name === "message-id" && valueOf(content, field) !== "");
  const { isLoopback } = client;
  const submitted = { sender, mail, recipients, controls, lane, content, hasMessageId, raw, isLoopback };
  return { kind: "submission", submission: submissionOfMail(submitted) };
}

const HEADER_TEXTS = {
  too_long: "5.6.0 the header is longer than 256 KiB: an empty line must stand between header and body",
  begins_amid_a_field: "5.6.0 the mail begins with a line that goes on a header field which is not there",
} as const;

const LOOP_TEXTS: Readonly<Record<Loop, string>> = {
  passed_before: "5.4.6 this mail has been here before: the relay sends it back, correct its route or ours",
  too_many_hops: "5.4.6 the mail has too many Received lines, it seems to go round in circles",
};

function refused(code: number, text: string): Checked {
  return { kind: "refused", reply: { code, text } };
}

// ---- who may ---------------------------------------------------------------------------------------------------------

/** The addresses in From, for a sender that may not be from everywhere; undefined: they cannot be told for sure. */
function fromOf(
  content: Buffer,
  fields: readonly HeaderField[],
  { fromDomains }: Sender,
): readonly string[] | undefined {
  if (fromDomains === undefined) return [];
  const from = fields.filter(({ name }) => name === "from");
  // A line that is no field ends the header for some readers, and then a From below it is none.
  const isPlain = from.length === 1 && fields.every(({ name }) => name !== "");
  return isPlain ? headerAddresses(valueOf(content, from[0]!)) : undefined;
}

function permissionProblem(
  sender: Sender,
  lane: string,
  from: readonly string[] | undefined,
  mailFrom: string,
): string | undefined {
  if (from === undefined) return "5.7.1 this key is for some domains only: give one From, with plain addresses";
  const problem = whyNotAllowed(sender, { lane, from: mailFrom === "" ? from : [...from, mailFrom] });
  return problem === undefined ? undefined : PERMISSION_TEXTS[problem.field];
}

export const PERMISSION_TEXTS = {
  lane: "5.7.1 this key may not use this lane",
  from: "5.7.1 this key may not send mail from this domain",
} as const;

// ---- what is added ---------------------------------------------------------------------------------------------------

const SERIAL_BYTES = 8;

function additionsFor({ client, mail }: TakenMail, { host, messageIdDomain, mark, clock }: TakePorts): Additions {
  const serial = randomBytes(SERIAL_BYTES).toString("hex");
  const wallMs = clock.wallMs();
  const { helo, address: clientAddress } = client;
  const protocol = { ...client.protocol, isUtf8: mail.isUtf8 };
  return {
    received: receivedField({ helo, clientAddress, host, protocol, mark, serial, wallMs }),
    messageId: `Message-ID: <${serial}.${wallMs.toString(36)}@${messageIdDomain}>\r\n`,
    date: `Date: ${mailDate(wallMs)}\r\n`,
  };
}

// ---- the commit ------------------------------------------------------------------------------------------------------

const SILENT: SmtpReply = { code: 451, text: "4.3.0 it cannot be kept at the moment, try again later" };
const BUSY: SmtpReply = { code: 451, text: "4.3.2 too much waits to be taken in, try again in a moment" };

async function submit(submission: Submission, { acceptance, clock, log }: TakePorts): Promise<SmtpReply> {
  try {
    const answer = await within(clock, ANSWER_MS_MAX, acceptance.accept(submission));
    if (answer === undefined) {
      log.warn("smtp.kept_nothing", { error: `the database has not answered for ${ANSWER_MS_MAX} ms` });
      return SILENT;
    }
    if (answer.kind === "refused") return replyToRefused(answer);
    return { code: 250, text: `2.0.0 ${printSubmissionId(answer.submissionId)} queued` };
  } catch (error) {
    if (error instanceof AcceptanceBusy) return BUSY;
    log.warn("smtp.kept_nothing", { error: error instanceof Error ? error.message : String(error) });
    return SILENT;
  }
}
