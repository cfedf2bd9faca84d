// From an outcome to what is written of it: the state the message reaches, when it is tried again, its event.
// Pure: `dispatcher` and `rescue` both settle by it.

import type { AttemptResult } from "../mail/attempt.ts";
import type { LaneSettings } from "../mail/lane.ts";
import type { Outcome } from "../mail/outcome.ts";
import { printReply, REPLY_TEXT_MAX } from "../mail/reply.ts";
import { REFUSAL_WAIT_MS } from "../outcome/refusal-watch.ts";
import { nextTryAt } from "../outcome/retry-schedule.ts";
import { KEEP_DUE, type ClaimedRow } from "../queue/queue-store.ts";
import type { SettledFate, Settlement, WaitingFate } from "./lane-queue.ts";

export interface FateContext {
  readonly outletName: string;
  readonly lane: LaneSettings;
  /** By the database's clock. */
  readonly nowMs: number;
  readonly monotonicMs: number;
  readonly expiresAtMs: number;
  readonly random: () => number;
}

export function fateOf(
  { row, attempt }: { readonly row: ClaimedRow; readonly attempt: number },
  outcome: Outcome,
  result: AttemptResult,
  context: FateContext,
): Settlement {
  const host = "host" in result ? result.host : "";
  const told = { outlet: context.outletName, host, happenedAtMs: context.monotonicMs };
  switch (outcome.kind) {
    case "untried":
      return unclaimed(row);
    case "sent": {
      const event = { kind: "sent", ...told, reply: printReply(outcome.reply) };
      return { row, attempt, becomes: { kind: "settled", state: "sent" }, event };
    }
    case "bounced": {
      const event = { kind: "bounced", ...told, reply: outcome.reason };
      return { row, attempt, becomes: { kind: "settled", state: "bounced" }, event };
    }
    case "unknown": {
      const clientPort = result.kind === "failed" ? result.clientPort : undefined;
      const event = { kind: "unknown", ...told, reply: outcome.reason, clientPort };
      return { row, attempt, becomes: unknownFate(row, attempt, context.lane), event };
    }
    case "deferred": {
      const becomes = deferredFate(row, attempt, outcome.scope, context);
      return { row, attempt, becomes, event: { kind: becomes.state, ...told, reply: outcome.reason } };
    }
  }
}

/** Policy `resend`: tried again after the grace; `hold`: until a person or evidence decides. */
export function unknownFate(
  row: Pick<ClaimedRow, "tries" | "rescues">,
  attempt: number,
  lane: LaneSettings,
): WaitingFate {
  return {
    kind: "waiting",
    state: "unknown",
    delayMs: lane.unknownPolicy === "resend" ? lane.unknownGraceMs : null,
    attempts: attempt,
    tries: row.tries,
    rescues: row.rescues,
  };
}

export function deferredFate(
  row: Pick<ClaimedRow, "tries" | "rescues">,
  attempt: number,
  scope: "recipient" | "message" | "destination" | "outlet",
  context: Omit<FateContext, "outletName" | "monotonicMs">,
): WaitingFate | SettledFate {
  const isOwnFault = scope === "recipient" || scope === "message";
  const tries = row.tries + (isOwnFault ? 1 : 0);
  const next = nextTryAt({
    attempts: tries,
    schedule: context.lane.retry,
    nowMs: context.nowMs,
    expiresAtMs: context.expiresAtMs,
    scope,
    random: context.random,
  });
  if (next.kind === "expired") return { kind: "settled", state: "expired" };
  const delayMs = Math.max(0, next.atMs - context.nowMs);
  return { kind: "waiting", state: "deferred", delayMs, attempts: attempt, tries, rescues: row.rescues };
}

/** As it was: nothing of it was offered to anyone. */
export function unclaimed(row: ClaimedRow): Settlement {
  const { state, attempts, tries, rescues } = row;
  return {
    row,
    attempt: attempts + 1,
    becomes: { kind: "waiting", state, delayMs: KEEP_DUE, attempts, tries, rescues },
  };
}

/** As it was, a little later. */
export function postponed(row: ClaimedRow, delayMs: number): Settlement {
  const { state, attempts, tries, rescues } = row;
  return { row, attempt: attempts + 1, becomes: { kind: "waiting", state, delayMs, attempts, tries, rescues } };
}

/**
 * A bounce that may not be about the recipient: too many like it came, and a person decides (`held`); or too few came to
 * tell, and it is tried once more (`waits`).
 */
export function refused(bounce: Settlement, judged: "held" | "waits"): Settlement {
  const { row, attempt, event } = bounce;
  const { tries, rescues } = row;
  const state = judged === "held" ? "held" : "deferred";
  const delayMs = judged === "held" ? null : REFUSAL_WAIT_MS;
  const becomes = { kind: "waiting", state, delayMs, attempts: attempt, tries, rescues } as const;
  return { row, attempt, becomes, ...(event === undefined ? {} : { event: { ...event, kind: state } }) };
}

/**
 * Its sender said until when it is of use, and that holds. The lane's time to live is no more than an end to trying: a try
 * that was due within it is made, however late. So age alone, be it a pause, a dead relay or a jump of the database's
 * clock, gives up nothing that had its chance still to come; what fails then is over (`nextTryAt`).
 */
export function isTooLate(
  row: Pick<ClaimedRow, "accepted_ms" | "expires_ms" | "due_us">,
  lane: Pick<LaneSettings, "ttlMs">,
  nowMs: number,
): boolean {
  if (row.expires_ms !== null && nowMs >= row.expires_ms) return true;
  const endsAtMs = row.accepted_ms + lane.ttlMs;
  return nowMs >= endsAtMs && row.due_us / 1000 >= endsAtMs;
}

export function expired(row: ClaimedRow): Settlement {
  const reply = "its time to live was over before it could be handed over";
  return {
    row,
    attempt: row.attempts,
    becomes: { kind: "settled", state: "expired" },
    event: { kind: "expired", reply },
  };
}

/** Its recipient came onto the suppression list since it was accepted. */
export function suppressed(row: ClaimedRow, because: string): Settlement {
  return {
    row,
    attempt: row.attempts,
    becomes: { kind: "settled", state: "suppressed" },
    event: { kind: "suppressed", reply: because },
  };
}

/** Set aside alone, with the error; the lane goes on. */
export function heldWith(row: ClaimedRow, error: string): Settlement {
  const { attempts, tries, rescues } = row;
  return {
    row,
    attempt: attempts + 1,
    becomes: { kind: "waiting", state: "held", delayMs: null, attempts, tries, rescues },
    event: { kind: "held", reply: printable(error) },
  };
}

// The error may quote the message's data, and no text in the database can hold a NUL: the settle would fail for ever.
function printable(error: string): string {
  // oxlint-disable-next-line no-control-regex
  return error.slice(0, REPLY_TEXT_MAX).replace(/[\x00-\x1f\x7f]/g, " ");
}
