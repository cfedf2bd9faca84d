// The limits of the page to unsubscribe, with their names; docs/guides/unsubscribe.md has them.

/** A mail client sends 26 octets, or a little more as multipart/form-data. */
export const UNSUBSCRIBE_BODY_BYTES_MAX = 4096;
/** Pages and unsubscribes a second, all clients together: each asks the database. Beyond it: 503, come again. */
export const UNSUBSCRIBE_PER_S = 200;
export const UNSUBSCRIBE_BURST = 1000;
