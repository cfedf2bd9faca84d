// Judges what came back after hand-over: a line of the relay's log, a failure notice, an agent's evidence. Pure. Which
// attempt it is about is known already (by its token, or the relay's queue id); here it is held against where the
// message stands. docs/reference/returns.md is this file in words.
//
// Three rules stand above the rest. Only what is about the latest attempt changes anything. Nothing acts twice. And a
// message goes out again only on the word of our own relay, by way of its own Maildir: every recipient sees the return
// path, so from anybody else "try again" is the end of the attempt.

import type { LaneSettings } from "../mail/lane.ts";
import type { Notice, RecipientReport } from "../mail/notice.ts";
import { mayBecome, type State } from "../mail/state.ts";
import { REFUSAL_WAIT_MS } from "./refusal-watch.ts";
import { nextTryAt } from "./retry-schedule.ts";

export type ReturnFact = LogFact | NoticeFact | EvidenceFact;

interface Fact {
  readonly attempt: number;
  readonly outlet?: string | undefined;
}

/** What a line of the relay's log says of one recipient. */
export interface LogFact extends Fact {
  readonly source: "log";
  readonly recipient: string;
  readonly status: "sent" | "deferred" | "bounced" | "expired";
  readonly dsn: string;
  readonly relay: string;
  readonly reply: string;
  readonly queueId: string;
  /** Whether the relay talks to the recipient's own system, or to another relay. */
  readonly means: "delivered" | "relayed";
  /** When it was written, by the relay's clock. */
  readonly atMs?: number | undefined;
}

export interface NoticeFact extends Fact {
  readonly source: "notice";
  readonly notice: Notice;
  /** The name of the relay in whose own Maildir it lay; absent: it came by the door. */
  readonly relayName?: string | undefined;
}

/** Of an attempt whose final dot was never answered. */
export interface EvidenceFact extends Fact {
  readonly source: "evidence";
  readonly verdict: "accepted" | "not_accepted";
  readonly grounds: string;
  readonly queueId?: string | undefined;
}

/** Where the message stands. */
export interface Standing {
  readonly recipient: string;
  /** Undefined: its history is older than what is kept. */
  readonly state: State | undefined;
  /** The latest attempt that was settled. */
  readonly attempt: number;
  /** A dispatcher has it: one more attempt may be open. */
  readonly isClaimed: boolean;
  readonly tries: number;
  /** How often the story of an attempt tells of something: by `attempt kind`. */
  readonly told: ReadonlyMap<string, number>;
  /** The relay's name of the latest attempt; absent while nobody knows it. */
  readonly queueId?: string | undefined;
}

export interface JudgeReturnContext {
  readonly lane: Pick<LaneSettings, "retry" | "unknownPolicy" | "unknownGraceMs">;
  /** By the database's clock. */
  readonly nowMs: number;
  readonly expiresAtMs: number;
  readonly random: () => number;
}

export const JUDGEMENTS = [
  "delivered",
  "relayed",
  "sent",
  "deferred",
  "bounced",
  "soft_bounced",
  "expired",
  "unknown",
  "held",
  "noted",
  "repeated",
  "stale",
  "other_recipient",
] as const;

export type ReturnJudgement =
  /** Its attempt is not settled yet: to be judged again. */
  | { readonly kind: "wait" }
  | {
      readonly kind: "judged";
      readonly word: (typeof JUDGEMENTS)[number];
      readonly becomes?: Becomes;
      /** In their order. */
      readonly events: readonly ReturnEvent[];
    };

export interface Becomes {
  readonly state: State;
  /** Of a waiting state, as in the queue: from now on; null: until somebody decides. */
  readonly delayMs?: number | null;
  readonly tries?: number;
}

export interface ReturnEvent {
  readonly kind: string;
  readonly host?: string | undefined;
  readonly reply?: string | undefined;
  readonly queueId?: string | undefined;
}

type Judged = Extract<ReturnJudgement, { readonly kind: "judged" }>;

export function judgeReturn(fact: ReturnFact, standing: Standing, context: JudgeReturnContext): ReturnJudgement {
  if (fact.attempt > standing.attempt) return { kind: "wait" };
  switch (fact.source) {
    case "log":
      return judgeLogLine(fact, standing);
    case "notice":
      return judgeNotice(fact, standing, context);
    case "evidence":
      return judgeEvidence(fact, standing);
  }
}

// ---- lines of the relay's log ---------------------------------------------------------------------------------------

/** A copy for an archive has the same sender and queue id, and says nothing of the recipient. */
function judgeLogLine(fact: LogFact, standing: Standing): Judged {
  if (!isSameAddress(fact.recipient, standing.recipient))
    return { kind: "judged", word: "other_recipient", events: [] };
  const event = { host: fact.relay, reply: fact.reply, queueId: fact.queueId };
  switch (fact.status) {
    case "sent":
      if (fact.means === "delivered") return moved(fact, standing, { state: "delivered" }, event);
      return noted(fact, standing, "relayed", event, 1);
    case "bounced":
      if (!fact.dsn.startsWith("4")) return moved(fact, standing, { state: "bounced" }, event);
      return noted(fact, standing, "relay_expired", event, 1);
    case "expired":
      return noted(fact, standing, "relay_expired", event, 1);
    case "deferred":
      return noted(fact, standing, "relay_deferred", event, DEFERRALS_TOLD_MAX);
  }
}

/** Of one attempt: a relay with a short lifetime tries a few times, one with a long one hundreds of times. */
const DEFERRALS_TOLD_MAX = 3;

/**
 * Something worth telling that leaves the state as it is. But whatever the relay says of an attempt shows that it took
 * the message: one that was unknown for want of a reply is `sent`.
 */
function noted(
  fact: Fact,
  standing: Standing,
  kind: string,
  event: Omit<ReturnEvent, "kind">,
  toldMax: number,
): Judged {
  const word = kind === "relayed" ? "relayed" : "noted";
  if (isLatest(fact, standing) && isUnanswered(fact, standing)) {
    const events = [
      { kind: "sent", ...event },
      { kind, ...event },
    ];
    return { kind: "judged", word: "sent", becomes: { state: "sent" }, events };
  }
  if (timesTold(fact, standing, kind) >= toldMax) return { kind: "judged", word: "repeated", events: [] };
  return { kind: "judged", word: isLatest(fact, standing) ? word : "stale", events: [{ kind, ...event }] };
}

// ---- notices --------------------------------------------------------------------------------------------------------

function judgeNotice(fact: NoticeFact, standing: Standing, context: JudgeReturnContext): Judged {
  const report = reportFor(fact.notice, standing.recipient);
  const event = { host: report.remoteMta ?? fact.notice.reportingMta, reply: printReport(report) };
  switch (report.action) {
    case "failed":
      return judgeFailure(fact, report, standing, context, event);
    case "delayed":
      return noted(fact, standing, "relay_delayed", event, DEFERRALS_TOLD_MAX);
    case "relayed":
    case "expanded":
      return noted(fact, standing, "relayed", event, 1);
    case "delivered":
      if (!isOwnDelivery(report, standing.recipient)) return noted(fact, standing, "relayed", event, 1);
      return moved(fact, standing, { state: "delivered" }, event);
  }
}

/**
 * The message has one recipient; behind an alias or a list there may be more. The report that names it counts, else the
 * mildest: what one of several got has arrived.
 */
function reportFor({ recipients }: Notice, recipient: string): RecipientReport {
  const own = recipients.filter((report) => namesRecipient(report, recipient));
  const candidates = own.length > 0 ? own : recipients;
  return candidates.reduce((mildest, report) => (severityOf(report) < severityOf(mildest) ? report : mildest));
}

function severityOf({ action, status }: RecipientReport): number {
  switch (action) {
    case "delivered":
      return 0;
    case "relayed":
    case "expanded":
      return 1;
    case "delayed":
      return 2;
    case "failed":
      return status?.startsWith("4") === true ? 3 : 4;
  }
}

/** Of this very address: what a forwarder says of another one is news, and not this recipient's own system. */
function isOwnDelivery(report: RecipientReport, recipient: string): boolean {
  return namesRecipient(report, recipient) && (report.status ?? "2").startsWith("2");
}

function judgeFailure(
  fact: NoticeFact,
  report: RecipientReport,
  standing: Standing,
  context: JudgeReturnContext,
  event: Omit<ReturnEvent, "kind">,
): Judged {
  if (report.status?.startsWith("4") !== true) return moved(fact, standing, { state: "bounced" }, event);
  if (!isFromOurRelay(fact, standing)) {
    const judged = moved(fact, standing, { state: "bounced" }, event);
    return judged.word === "bounced" ? { ...judged, word: "soft_bounced" } : judged;
  }
  if (isCutAtTheEnd(report)) return movedFromRelay(fact, standing, unknownAgain(standing, context), event);
  return movedFromRelay(fact, standing, waitsAgain(standing, context), event);
}

/**
 * By way of the relay's own Maildir, written by that relay, of the very mail that it took in that attempt. Of an attempt
 * without a reply nobody knows the queue id yet: then the first three must do.
 */
function isFromOurRelay({ relayName, notice, attempt }: NoticeFact, standing: Standing): boolean {
  if (!isWrittenBy(relayName, notice)) return false;
  if (attempt !== standing.attempt) return true;
  if (standing.queueId === undefined) return standing.state === "unknown" && notice.queueId !== undefined;
  return notice.queueId === standing.queueId;
}

function isWrittenBy(relayName: string | undefined, { reportingMta }: Notice): boolean {
  return relayName !== undefined && reportingMta === relayName.toLowerCase();
}

/**
 * Postfix's words for a connection that it lost between the end of the content and the reply to it: it does not know
 * either. 4.4.2 has many causes, so here the text has to tell; a text that changes costs a second copy, not a loss.
 */
function isCutAtTheEnd({ status, diagnostic }: RecipientReport): boolean {
  return status === "4.4.2" && /\bsending end of data\b/i.test(diagnostic ?? "");
}

function unknownAgain({ tries }: Standing, { lane }: JudgeReturnContext): Becomes {
  return { state: "unknown", delayMs: lane.unknownPolicy === "resend" ? lane.unknownGraceMs : null, tries };
}

/** On its retry schedule, with what is left of its time to live. */
function waitsAgain(standing: Standing, { lane, nowMs, expiresAtMs, random }: JudgeReturnContext): Becomes {
  const tries = standing.tries + 1;
  const next = nextTryAt({ attempts: tries, schedule: lane.retry, nowMs, expiresAtMs, scope: "recipient", random });
  if (next.kind === "expired") return { state: "expired" };
  return { state: "deferred", delayMs: Math.max(0, next.atMs - nowMs), tries };
}

/** Only what is still `sent`, or was never answered, comes home: what the log saw delivered does not go out again. */
function movedFromRelay(
  fact: NoticeFact,
  standing: Standing,
  becomes: Becomes,
  event: Omit<ReturnEvent, "kind">,
): Judged {
  if (standing.state === "sent") return moved(fact, standing, becomes, event);
  if (!isUnanswered(fact, standing)) return late(fact, standing, becomes.state, event);
  // The notice itself shows that the relay had taken it, and under which name.
  const judged = moved(fact, standing, becomes, event);
  const sent = { kind: "sent", host: event.host, reply: event.reply, queueId: fact.notice.queueId };
  return judged.becomes === undefined ? judged : { ...judged, events: [sent, ...judged.events] };
}

// ---- evidence -------------------------------------------------------------------------------------------------------

function judgeEvidence(fact: EvidenceFact, standing: Standing): Judged {
  const isAccepted = fact.verdict === "accepted";
  const event = { reply: fact.grounds, queueId: fact.queueId };
  const state = isAccepted ? "sent" : "deferred";
  if (isLatest(fact, standing) && isUnanswered(fact, standing)) {
    const becomes: Becomes = isAccepted ? { state } : { state, delayMs: 0, tries: standing.tries };
    return { kind: "judged", word: state, becomes, events: [{ kind: state, ...event }] };
  }
  return isAccepted ? late(fact, standing, state, event) : { kind: "judged", word: "stale", events: [] };
}

// ---- what all of them share -----------------------------------------------------------------------------------------

function moved(fact: Fact, standing: Standing, becomes: Becomes, event: Omit<ReturnEvent, "kind">): Judged {
  const from = standing.state;
  if (!isLatest(fact, standing) || from === undefined || !isOut(from) || !mayBecome(from, becomes.state)) {
    return late(fact, standing, becomes.state, event);
  }
  return { kind: "judged", word: wordOf(becomes.state), becomes, events: [{ kind: becomes.state, ...event }] };
}

/** In the hands of the next hop, or perhaps. What waits here was not, and a person's decision stands. */
function isOut(state: State): boolean {
  return state === "sent" || state === "delivered" || state === "unknown";
}

function wordOf(state: State): Judged["word"] {
  return JUDGEMENTS.find((word) => word === state) ?? "noted";
}

/** Told once, and nothing else. */
function late(fact: Fact, standing: Standing, kind: string, event: Omit<ReturnEvent, "kind">): Judged {
  const isTold = timesTold(fact, standing, kind) + timesTold(fact, standing, `late_${kind}`) > 0;
  if (isTold) return { kind: "judged", word: "repeated", events: [] };
  return { kind: "judged", word: "stale", events: [{ kind: `late_${kind}`, ...event }] };
}

function isLatest(fact: Fact, standing: Standing): boolean {
  return fact.attempt === standing.attempt && !standing.isClaimed;
}

/** Unknown for want of the relay's reply; not because the relay, which had taken it, could not tell. */
function isUnanswered(fact: Fact, standing: Standing): boolean {
  return standing.state === "unknown" && timesTold(fact, standing, "sent") === 0;
}

function timesTold({ attempt }: Fact, { told }: Standing, kind: string): number {
  return told.get(`${attempt} ${kind}`) ?? 0;
}

function namesRecipient({ finalRecipient, originalRecipient }: RecipientReport, recipient: string): boolean {
  return [finalRecipient, originalRecipient].some((named) => named !== undefined && isSameAddress(named, recipient));
}

function isSameAddress(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function printReport({ action, status, diagnostic }: RecipientReport): string {
  return [action, status, diagnostic].filter(Boolean).join(" ");
}

/** The status of a failure that names this very recipient; undefined: it names none, or somebody else. */
export function statusNaming(fact: ReturnFact, recipient: string): string | undefined {
  switch (fact.source) {
    case "log":
      return fact.status === "bounced" && isSameAddress(fact.recipient, recipient) ? fact.dsn : undefined;
    case "notice": {
      const report = reportFor(fact.notice, recipient);
      return report.action === "failed" && namesRecipient(report, recipient) ? report.status : undefined;
    }
    case "evidence":
      return undefined;
  }
}

// ---- refusals that are not about the recipient ----------------------------------------------------------------------

/** The reply, if our own relay reports a permanent refusal that names no recipient: of policy, of the sender, of the mail. */
export function policyRefusalOf(fact: ReturnFact, recipient: string): string | undefined {
  switch (fact.source) {
    case "log":
      return fact.status === "bounced" && isPolicy(fact.dsn) ? fact.reply : undefined;
    case "notice": {
      if (!isWrittenBy(fact.relayName, fact.notice)) return undefined;
      const report = reportFor(fact.notice, recipient);
      return report.action === "failed" && isPolicy(report.status ?? "") ? printReport(report) : undefined;
    }
    case "evidence":
      return undefined;
  }
}

/** An answer of the destination, of whatever kind, by way of our own relay: what a share of refusals is a share of. */
export function isReportedAnswer(fact: ReturnFact, { word }: Judged): boolean {
  const isTrusted = fact.source === "log" || (fact.source === "notice" && isWrittenBy(fact.relayName, fact.notice));
  return isTrusted && (word === "delivered" || word === "relayed" || word === "bounced");
}

/** It does not bounce: its like are too many, and a person decides; or too few came to tell, and it is tried once more. */
export function refusedInstead(judged: Judged, standing: Standing, refused: "held" | "waits"): Judged {
  const state = refused === "held" ? "held" : "deferred";
  if (judged.becomes?.state !== "bounced" || standing.state === undefined) return judged;
  if (!mayBecome(standing.state, state)) return judged;
  const becomes: Becomes = { state, delayMs: refused === "held" ? null : REFUSAL_WAIT_MS, tries: standing.tries };
  return { kind: "judged", word: state, becomes, events: judged.events.map((event) => ({ ...event, kind: state })) };
}

/** X.3.z the system, X.5.z the protocol, X.6.z the content, X.7.z policy; but X.3.4 is about one mail's size. */
function isPolicy(dsn: string): boolean {
  return /^5\.[3567]\./.test(dsn) && dsn !== "5.3.4";
}

// ---- what it says of the destination --------------------------------------------------------------------------------

export interface DestinationSign {
  /**
   * `told`: neither for it nor against it; but whoever waits to hear of a probe has heard. `suspended`: the relay did not
   * ask it again, since it failed before.
   */
  readonly kind: "answered" | "failing" | "suspended" | "told";
  /** What it answered, or what happened instead. */
  readonly said: string;
}

/**
 * What a return says of the recipient's destination; undefined: nothing. A mailbox that is not there was named by a
 * destination that answers. What only this recipient or message is to blame for is not its fault.
 */
export function signOfReturn(fact: ReturnFact, recipient: string): DestinationSign | undefined {
  switch (fact.source) {
    case "log":
      return isSameAddress(fact.recipient, recipient) ? signOfLogLine(fact) : undefined;
    case "notice":
      return signOfNotice(fact, recipient);
    case "evidence":
      return undefined;
  }
}

function signOfLogLine({ status, dsn, relay, reply: said }: LogFact): DestinationSign | undefined {
  switch (status) {
    case "sent":
      return { kind: "answered", said };
    case "bounced":
      return { kind: isAboutMailbox(dsn) && relay !== "" && relay !== "none" ? "answered" : "told", said };
    case "deferred":
      if (!isDestinationsFault(dsn)) return { kind: "told", said };
      return { kind: said.startsWith(SUSPENDED) ? "suspended" : "failing", said };
    case "expired":
      return undefined;
  }
}

/** What Postfix's queue manager says of mail to a destination that it leaves alone for `minimal_backoff_time`. */
const SUSPENDED = "delivery temporarily suspended";

/**
 * Of our own relay's notices alone: from anybody else they could be made to throttle a destination that has done
 * nothing.
 */
function signOfNotice({ notice, relayName }: NoticeFact, recipient: string): DestinationSign | undefined {
  if (!isWrittenBy(relayName, notice)) return undefined;
  const { action, status = "", remoteMta, diagnostic: said = "" } = reportFor(notice, recipient);
  if (action !== "failed") return undefined;
  if (isAboutMailbox(status)) return { kind: remoteMta === undefined ? "told" : "answered", said };
  return { kind: status.startsWith("4") && isDestinationsFault(status) ? "failing" : "told", said };
}

function isAboutMailbox(dsn: string): boolean {
  return dsn.startsWith("5.1.") || dsn.startsWith("5.2.");
}

/**
 * Whom a relay's deferral is about (RFC 3463 §3), seen from the relay: what judge-reply.ts calls the outlet, the system
 * that was talked to, is here the destination's. So is a 4yz without a code (Postfix calls it 4.0.0): a destination that
 * puts everything off must not be taken for one that answers.
 */
function isDestinationsFault(dsn: string): boolean {
  const subject = /^4\.(\d{1,3})\.\d{1,3}$/.exec(dsn)?.[1];
  return subject === undefined || !RECIPIENT_AND_MESSAGE.has(subject);
}

/** X.1.z addresses, X.2.z mailboxes, X.6.z content. */
const RECIPIENT_AND_MESSAGE: ReadonlySet<string> = new Set(["1", "2", "6"]);
