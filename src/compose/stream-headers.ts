// What a mail says of the stream it belongs to: that a program wrote it, and to which figures a provider should count it.
// Pure. What a caller has set itself stands, and is not written a second time.
//
// Auto-Submitted (RFC 3834 §5): single emails are what a program writes to a person, so `auto-generated`; the field "MUST
// NOT be used on manually generated messages", and a newsletter's text is written by people: campaigns have none, and are
// known for what they are by their List- fields (§2). Feedback-ID is Google's: four fields, of which the last one always
// stays the same.

import { createHash } from "node:crypto";

export interface Stream {
  /** A campaign, `cmp_7`; or of a single email the value of its first tag. */
  readonly campaign?: string | undefined;
  readonly tag?: string | undefined;
  /** The list or, where there is none, the template. */
  readonly list?: string | undefined;
  readonly template?: string | undefined;
  readonly lane: string;
  /** The domain of From, as A-labels. */
  readonly fromDomain: string;
}

/** Header lines. `own`: the fields that the caller has set. */
export function streamHeaders(stream: Stream, own: Readonly<Record<string, string>> = {}): string {
  const names = new Set(Object.keys(own).map((name) => name.toLowerCase()));
  const isByProgram = stream.campaign === undefined;
  return (
    (isByProgram && !names.has("auto-submitted") ? "Auto-Submitted: auto-generated\r\n" : "") +
    (names.has("feedback-id") ? "" : feedbackIdHeader(stream))
  );
}

/** Of each field but the last. */
const FIELD_CHARS_MAX = 40;
/** Google takes 5 to 15 characters. */
const SENDER_CHARS_MIN = 5;
const SENDER_CHARS_MAX = 15;
const DIGEST_CHARS = 6;

function feedbackIdHeader({ campaign, tag, list, template, lane, fromDomain }: Stream): string {
  const fields = [campaign ?? tag, list ?? template, lane].map((field) => feedbackField(field ?? ""));
  return `Feedback-ID: ${[...fields, senderIdOf(fromDomain)].join(":")}\r\n`;
}

/** Letters, digits, dots, _ and -; what else there is becomes -. */
function feedbackField(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9._-]+/g, "-").slice(0, FIELD_CHARS_MAX);
}

/** `example.com` → `example-com`; a domain that is too long, or too short, gets a digest so that it stays its own. */
function senderIdOf(domain: string): string {
  const plain = domain.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  if (plain.length >= SENDER_CHARS_MIN && plain.length <= SENDER_CHARS_MAX) return plain;
  const digest = createHash("sha256").update(domain.toLowerCase()).digest("hex").slice(0, DIGEST_CHARS);
  return `${plain.slice(0, SENDER_CHARS_MAX - DIGEST_CHARS - 1)}-${digest}`;
}
