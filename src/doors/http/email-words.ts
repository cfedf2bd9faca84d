// How HTTP says where a message stands: in Resend's words where they have one (docs/reference/states.md). An email has one word, that of
// its message that is furthest from its end.

import type { State } from "../../mail/state.ts";
import type { HttpWord } from "./email-schema.ts";

export function httpWord(state: State): HttpWord {
  return state === "deferred" ? "delivery_delayed" : state;
}

/** What happened to a message: a state's word, or the event's own name. */
export function eventWord(kind: string): string {
  return kind === "deferred" ? "delivery_delayed" : kind;
}

/**
 * From the furthest from its end to the nearest. `sent` may still move on. Of those that have ended, what somebody should
 * look at comes first, so that one bounce among many is seen.
 */
export const FURTHEST_FIRST: readonly State[] = [
  "scheduled",
  "held",
  "queued",
  "deferred",
  "unknown",
  "sent",
  "bounced",
  "expired",
  "suppressed",
  "canceled",
  "delivered",
];

/** Null: nothing is known any more of any of them. */
export function lastEvent(states: readonly (State | null)[]): HttpWord | null {
  const furthest = FURTHEST_FIRST.find((state) => states.includes(state));
  return furthest === undefined ? null : httpWord(furthest);
}
