// A mail that came back to a return path, read: a delivery status notification with its fields (RFC 3464), or one of the
// other things that people and machines send there. Plain data, from strangers: only the token in the envelope's
// recipient says which attempt it is about, never an address in here.

export type ReturnedMail =
  | Notice
  /** An out-of-office reply, a read receipt, a list's answer (RFC 3834). */
  | { readonly kind: "auto_reply" }
  /** "This is spam" (ARF, RFC 5965). */
  | { readonly kind: "complaint" }
  /** A person's answer. */
  | { readonly kind: "reply" }
  /** Neither: a failure told in words alone, a notice cut off before its fields, no mail at all. */
  | { readonly kind: "unreadable" };

export interface Notice {
  readonly kind: "notice";
  /** The host's name of `Reporting-MTA: dns; host`, lower-cased. */
  readonly reportingMta?: string;
  /** `X-Postfix-Queue-ID`. */
  readonly queueId?: string;
  readonly originalEnvelopeId?: string;
  readonly arrivalDate?: string;
  /** Of the mail that it is about, from its returned headers. */
  readonly messageId?: string;
  /** At least one; as many as a mail has that was sent on to several. */
  readonly recipients: readonly RecipientReport[];
}

export type ReportAction = "failed" | "delayed" | "delivered" | "relayed" | "expanded";

export interface RecipientReport {
  readonly action: ReportAction;
  /** `4.4.1`; absent when the field `Status` is missing or holds none. */
  readonly status?: string;
  readonly finalRecipient?: string;
  readonly originalRecipient?: string;
  readonly diagnostic?: string;
  readonly remoteMta?: string;
}
