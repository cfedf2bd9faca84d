// The judged answer of an attempt, and who is to blame for a failure.

import type { Reply } from "./reply.ts";

/** Who is to blame, and so who waits: only this recipient, this message, its whole destination, or the outlet. */
export type FailureScope = "recipient" | "message" | "destination" | "outlet";

export type Outcome = OutcomeSent | OutcomeDeferred | OutcomeBounced | OutcomeUnknown | OutcomeUntried;

export interface OutcomeSent {
  readonly kind: "sent";
  readonly reply: Reply;
}
export interface OutcomeDeferred {
  readonly kind: "deferred";
  readonly scope: FailureScope;
  /** For people: the reply, or what happened instead of one. */
  readonly reason: string;
}
export interface OutcomeBounced {
  readonly kind: "bounced";
  readonly scope: FailureScope;
  readonly reason: string;
}
/** The final dot was written and no reply is known. */
export interface OutcomeUnknown {
  readonly kind: "unknown";
  readonly scope: FailureScope;
  readonly reason: string;
}
/** Not an attempt at all: the claim is given back as it was. */
export interface OutcomeUntried {
  readonly kind: "untried";
  readonly reason: string;
}
