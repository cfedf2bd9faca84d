// How a destination that has not lately answered earns its freedom: one message at first, a few once it has answered, and
// as many as there are when it has answered often enough. The dispatcher keeps to it, and `explain` tells it.

/** Answers in a row after which a destination is free. */
export const ANSWERS_TO_BE_FREE = 3;
/** Messages that it may have on the way there. */
export const FEW_AT_A_TIME = 5;
/**
 * From a failure to the first probe, doubling up to the last: most that fail do so for seconds, and the others are left
 * alone for longer and longer (RFC 5321 §4.5.4.1). The same whether a reply tells it or a relay's log.
 */
export const PROBE_FIRST_MS = 5_000;
export const PROBE_MS_MAX = 900_000;
