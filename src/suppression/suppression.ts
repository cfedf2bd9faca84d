// A standing order not to mail an address or a domain: what it covers, why, and on whose word.

/** `list`: mail to that list alone. */
export type SuppressionScope =
  | { readonly kind: "everything" }
  | { readonly kind: "bulk" }
  | { readonly kind: "list"; readonly list: string };

export const SUPPRESSION_SCOPES = ["everything", "bulk", "list"] as const;
export const SUPPRESSION_REASONS = ["bounce", "complaint", "unsubscribe", "manual", "import"] as const;
export type SuppressionReason = (typeof SUPPRESSION_REASONS)[number];

export interface NewSuppression {
  /** `local@domain`, or `@domain` for all of a domain. */
  readonly address: string;
  readonly scope: SuppressionScope;
  readonly reason: SuppressionReason;
  /** Who or what says so, such as `msg_42` or `cli`. */
  readonly source: string;
  /** Days from now on; absent: until a person ends it. */
  readonly days?: number;
}

/**
 * What suppresses by itself: a bounce that says that there is no such address, or a complaint. The first one holds for bulk,
 * the second within 30 days for everything; both end after 90 days.
 */
export interface Strike {
  readonly address: string;
  readonly reason: "bounce" | "complaint";
  readonly source: string;
  /** What it is about, such as `msg_42`: the same told again is no second strike. Absent: each is one of its own. */
  readonly about?: string;
}

/** Days in which a second strike counts. */
export const STRIKE_DAYS = 30;
/** Days after which what suppressed by itself ends by itself. */
export const STRIKE_ENDS_DAYS = 90;
