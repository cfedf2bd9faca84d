// An email as the client takes it, and what the door tells of one: the fields of `POST /emails` and `GET /emails/{id}`
// (docs/reference/http.md). Only shapes: what a field may hold, the rules of entry say.

export interface Email {
  /** "Shop <shop@example.com>"; otherwise that of the installation. */
  readonly from?: string;
  readonly to: string | readonly string[];
  readonly cc?: string | readonly string[];
  readonly bcc?: string | readonly string[];
  readonly reply_to?: string | readonly string[];
  readonly subject?: string;
  /** At least one of `text` and `html`, or a template. */
  readonly text?: string;
  readonly html?: string;
  /** A pushed template, by name or name@version; the email's own `subject`, `from`, `reply_to` and `headers` go before it. */
  readonly template?: { readonly id: string; readonly variables?: Readonly<Record<string, unknown>> };
  readonly headers?: Readonly<Record<string, string>>;
  readonly attachments?: readonly EmailAttachment[];
  readonly tags?: readonly { readonly name: string; readonly value: string }[];
  readonly lane?: string;
  /** What the recipient unsubscribes from, such as "weekly-news". */
  readonly list?: string;
  /** ISO 8601 with a zone, or a Date. */
  readonly scheduled_at?: string | Date;
  readonly expires_at?: string | Date;
  /** Kept with the email and never sent. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface EmailAttachment {
  readonly filename: string;
  /** The octets, or a text that is base64 already. */
  readonly content: Uint8Array | string;
  /** "application/pdf"; by default what the extension says. */
  readonly content_type?: string;
  /** Shows it within the HTML, where that says `cid:` and this id. */
  readonly content_id?: string;
}

export type EmailState =
  | "scheduled"
  | "queued"
  | "delivery_delayed"
  | "held"
  | "unknown"
  | "sent"
  | "delivered"
  | "bounced"
  | "expired"
  | "canceled"
  | "suppressed";

export interface EmailStory {
  readonly id: string;
  readonly to: readonly string[];
  readonly from: string;
  readonly subject: string | null;
  readonly created_at: string;
  readonly scheduled_at: string | null;
  readonly lane: string | null;
  /** The state of the message that is furthest from its end. */
  readonly last_event: EmailState | null;
  /** One for each recipient. */
  readonly messages: readonly MessageStory[];
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

export interface MessageStory {
  readonly id: string;
  readonly to: string;
  readonly status: EmailState | null;
  readonly events: readonly MessageEvent[];
}

export interface MessageEvent {
  readonly at: string;
  readonly event: string;
  readonly attempt: number;
  readonly outlet: string | null;
  readonly host: string | null;
  readonly reply: string | null;
}
