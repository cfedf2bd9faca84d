// The envelope: sender and recipient as the SMTP dialogue uses them (RFC 5321 §2.3.1), not the header fields.

export interface Envelope {
  /** The reverse-path without angle brackets; empty for the null sender. */
  readonly sender: string;
  /** The forward-path without angle brackets. */
  readonly recipient: string;
  /** A failure notice need not bring the content back (RFC 3461 §4.3, `RET=HDRS`): set where we read it ourselves. */
  readonly wantsHeadersOnly?: boolean;
  /** What the submitter asked of failure notices, passed on to a next hop that offers DSN. */
  readonly dsn?: DsnWishes;
}

/** RFC 3461: parameters of MAIL (`ret`, `envid`) and RCPT (`notify`, `orcpt`) in their own syntax. */
export interface DsnWishes {
  readonly ret?: "FULL" | "HDRS";
  readonly envid?: string;
  readonly notify?: string;
  readonly orcpt?: string;
}

/**
 * A message as it goes on the wire, before dot-stuffing: lines end in CRLF, no bare CR, bare LF or NUL, and the last line
 * ends in CRLF too. What we write ourselves has no line over 998 octets; a mail that came by SMTP is kept as it came.
 */
export interface Content {
  /** One character for each octet, so its length is the size that RFC 1870 §5 counts. Written as Latin-1. */
  readonly text: string;
  /** Every octet is below 0x80; else the next hop must take 8BITMIME. */
  readonly isAscii: boolean;
  /** A header field is in UTF-8, so the next hop must take SMTPUTF8 (RFC 6531 §3.2). */
  readonly isUtf8?: boolean;
}

/** What an attempt hands over. */
export interface ComposedMail {
  readonly envelope: Envelope;
  readonly content: Content;
}
