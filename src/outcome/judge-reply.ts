// Judges an attempt: what it came to, and who is to blame for a failure. Pure. The first digit of the reply decides
// what happened, the phase and the enhanced status code (RFC 3463) decide who waits; the text is never looked at.
// docs/reference/outcomes.md is this file as a table, and a test keeps both in step.
//
// Two rules stand above the rest. Only a refusal in MAIL or later can bounce a message, and only when it is about that
// message or its recipient: whatever a server says of itself, of its protocol or of our credentials makes mail wait.
// And what was written past the final dot without a clear yes or no is `unknown`.

import type { AttemptReplied, AttemptResult } from "../mail/attempt.ts";
import type { FailureScope, Outcome } from "../mail/outcome.ts";
import { printReply, type Phase, type Reply } from "../mail/reply.ts";

/** Outlets whose next hop is a relay of ours or a provider's, or this machine itself. */
export interface JudgeContext {
  readonly outletType: "smtp" | "capture";
}

export function judgeAttempt(result: AttemptResult, context: JudgeContext): Outcome {
  switch (context.outletType) {
    case "smtp":
    case "capture":
      return judgeByRelayRules(result);
  }
}

function judgeByRelayRules(result: AttemptResult): Outcome {
  switch (result.kind) {
    case "replied":
      return judgeReply(result);
    case "failed": {
      const reason = `${result.host}: ${result.code} in ${result.phase}: ${result.detail}`;
      return { kind: result.isPastDot ? "unknown" : "deferred", scope: "outlet", reason };
    }
    case "refused_here":
      return {
        kind: "bounced",
        scope: "message",
        reason: `not offered to ${result.host}: ${printReply(result.reply)}`,
      };
    case "not_started":
      return { kind: "untried", reason: result.reason };
  }
}

/** RFC 5321 §4.2.1: the first digit says good, bad or incomplete; a client that knows no more acts on that alone. */
function judgeReply({ phase, reply, host }: AttemptReplied): Outcome {
  const reason = `${host} answered ${phase} with ${printReply(reply)}`;
  const defer = (scope: FailureScope): Outcome => ({ kind: "deferred", scope, reason });
  const bounce = (scope: BounceScope): Outcome => ({ kind: "bounced", scope, reason });

  if (reply.code < 400) return judgeWithoutRefusal(phase, reply, reason);
  if (isAboutTheSession(phase, reply.code)) return defer("outlet");
  if (reply.code < 500 || isTooManyRecipients(phase, reply.code)) return defer(whoWaits(phase, reply));
  const blamed = whoIsRefused(phase, reply);
  return blamed === "nobody" ? defer("outlet") : bounce(blamed);
}

/**
 * 2yz to the final dot is the next hop's yes. Any other 2yz or 3yz that ends an attempt is out of step with what was
 * asked; behind the final dot it is neither yes nor no, and may have crossed with a yes.
 */
function judgeWithoutRefusal(phase: Phase, reply: Reply, reason: string): Outcome {
  if (phase !== "dot") return { kind: "deferred", scope: "outlet", reason };
  if (reply.code < 300) return { kind: "sent", reply };
  return { kind: "unknown", scope: "outlet", reason };
}

/** A refusal that bounces: the outlet and the destination never do, since other mail would share their fate. */
type BounceScope = "recipient" | "message";

/**
 * Codes that speak of the connection or of our credentials wherever they appear: closing (421, RFC 5321 §3.8), bad
 * sequence (503), a host that takes no mail (521, RFC 7504), authentication or TLS wanted (530, 534, 535, 538, RFC
 * 4954 §6 and RFC 3207 §4).
 */
const SESSION_CODES: ReadonlySet<number> = new Set([421, 503, 521, 530, 534, 535, 538]);

/** The server did not understand us (RFC 5321 §4.2.4, 555: §4.1.1.11). 501 is apart: its argument may be the address. */
const PROTOCOL_CODES: ReadonlySet<number> = new Set([500, 502, 504, 555]);

/** Before MAIL nothing is known of any message, so nothing that is said there can be about one. */
function isAboutTheSession(phase: Phase, code: number): boolean {
  switch (phase) {
    case "connect":
    case "banner":
    case "ehlo":
    case "starttls":
    case "auth":
      return true;
    case "mail":
    case "rcpt":
    case "data":
    case "dot":
      return SESSION_CODES.has(code);
  }
}

/** RFC 5321 §4.5.3.1.10: a client treats 552 to RCPT as 452. Servers say it of a full mailbox, too. */
function isTooManyRecipients(phase: Phase, code: number): boolean {
  return phase === "rcpt" && code === 552;
}

/** Who waits after a temporary refusal. */
function whoWaits(phase: Phase, reply: Reply): FailureScope {
  const status = readStatus(reply);
  if (status === undefined) return whoWaitsByCode(phase, reply.code);
  if (isAboutSize(status)) return "message";
  if (phase === "mail") return isAboutThisMail(status) ? "message" : "outlet";
  switch (status.subject) {
    case 1:
      return isAboutSender(status) ? "message" : "recipient";
    case 2:
      return "recipient";
    case 3:
    case 5:
      return "outlet";
    case 4:
    case 7:
      return "destination";
    case 6:
      return "message";
    default:
      return whoWaitsByCode(phase, reply.code);
  }
}

/**
 * Without an enhanced code. Blaming the outlet for one mailbox would stop all mail for it; blaming the recipient for a
 * broken relay costs every message one try. So the outlet is blamed only where nothing else can be meant.
 */
function whoWaitsByCode(phase: Phase, code: number): FailureScope {
  if (phase === "mail") return "outlet";
  if (phase === "rcpt") return "recipient";
  return code === 452 ? "outlet" : "message";
}

/** Whom a permanent refusal is about; `nobody` when it says more of the server than of this message. */
function whoIsRefused(phase: Phase, reply: Reply): BounceScope | "nobody" {
  const status = readStatus(reply);
  if (status === undefined) return whoIsRefusedByCode(phase, reply.code);
  if (isAboutSize(status)) return "message";
  if (phase === "mail") return isAboutThisMail(status) ? "message" : "nobody";
  switch (status.subject) {
    case 1:
      return isAboutSender(status) ? "message" : "recipient";
    case 2:
    case 4:
      return "recipient";
    case 3:
    case 5:
      return "nobody";
    case 6:
    case 7:
      return "message";
    default:
      return whoIsRefusedByCode(phase, reply.code);
  }
}

/**
 * A relay that refuses our sender refuses all of our mail: a bare 5yz to MAIL therefore waits, with the outlet, for a
 * person to see it, instead of bouncing a campaign. 552 is the exception: it is the answer to SIZE (RFC 1870 §6.1).
 */
function whoIsRefusedByCode(phase: Phase, code: number): BounceScope | "nobody" {
  if (PROTOCOL_CODES.has(code)) return "nobody";
  if (phase === "mail") return code === 552 ? "message" : "nobody";
  if (phase === "rcpt") return "recipient";
  return code === 501 ? "nobody" : "message";
}

interface Status {
  readonly subject: number;
  readonly detail: number;
}

/** Undefined when there is none, when it contradicts the reply's first digit, or when it only says "other" (x.0.z). */
function readStatus(reply: Reply): Status | undefined {
  const parts = /^(\d)\.(\d{1,3})\.(\d{1,3})$/.exec(reply.enhanced ?? "");
  if (parts === null || Number(parts[1]) !== Math.trunc(reply.code / 100) || Number(parts[2]) === 0) return undefined;
  return { subject: Number(parts[2]), detail: Number(parts[3]) };
}

/** In MAIL, before any recipient was named: its sender's address (X.1.z) or its content's form (X.6.z). */
function isAboutThisMail(status: Status): boolean {
  return status.subject === 1 || status.subject === 6;
}

/** X.1.7 and X.1.8: the sender's mailbox address, the sender's system (RFC 3463 §3.2). */
function isAboutSender(status: Status): boolean {
  return status.subject === 1 && (status.detail === 7 || status.detail === 8);
}

/** X.2.3 and X.3.4: longer than the mailbox or the system takes (RFC 3463 §3.3 and §3.4). */
function isAboutSize(status: Status): boolean {
  return (status.subject === 2 && status.detail === 3) || (status.subject === 3 && status.detail === 4);
}
