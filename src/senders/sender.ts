// Who submits, as a door has found out: by a key, or because it comes from this machine. What it may do is data.

/** `send`: submit, and read and cancel what it submitted. `read`: read everything. `operate`: everything. */
export type Scope = "send" | "read" | "operate";

export interface Sender {
  /** `key:7`; `loopback`: SMTP from this machine without AUTH. Owns submissions and their idempotency keys. */
  readonly credential: string;
  readonly scope: Scope;
  /** Lanes that it may use, the first being its default; absent: all, and `transactional`. */
  readonly lanes?: readonly string[];
  /** Domains that its mail may be from, lower case, as A-labels; absent: all. */
  readonly fromDomains?: readonly string[];
  /** Submissions per second, over all fronts together; absent: no limit. */
  readonly maxRatePerS?: number;
  /** Whether it gets failure notices for what it submits by SMTP or sendmail. */
  readonly getsNotices: boolean;
  /** Whether SMTP finds out repeated mail by its content, without a key. */
  readonly isDeduplicated: boolean;
}
