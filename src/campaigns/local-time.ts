// A local time in a time zone, as an instant. On the night of a clock change a local time may be missing or come twice: a
// missing one is as much later as the clocks were put forward, of two the first is meant (RFC 5545 §3.3.5). So every zone has
// one instant for it, and whoever waits for it is sent to once.

import { Temporal } from "temporal-polyfill";

/** `2027-03-28T09:00`; undefined: that is no local time. */
export function parseLocalTime(text: string): string | undefined {
  if (!/^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2})?$/.test(text)) return undefined;
  try {
    return Temporal.PlainDateTime.from(text.replace(" ", "T"), { overflow: "reject" }).toString();
  } catch {
    return undefined;
  }
}

/** Milliseconds since the epoch. `timeZone`: IANA's name. */
export function instantOf(localTime: string, timeZone: string): number {
  return Temporal.PlainDateTime.from(localTime).toZonedDateTime(timeZone, { disambiguation: "compatible" })
    .epochMilliseconds;
}
