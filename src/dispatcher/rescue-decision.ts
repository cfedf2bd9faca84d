// What becomes of one message that a dead dispatcher had claimed, by what its journal says. Pure: the rescuer of the
// database and the simulation both decide by it. Without evidence, or with a journal of another boot, whatever is not
// shown answered may have been sent.

import type { LaneSettings } from "../mail/lane.ts";
import type { ClaimedUnderLease } from "../queue/lease-store.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import { deferredFate, heldWith, unclaimed, unknownFate } from "./fate.ts";
import type { JournalAnswer, JournalEvidence, JournalVerdict } from "./journal.ts";
import type { Settlement } from "./lane-queue.ts";

export interface RescueDecisionContext {
  readonly lane: LaneSettings;
  readonly nowMs: number;
  readonly random: () => number;
}

/** Deaths of a dispatcher while it merged this very message, after which the message is set aside. */
export const RESCUES_MAX = 3;

export function rescueRow(
  claimed: ClaimedUnderLease,
  evidence: JournalEvidence | undefined,
  context: RescueDecisionContext,
): Settlement {
  const row = claimed as unknown as ClaimedRow;
  const attempt = claimed.attempts + 1;
  const verdict = evidence?.verdictOn(claimed.message_id, attempt) ?? NO_EVIDENCE;
  switch (verdict.kind) {
    case "no_line":
      return unclaimed({ ...row, rescues: Math.max(1, claimed.rescues) });
    case "composing": {
      const rescues = claimed.rescues + 1;
      if (rescues <= RESCUES_MAX) return unclaimed({ ...row, rescues });
      return heldWith(row, `the dispatcher died ${RESCUES_MAX} times while it merged this message`);
    }
    case "answered":
      return answeredRow(row, attempt, verdict.answer, context);
    case "dot": {
      const reply = "the dispatcher died after it had permitted the final dot, and no reply is known";
      const { outlet, clientPort } = verdict;
      const event = { kind: "unknown", ...(outlet === undefined ? {} : { outlet }), reply, clientPort };
      return { row, attempt, becomes: unknownFate(row, attempt, context.lane), event };
    }
  }
}

const NO_EVIDENCE: JournalVerdict = { kind: "dot" };

/** From another boot, lines may be missing: what is shown answered is, and everything else may have been sent. */
export function believedUnder(bootId: string, evidence: JournalEvidence | undefined): JournalEvidence | undefined {
  if (evidence === undefined || evidence.head.bootId === bootId) return evidence;
  return {
    ...evidence,
    verdictOn(messageId, attempt) {
      const verdict = evidence.verdictOn(messageId, attempt);
      return verdict.kind === "answered" ? verdict : { kind: "dot" };
    },
  };
}

function answeredRow(
  row: ClaimedRow,
  attempt: number,
  answer: JournalAnswer,
  { lane, nowMs, random }: RescueDecisionContext,
): Settlement {
  const { kind, outlet, host, reply, isOwnFault } = answer;
  const event = { kind, outlet, host, reply };
  switch (kind) {
    case "sent":
    case "bounced":
      return { row, attempt, becomes: { kind: "settled", state: kind }, event };
    case "unknown":
      return { row, attempt, becomes: unknownFate(row, attempt, lane), event };
    case "deferred": {
      const expiresAtMs = Math.min(row.expires_ms ?? Infinity, row.accepted_ms + lane.ttlMs);
      const scope = isOwnFault ? "recipient" : "outlet";
      const becomes = deferredFate(row, attempt, scope, { lane, nowMs, expiresAtMs, random });
      return { row, attempt, becomes, event: { ...event, kind: becomes.state } };
    }
  }
}
