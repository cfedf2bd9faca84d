// The envelope: sender and recipient as the SMTP dialogue uses them (RFC 5321 §2.3.1), not the header fields.

export interface Envelope {
  /** The reverse-path without angle brackets; empty for the null sender. */
  readonly sender: string;
  /** The forward-path without angle brackets. */
  readonly recipient: string;
  /** A failure notice need not bring the content back (RFC 3461 §4.3, `RET=HDRS`): set where we read it ourselves. */
  readonly wantsHeadersOnly?: boolean;
}

/**
 * A message as it goes on the wire, before dot-stuffing: lines end in CRLF, no line over 998 octets, no bare CR, bare
 * LF or NUL, and the last line ends in CRLF too.
 */
export interface Content {
  readonly text: string;
  /** Octets of `text` in UTF-8, CRLFs included, stuffed dots not (RFC 1870 §5). */
  readonly bytes: number;
  /** Every character is below 0x80; then `text` may be written as Latin-1, which costs less. */
  readonly isAscii: boolean;
}
