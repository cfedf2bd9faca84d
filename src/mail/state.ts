// The states of a message and the transitions between them (docs/reference/states.md draws this table, and a test
// keeps both in step). The queue's store refuses any transition that is not listed here.

export const WAITING_STATES = ["scheduled", "queued", "deferred", "held", "unknown"] as const;
export const SETTLED_STATES = ["sent", "delivered", "bounced", "expired", "canceled", "suppressed"] as const;
export const STATES = [...WAITING_STATES, ...SETTLED_STATES] as const;

export type WaitingState = (typeof WAITING_STATES)[number];
export type SettledState = (typeof SETTLED_STATES)[number];
export type State = (typeof STATES)[number];

/** From a waiting state, what an outcome, a person or time may make of a message. */
export const TRANSITIONS: Readonly<Record<State, readonly State[]>> = {
  scheduled: ["queued", "deferred", "held", "unknown", "sent", "bounced", "expired", "canceled", "suppressed"],
  queued: ["deferred", "held", "unknown", "sent", "bounced", "expired", "canceled", "suppressed"],
  deferred: ["queued", "deferred", "held", "unknown", "sent", "bounced", "expired", "canceled", "suppressed"],
  held: ["queued", "scheduled", "deferred", "expired", "canceled"],
  unknown: ["deferred", "unknown", "sent", "delivered", "bounced", "held", "expired", "canceled", "suppressed"],
  sent: ["delivered", "bounced", "deferred", "unknown", "expired", "held"],
  delivered: ["bounced"],
  bounced: [],
  expired: [],
  canceled: [],
  suppressed: [],
};

export function isSettled(state: State): state is SettledState {
  return (SETTLED_STATES as readonly string[]).includes(state);
}

export function mayBecome(from: State, to: State): boolean {
  return TRANSITIONS[from].includes(to);
}
