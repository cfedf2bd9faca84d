// A lane as its processes know it: the promises that its class of mail is given. Plain data, so that a supervisor can
// pass it to its children as JSON. Read from the configuration; this file decides nothing.

/** Whose turn comes first when CPU, database or relay get short: bulk gives way, transactional does not. */
export type LanePriority = "transactional" | "bulk";

/**
 * What becomes of a message whose final dot was written and never answered (RFC 5321 §6.1): send it again and risk a
 * second copy, or hold it until a person or evidence decides.
 */
export type UnknownPolicy = "resend" | "hold";

/** When a message that failed through its own or its recipient's fault is tried again. */
export type RetrySchedule = RetryList | RetryExponential;

/** The first failure waits the first delay, and so on; the last one repeats. Never empty. */
export interface RetryList {
  readonly kind: "list";
  readonly delaysMs: readonly number[];
}

/** `firstMs × factor ^ (failures − 1)`, at most `capMs`, then spread by ± `jitter` (a share: 0.2 is ± 20 %). */
export interface RetryExponential {
  readonly kind: "exponential";
  readonly firstMs: number;
  readonly factor: number;
  readonly capMs: number;
  readonly jitter: number;
}

export interface LaneSettings {
  readonly name: string;
  readonly priority: LanePriority;
  /** Names of outlets; at least one. */
  readonly outlets: readonly string[];
  /** Time to live: from acceptance until an unsent message is `expired`. */
  readonly ttlMs: number;
  readonly unknownPolicy: UnknownPolicy;
  /** How long evidence may come in before the policy `resend` acts. */
  readonly unknownGraceMs: number;
  /** Dispatchers that one supervisor runs for this lane. */
  readonly dispatchers: number;
  readonly retry: RetrySchedule;
  /** How many messages one dispatcher may have claimed and not settled: what one crash can make `unknown`. */
  readonly claimAheadMax: number;
}
