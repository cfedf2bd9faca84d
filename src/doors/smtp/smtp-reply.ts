// A reply of the SMTP door: its code, and one line of text that opens with the enhanced code (RFC 2034, RFC 3463) and
// says what to do. Every text is ours and plain ASCII: nothing that a client has sent is ever told back.

import type { SubmissionRefused } from "../../submission/submission.ts";

export interface SmtpReply {
  readonly code: number;
  readonly text: string;
}

/** What the rules of entry refuse, in SMTP's terms. Their message may quote the client; their hint, where told, does not. */
export function replyToRefused({ code, field, hint }: SubmissionRefused): SmtpReply {
  switch (code) {
    case "PL001":
      return { code: 554, text: "5.6.0 a field of the mail is refused" };
    case "PL002":
      return { code: 553, text: "5.1.3 a recipient's address is refused" };
    case "PL003":
      return { code: 554, text: plainLine(`5.6.0 there is no such lane. ${hint}`) };
    case "PL004":
      return field === "to"
        ? { code: 452, text: "4.5.3 too many recipients, send it to the others in another transaction" }
        : { code: 554, text: "5.6.0 the idempotency key is too long, give 1 to 256 characters" };
    case "PL005":
      return { code: 554, text: "5.6.0 this idempotency key was used for another mail, use a new one" };
    case "PL006":
      return { code: 554, text: "5.6.0 X-Postlane-Expires-At must be a time to come, such as 2027-01-31T09:00:00Z" };
    case "PL008":
      return { code: 451, text: "4.3.0 the same mail is being taken in on another connection, try again in a moment" };
    case "PL009":
      return { code: 452, text: "4.3.1 the queue of this lane is full for now, nothing was queued, try again later" };
  }
}

/** RFC 5321 §4.5.3.1.5 allows a reply line of 512 octets. */
const TEXT_CHARS_MAX = 400;

function plainLine(text: string): string {
  return text.replaceAll(/[^ -~]/g, "?").slice(0, TEXT_CHARS_MAX);
}
