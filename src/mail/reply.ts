// An SMTP reply (RFC 5321 §4.2) and the phase of the dialogue that it answers.

/** Where in the dialogue an attempt stood. `dot` is everything after the first octet of content. */
export const PHASES = ["connect", "banner", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot"] as const;
export type Phase = (typeof PHASES)[number];

export interface Reply {
  /** 200 to 599. */
  readonly code: number;
  /** Enhanced status code (RFC 3463) such as `5.1.1`, when the server gave one of the reply's own class. */
  readonly enhanced?: string;
  /** The lines' text without codes, joined by one space; control characters replaced; at most `REPLY_TEXT_MAX`. */
  readonly text: string;
}

/** Characters of a reply's text that are kept. Servers explain themselves at length; a few hundred characters say it. */
export const REPLY_TEXT_MAX = 1000;

/**
 * What a relay calls the message that it took, from its reply to the final dot: Postfix says `queued as ID`, Exim
 * `OK id=ID`. Undefined when it does not say.
 */
export function queueIdIn(replyText: string): string | undefined {
  return /(?: queued as | OK id=)([0-9A-Za-z-]{5,40})(?: |$)/.exec(replyText)?.[1];
}

export function printReply(reply: Reply): string {
  return [String(reply.code), reply.enhanced, reply.text].filter(Boolean).join(" ");
}
