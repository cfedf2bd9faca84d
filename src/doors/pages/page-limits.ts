// The limits of the pages that people open from a mail, with their names; docs/guides/unsubscribe.md and double-opt-in.md have
// them.

/** A mail client sends 26 octets, or a little more as multipart/form-data. */
export const PAGE_BODY_BYTES_MAX = 4096;
/** Shown and acted on in a second, of one kind of page, all clients together: each asks the database. Beyond it: 503, come again. */
export const PAGES_PER_S = 200;
export const PAGES_BURST = 1000;
