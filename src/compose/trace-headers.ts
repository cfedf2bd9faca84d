// Date and Message-ID (RFC 5322 §3.6.1, §3.6.4). Both come in as arguments: the same fields give the same octets.

import { ComposeRefused } from "./compose-refused.ts";

/** Always in UTC with a numeric zone, since names of zones are obsolete (RFC 5322 §4.3). */
export function dateHeader(wallMs: number): string {
  if (!(wallMs >= 0 && wallMs <= WALL_MS_MAX)) throw new RangeError(`not a time that a Date header can say: ${wallMs}`);
  return `Date: ${new Date(wallMs).toUTCString().replace("GMT", "+0000")}\r\n`;
}

/** `id@domain`, with or without its angle brackets. */
export function messageIdHeader(messageId: string): string {
  const bare = messageId.startsWith("<") && messageId.endsWith(">") ? messageId.slice(1, -1) : messageId;
  if (bare.length > MESSAGE_ID_OCTETS_MAX || !MESSAGE_ID.test(bare))
    throw new ComposeRefused("Message-ID", "not of the form id@domain");
  return `Message-ID: <${bare}>\r\n`;
}

/** The end of year 9999: the grammar of a date has room for more, its readers have not. */
const WALL_MS_MAX = 253_402_300_799_999;
const MESSAGE_ID_OCTETS_MAX = 250;
const MESSAGE_ID = /^[!-;=?A-~]+@[!-;=?A-~]+$/;
