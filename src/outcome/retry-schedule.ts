// When a deferred message is tried again. A failure that the message or its recipient is to blame for follows the
// lane's schedule; one that its destination or the outlet is to blame for costs the message nothing: it comes back
// soon, and the governor's window decides whether it may start. Pure: time and randomness come in as arguments.

import type { RetrySchedule } from "../mail/lane.ts";
import type { FailureScope } from "../mail/outcome.ts";

/**
 * The pause after a failure that was not the message's own. RFC 5321 §4.5.4.1 wants the *destination* to rest; that
 * rest is the governor's window of zero and its single probe, the first of which comes after as long for a destination.
 * Shorter would only spin rows through the database; longer would leave what has recovered without work.
 */
export const OUTLET_RETRY_MS = 5_000;

export type NextTry = { readonly kind: "retry"; readonly atMs: number } | { readonly kind: "expired" };

export interface RetryQuestion {
  /**
   * Failed tries that the recipient or the message was to blame for, the present one included: 1 after the first.
   * (The column `queue.tries`, not `queue.attempts`.) Not looked at for the scopes destination and outlet.
   */
  readonly attempts: number;
  readonly schedule: RetrySchedule;
  readonly nowMs: number;
  readonly expiresAtMs: number;
  readonly scope: FailureScope;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * The next try never lies past expiry. Where the schedule would put it there, the message is due when it has expired for
 * certain: the claim of that moment finds it so, and says so.
 */
export function nextTryAt(question: RetryQuestion): NextTry {
  if (question.nowMs >= question.expiresAtMs) return { kind: "expired" };
  const dueMs = question.nowMs + delayMs(question);
  return { kind: "retry", atMs: dueMs < question.expiresAtMs ? dueMs : question.expiresAtMs + EXPIRED_FOR_CERTAIN_MS };
}

/** What a dispatcher knows of the database's time may be off by a slow answer: without this, one more try comes between. */
const EXPIRED_FOR_CERTAIN_MS = 1_000;

function delayMs({ attempts, schedule, scope, random }: RetryQuestion): number {
  switch (scope) {
    case "outlet":
    case "destination":
      return OUTLET_RETRY_MS;
    case "recipient":
    case "message":
      return scheduledDelayMs(schedule, Math.max(1, attempts), random);
  }
}

function scheduledDelayMs(schedule: RetrySchedule, attempts: number, random: () => number): number {
  switch (schedule.kind) {
    case "list":
      return schedule.delaysMs[Math.min(attempts, schedule.delaysMs.length) - 1] ?? OUTLET_RETRY_MS;
    case "exponential": {
      const grownMs = Math.min(schedule.capMs, schedule.firstMs * schedule.factor ** (attempts - 1));
      return Math.round(grownMs * (1 + schedule.jitter * (2 * random() - 1)));
    }
  }
}
