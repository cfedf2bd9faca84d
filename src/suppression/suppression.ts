// A standing order not to mail an address or a domain: what it covers, why, and on whose word.

/** `list`: mail to that list alone. */
export type SuppressionScope =
  | { readonly kind: "everything" }
  | { readonly kind: "bulk" }
  | { readonly kind: "list"; readonly list: string };

export type SuppressionReason = "bounce" | "complaint" | "unsubscribe" | "manual" | "import";

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
