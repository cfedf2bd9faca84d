// From what a program piped in to a whole mail: who sends it, who gets it, and the header fields that it lacks. The key
// that is added here goes with the mail wherever it waits, so that no retry makes a second one. Bcc is taken away; nothing
// else is changed.

import { addressProblem, domainOf } from "../../mail/address.ts";
import { addressesIn, makeField, readHeader, recipientsOf, writeMail, type MailField } from "./mail-header.ts";
import type { SendOptions } from "./sendmail-options.ts";
import type { SendmailSettings } from "./sendmail-settings.ts";
import type { WholeMail } from "./submit-by-smtp.ts";
import { EX_DATAERR, EX_NOUSER, EX_USAGE } from "./sysexits.ts";

export type MailPrepared = { readonly kind: "mail"; readonly mail: WholeMail } | MailRefused;

interface MailRefused {
  readonly kind: "refused";
  readonly exitCode: number;
  readonly problem: string;
}

export interface Caller {
  readonly user: string;
  readonly wallMs: number;
  /** Names this mail for ever: at least 128 random bits. */
  readonly id: string;
}

/** What Postlane takes in one transaction. */
const RECIPIENTS_MAX = 1000;
/** When the machine has no name that mail could come from: surely nobody else's. */
const NOBODY = "postlane@localhost.localdomain";

export function prepareMail(
  octets: Buffer,
  options: SendOptions,
  settings: SendmailSettings,
  caller: Caller,
): MailPrepared {
  const header = readHeader(octets);
  const own = ownAddress(settings, caller);
  const sender = options.sender === undefined ? own : qualified(options.sender, settings);
  const problem = sender === "" ? undefined : addressProblem(sender);
  if (problem !== undefined) return refused(EX_USAGE, `the sender ${quoted(sender)}: ${problem}`);
  // As Postfix has it: those of the header come to those of the arguments.
  const inHeader = options.takesRecipientsFromHeaders ? recipientsOf(header) : [];
  const named = [...options.recipients.flatMap(namedBy), ...inHeader];
  const recipients = [...new Set(named.flatMap((name) => resolveRecipient(name, settings)))];
  const recipientsRefused = judgeRecipients(recipients, options);
  if (recipientsRefused !== undefined) return recipientsRefused;
  const fields = completeFields(header.fields, sender === "" ? own : sender, options, caller);
  const { ret, envid, notify } = options;
  const mail: WholeMail = {
    sender,
    recipients,
    octets: writeMail(fields, octets, header.bytes),
    ...(ret === undefined ? {} : { ret }),
    ...(envid === undefined ? {} : { envid }),
    ...(notify === undefined ? {} : { notify }),
  };
  return { kind: "mail", mail };
}

function refused(exitCode: number, problem: string): MailRefused {
  return { kind: "refused", exitCode, problem };
}

/** Of an argument: "Ann <ann@example.com>, bob@example.com" is two. */
function namedBy(argument: string): readonly string[] {
  return addressesIn(Buffer.from(argument, "utf8").toString("latin1"));
}

function ownAddress({ domain }: SendmailSettings, { user }: Caller): string {
  const own = `${user}@${domain}`;
  return addressProblem(own) === undefined ? own : NOBODY;
}

function qualified(address: string, { domain }: SendmailSettings): string {
  return address === "" || address.includes("@") ? address : `${address}@${domain}`;
}

/** A name of this machine goes where its alias says, else it gets the machine's domain. */
function resolveRecipient(name: string, settings: SendmailSettings): readonly string[] {
  const isOwn = !name.includes("@") || domainOf(name) === settings.domain.toLowerCase();
  const alias = isOwn ? settings.aliases.get(name.split("@", 1)[0]!.toLowerCase()) : undefined;
  return alias === undefined ? [qualified(name, settings)] : alias.split(",").map((address) => address.trim());
}

function judgeRecipients(recipients: readonly string[], options: SendOptions): MailRefused | undefined {
  if (recipients.length === 0) {
    return options.takesRecipientsFromHeaders
      ? refused(EX_DATAERR, "the mail names no recipient in To, Cc or Bcc")
      : refused(EX_USAGE, "no recipient: name them as arguments, or give -t to take them from the mail");
  }
  if (recipients.length > RECIPIENTS_MAX) {
    return refused(
      EX_DATAERR,
      `${recipients.length} recipients, at most ${RECIPIENTS_MAX} are taken: send several mails`,
    );
  }
  for (const recipient of recipients) {
    const problem = addressProblem(recipient);
    if (problem === undefined) continue;
    const hint = problem.includes("two labels") ? ' (set "domain" or "aliases" in /etc/postlane/sendmail.json)' : "";
    return refused(EX_NOUSER, `the recipient ${quoted(recipient)}: ${problem}${hint}`);
  }
  return undefined;
}

/** What RFC 5322 §3.6 wants in every mail, with the time of the first try, whenever it goes. */
function completeFields(
  given: readonly MailField[],
  fromAddress: string,
  { fullName }: SendOptions,
  { wallMs, id }: Caller,
): readonly MailField[] {
  const kept = given.filter(({ name }) => !REMOVED.includes(name));
  const lacks = (name: string): boolean => !kept.some((field) => field.name === name);
  const added: MailField[] = [makeField("X-Postlane-Door", "sendmail")];
  if (lacks("x-postlane-idempotency-key")) added.push(makeField("X-Postlane-Idempotency-Key", `sendmail-${id}`));
  if (lacks("from")) added.push(makeField("From", mailbox(fullName, fromAddress)));
  if (lacks("date")) added.push(makeField("Date", new Date(wallMs).toUTCString().replace("GMT", "+0000")));
  if (lacks("message-id")) added.push(makeField("Message-ID", `<sendmail-${id}@${domainOf(fromAddress)}>`));
  return [...added, ...kept];
}

const REMOVED = ["bcc", "resent-bcc", "x-postlane-door"];

function mailbox(name: string | undefined, address: string): string {
  const words = (name ?? "").replaceAll(/[\p{Cc}\p{Cs}]+/gu, " ").trim();
  if (words === "") return address;
  if (/^[ -~]{1,200}$/.test(words)) return `"${words.replaceAll(/["\\]/g, String.raw`\$&`)}" <${address}>`;
  return `${encodedWords(words)} <${address}>`;
}

/** RFC 2047 §2: at most 75 characters each, no character split over two. */
function encodedWords(text: string): string {
  const words: string[] = [""];
  for (const character of text) {
    const longer = words.at(-1)! + character;
    if (Buffer.byteLength(longer) <= ENCODED_OCTETS_MAX) words[words.length - 1] = longer;
    else words.push(character);
  }
  return words.map((word) => `=?UTF-8?B?${Buffer.from(word).toString("base64")}?=`).join("\r\n ");
}

/** 60 characters of base64. */
const ENCODED_OCTETS_MAX = 45;

const quoted = (text: string): string => JSON.stringify(text.slice(0, 320).replaceAll(/[\p{Cc}\p{Cs}]/gu, "?"));
