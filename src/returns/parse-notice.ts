// Reads a mail that came to a return path: a delivery status notification (RFC 3464, in UTF-8 RFC 6533), an automatic
// reply (RFC 3834), a complaint, a person's answer. Pure, never throws, bounded in time and size: the mail may be
// anybody's. Tolerant of the mistakes that mailers make (a comment in Status, empty lines too many or too few, a word
// for an action), but it never guesses a failure from prose. Which attempt it is about is not asked here.

import type { Notice, RecipientReport, ReportAction, ReturnedMail } from "../mail/notice.ts";
import { decodedBody, partsOf, readFieldGroups, readPart, textOfOctets, type MimePart } from "./mime-parts.ts";

/** Octets of a mail that are kept and read; a notice's fields stand within its first few thousand. */
export const RAW_BYTES_MAX = 256 * 1024;
const RECIPIENTS_MAX = 100;
const VALUE_CHARS_MAX = 1000;

/** `sender`: of the envelope, empty for a notice that keeps to the rules (RFC 3464 §2). */
export function parseNotice(raw: Uint8Array, sender?: string): ReturnedMail {
  const top = readPart(textOfOctets(raw.subarray(0, RAW_BYTES_MAX)));
  const parts = partsOf(top);
  const status = parts.find(({ type }) => STATUS_TYPES.has(type));
  if (status !== undefined) return readNotice(status, parts) ?? { kind: "unreadable" };
  return { kind: kindWithoutStatus(top, parts, sender) };
}

/** To whom the mail was delivered, by the headers that the delivering side writes on top of it. */
export function deliveredTo(raw: Uint8Array): string | undefined {
  const { fields } = readPart(textOfOctets(raw.subarray(0, RAW_BYTES_MAX)));
  for (const name of ["x-original-to", "delivered-to", "envelope-to"]) {
    const value = fields.get(name);
    if (value !== undefined) return addressOf(value);
  }
  return undefined;
}

const STATUS_TYPES: ReadonlySet<string> = new Set(["message/delivery-status", "message/global-delivery-status"]);
const RETURNED_TYPES: ReadonlySet<string> = new Set([
  "text/rfc822-headers",
  "message/rfc822",
  "message/global",
  "message/global-headers",
]);

function kindWithoutStatus(
  { fields, parameters }: MimePart,
  parts: readonly MimePart[],
  sender: string | undefined,
): Exclude<ReturnedMail["kind"], "notice"> {
  if (fields.size === 0) return "unreadable";
  const report = (parameters.get("report-type") ?? "").toLowerCase();
  if (report === "feedback-report" || parts.some(({ type }) => type === "message/feedback-report")) return "complaint";
  if (report === "delivery-status") return "unreadable";
  if (report === "disposition-notification" || isAutomatic(fields)) return "auto_reply";
  return sender === "" || fields.get("return-path") === "<>" ? "unreadable" : "reply";
}

/** RFC 3834 §5, and what was used before it. */
function isAutomatic(fields: ReadonlyMap<string, string>): boolean {
  const submitted = fields.get("auto-submitted");
  if (submitted !== undefined && !/^no\b/i.test(submitted)) return true;
  if (/^(?:bulk|junk|list|auto[_-]reply)\b/i.test(fields.get("precedence") ?? "")) return true;
  return ["x-autoreply", "x-autorespond", "x-auto-reply-from"].some((name) => fields.has(name));
}

// ---- the fields of a notice -----------------------------------------------------------------------------------------

type Fields = ReadonlyMap<string, string>;

function readNotice(status: MimePart, parts: readonly MimePart[]): Notice | undefined {
  const { message, recipients } = groupFields(decodedBody(status));
  const reports = recipients.flatMap(readReport);
  if (reports.length === 0) return undefined;
  return {
    kind: "notice",
    ...optional("reportingMta", hostOf(message.get("reporting-mta"))),
    ...optional("queueId", /^[A-Za-z0-9]{1,64}/.exec(message.get("x-postfix-queue-id") ?? "")?.[0]),
    ...optional("originalEnvelopeId", printable(message.get("original-envelope-id"))),
    ...optional("arrivalDate", printable(message.get("arrival-date"))),
    ...optional("messageId", messageIdOf(parts)),
    recipients: reports,
  };
}

/**
 * RFC 3464 §2.1: a group of fields about the message, then one for each recipient, empty lines between. Some put none
 * there, others put them within a group: so a recipient's group begins where a field comes that the last one has, and
 * an empty line counts only ahead of a field that names a recipient.
 */
function groupFields(text: string): { readonly message: Fields; readonly recipients: readonly Fields[] } {
  const message = new Map<string, string>();
  const recipients: Map<string, string>[] = [];
  let isApart = false;
  for (const field of readFieldGroups(text.replaceAll("\r", ""))) {
    if (field === undefined) {
      isApart = true;
      continue;
    }
    const [name, value] = field;
    if (RECIPIENT_FIELDS.has(name)) {
      const open = recipients.at(-1);
      const isNext =
        open === undefined || open.has(name) || (isApart && isNaming(name) && [...open.keys()].some(isNaming));
      if (isNext && recipients.length === RECIPIENTS_MAX) break;
      if (isNext) recipients.push(new Map([[name, value]]));
      else open.set(name, value);
    } else if (!message.has(name)) message.set(name, value);
    isApart = false;
  }
  return { message, recipients };
}

const RECIPIENT_FIELDS: ReadonlySet<string> = new Set([
  "original-recipient",
  "final-recipient",
  "action",
  "status",
  "remote-mta",
  "diagnostic-code",
]);

function isNaming(name: string): boolean {
  return name === "final-recipient" || name === "original-recipient";
}

function readReport(fields: Fields): readonly RecipientReport[] {
  const status = statusOf(fields.get("status"));
  const action = actionOf(fields.get("action"), status);
  if (action === undefined) return [];
  return [
    {
      action,
      ...optional("status", status),
      ...optional("finalRecipient", typedValue(fields.get("final-recipient"))),
      ...optional("originalRecipient", typedValue(fields.get("original-recipient"))),
      ...optional("diagnostic", typedValue(fields.get("diagnostic-code"))),
      ...optional("remoteMta", hostOf(fields.get("remote-mta"))),
    },
  ];
}

/** RFC 3464 §2.3.3. Where the field is missing, a permanent status is a failure, and a temporary one no more than news. */
function actionOf(value: string | undefined, status: string | undefined): ReportAction | undefined {
  const word = /^[a-z]+/.exec((value ?? "").trim().toLowerCase())?.[0];
  switch (word) {
    case "failed":
    case "failure":
      return "failed";
    case "delayed":
    case "delivered":
    case "relayed":
    case "expanded":
      return word;
    case undefined:
      if (status === undefined) return undefined;
      return status.startsWith("5") ? "failed" : "delayed";
    default:
      return undefined;
  }
}

/** `5.1.1 (bad destination)` → `5.1.1` (RFC 3464 §2.3.4 allows comments, RFC 3463 §2 the digits). */
function statusOf(value: string | undefined): string | undefined {
  const plain = (value ?? "").slice(0, VALUE_CHARS_MAX).replaceAll(/\([^()]*\)/g, " ");
  return /(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?!\d|\.\d)/.exec(plain)?.[1];
}

/** `rfc822; ann@example.com`, `smtp; 550 no such user` → what stands behind the type, or the whole without one. */
function typedValue(value: string | undefined): string | undefined {
  const bounded = (value ?? "").slice(0, VALUE_CHARS_MAX);
  const text = printable(/^\s*[a-z0-9-]{1,40}\s*;(.*)$/is.exec(bounded)?.[1] ?? bounded)?.trim();
  return text === undefined || text === "" ? undefined : text.replace(/^<([^<>]*)>$/, "$1");
}

function hostOf(value: string | undefined): string | undefined {
  return /^[^\s();]+/
    .exec(typedValue(value) ?? "")?.[0]
    .replace(/\.$/, "")
    .toLowerCase();
}

function addressOf(value: string): string {
  return value
    .slice(0, VALUE_CHARS_MAX)
    .trim()
    .replace(/^<([^<>]*)>$/, "$1");
}

function messageIdOf(parts: readonly MimePart[]): string | undefined {
  const returned = parts.find(({ type }) => RETURNED_TYPES.has(type));
  if (returned === undefined) return undefined;
  const text = decodedBody(returned).slice(0, RETURNED_CHARS_MAX).replaceAll("\r", "");
  return printable(readPart(text).fields.get("message-id"));
}

/** Of a returned mail that are looked through for its Message-ID. */
const RETURNED_CHARS_MAX = 64 * 1024;

/** No control characters: the text goes to terminals, and no text in the database can hold a NUL. */
function printable(value: string | undefined): string | undefined {
  return value?.slice(0, VALUE_CHARS_MAX).replaceAll(/[\p{Cc}\u2028\u2029]/gu, " ");
}

function optional<Name extends string>(name: Name, value: string | undefined): { readonly [Key in Name]?: string } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [Key in Name]: string });
}
