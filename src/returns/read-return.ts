// From a row of postlane.return to what it says, and which attempt it names. Rows are written by other processes, some
// on other machines and of other versions, and hold what strangers wrote: every field is checked, cut and freed of
// control characters. What does not read is `unreadable`, and never an error.

import { claimedName, readToken, tokenOfReturnPath, type AttemptName } from "../mail/return-token.ts";
import type { Mac } from "../mail/token-octets.ts";
import { printMessageId, type MessageId } from "../mail/ids.ts";
import { readUnsubscribeToken, tokenOfUnsubscribeAddress } from "../mail/unsubscribe-token.ts";
import { REPLY_TEXT_MAX } from "../mail/reply.ts";
import type { EvidenceFact, LogFact, NoticeFact } from "../outcome/judge-return.ts";
import type { UnsubscribeMacs } from "../suppression/unsubscribe.ts";
import { deliveredTo, parseNotice } from "./parse-notice.ts";
import type { DueReturn } from "./return-store.ts";

/** What a row says, without its attempt. */
export type Said = Omit<LogFact, "attempt"> | Omit<NoticeFact, "attempt"> | Omit<EvidenceFact, "attempt">;

export type ReadReturn =
  | { readonly kind: "named"; readonly name: AttemptName; readonly said: Said }
  /** A line of a log without a token of ours: the relay's queue id may tell. */
  | {
      readonly kind: "by_queue_id";
      readonly outlet: string;
      readonly queueId: string;
      readonly said: Omit<LogFact, "attempt">;
    }
  /** A recipient wants no more. */
  | { readonly kind: "unsubscribe"; readonly messageId: MessageId }
  /** It changes nothing, and is counted. */
  | { readonly kind: "idle"; readonly word: IdleWord };

export const IDLE_WORDS = [
  "no_token",
  "forged_token",
  "auto_reply",
  "complaint",
  "reply",
  "unreadable",
  "nobodys",
] as const;
export type IdleWord = (typeof IDLE_WORDS)[number];

export interface ReadContext {
  readonly mac: Mac;
  readonly unsubscribe: UnsubscribeMacs;
  /** Absent: no return path of ours was ever written; then only queue ids tell. */
  readonly returnsDomain?: string | undefined;
  /** Outlets whose mail always has a return path of ours: a line without one is of other mail. */
  readonly verpOutlets: ReadonlySet<string>;
}

export function readReturn(row: DueReturn, raw: Uint8Array | undefined, context: ReadContext): ReadReturn {
  switch (row.source) {
    case "log":
      return readLogLine(row, context);
    case "evidence":
      return readEvidence(row);
    case "maildir":
    case "door":
      return readMail(row, raw ?? new Uint8Array(), context);
  }
}

// ---- lines of a log -------------------------------------------------------------------------------------------------

const STATUSES = ["sent", "deferred", "bounced", "expired"] as const;

function readLogLine(row: DueReturn, context: ReadContext): ReadReturn {
  const outlet = row.outlet ?? undefined;
  const status = STATUSES.find((known) => known === textIn(row.body, "status"));
  const recipient = textIn(row.body, "recipient");
  const queueId = textIn(row.body, "queue_id");
  if (outlet === undefined || status === undefined || recipient === undefined || queueId === undefined)
    return UNREADABLE;
  const said = {
    source: "log",
    outlet,
    recipient,
    status,
    queueId,
    dsn: textIn(row.body, "dsn") ?? "",
    relay: textIn(row.body, "relay") ?? "",
    reply: textIn(row.body, "reply") ?? "",
    means: textIn(row.body, "means") === "delivered" ? "delivered" : "relayed",
    atMs: timeIn(row.body, "at"),
  } as const;
  const name = nameIn(textIn(row.body, "return_path"), context);
  if (name.kind === "name") return { kind: "named", name: name.name, said };
  if (context.verpOutlets.has(outlet)) return { kind: "idle", word: name.word };
  return { kind: "by_queue_id", outlet, queueId, said };
}

// ---- mails ----------------------------------------------------------------------------------------------------------

function readMail(row: DueReturn, raw: Uint8Array, context: ReadContext): ReadReturn {
  const unsubscribe = row.source === "door" ? readUnsubscribe(textIn(row.body, "recipient"), context) : undefined;
  if (unsubscribe !== undefined) return unsubscribe;
  const mail = parseNotice(raw, row.source === "door" ? textIn(row.body, "sender", true) : undefined);
  if (mail.kind !== "notice") return { kind: "idle", word: mail.kind };
  const recipient = textIn(row.body, "recipient") ?? (row.source === "maildir" ? deliveredTo(raw) : undefined);
  const name = nameIn(recipient, context);
  if (name.kind === "none") return { kind: "idle", word: name.word };
  const relayName = row.source === "maildir" ? textIn(row.body, "reporting_mta") : undefined;
  const said = { source: "notice", outlet: row.outlet ?? undefined, notice: mail, relayName } as const;
  return { kind: "named", name: name.name, said };
}

/** Undefined: the address is no such one. What the mail says is not looked at: clients send all sorts of things. */
function readUnsubscribe(address: string | undefined, context: ReadContext): ReadReturn | undefined {
  const { returnsDomain, unsubscribe } = context;
  if (address === undefined || returnsDomain === undefined) return undefined;
  const token = tokenOfUnsubscribeAddress(address, returnsDomain);
  if (token === undefined) return undefined;
  const messageId = readUnsubscribeToken(token, unsubscribe.token);
  return messageId === undefined ? { kind: "idle", word: "forged_token" } : { kind: "unsubscribe", messageId };
}

type NameFound =
  | { readonly kind: "name"; readonly name: AttemptName }
  | { readonly kind: "none"; readonly word: "no_token" | "forged_token" };

function nameIn(address: string | undefined, { mac, returnsDomain }: ReadContext): NameFound {
  const token =
    address === undefined || returnsDomain === undefined ? undefined : tokenOfReturnPath(address, returnsDomain);
  if (token === undefined || claimedName(token) === undefined) return { kind: "none", word: "no_token" };
  const name = readToken(token, mac);
  return name === undefined ? { kind: "none", word: "forged_token" } : { kind: "name", name };
}

// ---- evidence -------------------------------------------------------------------------------------------------------

function readEvidence(row: DueReturn): ReadReturn {
  const messageId = numberIn(row.body, "message_id");
  const attempt = numberIn(row.body, "attempt");
  const verdict = textIn(row.body, "verdict");
  if (messageId === undefined || attempt === undefined) return UNREADABLE;
  if (verdict !== "accepted" && verdict !== "not_accepted") return UNREADABLE;
  const grounds = textIn(row.body, "grounds") ?? `evidence of ${printMessageId(messageId as MessageId)}`;
  const queueId = textIn(row.body, "queue_id");
  const said = { source: "evidence", outlet: row.outlet ?? undefined, verdict, grounds, queueId } as const;
  return { kind: "named", name: { messageId: messageId as MessageId, attempt }, said };
}

// ---- fields ---------------------------------------------------------------------------------------------------------

const UNREADABLE = { kind: "idle", word: "unreadable" } as const;

function textIn(body: unknown, key: string, mayBeEmpty = false): string | undefined {
  const value = valueIn(body, key);
  if (typeof value !== "string" || (value === "" && !mayBeEmpty)) return undefined;
  return value.slice(0, REPLY_TEXT_MAX).replaceAll(/[\p{Cc}\p{Cs}]/gu, " ");
}

/** Of a message's id at most: 7 octets in the token, and a safe integer. */
function numberIn(body: unknown, key: string): number | undefined {
  const value = valueIn(body, key);
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : undefined;
}

function timeIn(body: unknown, key: string): number | undefined {
  const ms = Date.parse(textIn(body, key) ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

function valueIn(body: unknown, key: string): unknown {
  if (typeof body !== "object" || body === null || !Object.hasOwn(body, key)) return undefined;
  return (body as Readonly<Record<string, unknown>>)[key];
}
