// Every limit of the HTTP door, with its name. Those that a site may want to change are in the
// configuration (`http`), the others here; docs/reference/http.md has them all.

/** A thousand emails take the database about 100 ms. */
export const BATCH_ITEMS_MAX = 1000;
export const LIST_LIMIT_MAX = 100;
export const LIST_LIMIT_DEFAULT = 20;

/** A key, an idempotency key and what proxies add fit several times. */
export const HEADER_BYTES_MAX = 16 * 1024;
/** Until the header is there: whoever needs longer for it is no friend. */
export const HEADER_MS_MAX = 5000;
/** Longer than the 15 s between two scrapes, so that one connection serves them. */
export const KEEP_ALIVE_MS = 30_000;
/** Connections that the kernel keeps until they are taken: in a rush each is answered, and none waits for a second try. */
export const LISTEN_BACKLOG = 2048;
/** How often connections are looked through for those whose time is over. */
export const CONNECTIONS_LOOK_MS = 1000;

/** The deepest that fields need is 4; the rest is for `metadata`. */
export const JSON_DEPTH_MAX = 20;
/** A value takes some 50 octets of memory where `[[],[]…` takes 3 in the body. An email has few, but for `metadata`. */
export const JSON_VALUES_MAX = 10_000;
export const BATCH_JSON_VALUES_MAX = 200_000;

/** Bodies that are being read or worked on, all together, in batches of the largest size. More is refused for now. */
export const OPEN_BATCH_BODIES_MAX = 4;

/** A million recipients with six columns are about 100 MB. On the disk while it is read, and never in memory. */
export const LIST_BYTES_MAX = 256 * 1024 * 1024;
/** Until the whole list is there: 100 MB from an office at 10 Mbit/s take 80 s. */
export const LIST_BODY_MS_MAX = 600_000;
/** What a list that is there may take to be imported; a million recipients take about 20 s. */
export const LIST_IMPORT_MS_MAX = 600_000;
/** Lists that are read or imported at once; each fills its file, and up to three sessions of the database. */
export const LIST_IMPORTS_OPEN_MAX = 2;
/** Rejected rows that an import's answer shows. */
export const REJECTED_ROWS_SHOWN_MAX = 20;

/** What making, starting or editing a campaign may take, and sending its rest; of a million recipients, about 20 s. */
export const CAMPAIGN_MS_MAX = 60_000;
/** Whole reports at once; each may look through all of a list. */
export const REPORTS_OPEN_MAX = 2;
/** People that are exported at once; each has a page of 5,000 in memory, however slow its reader is. */
export const EXPORTS_OPEN_MAX = 4;
/** A reader that takes nothing for so long is cut off. */
export const EXPORT_STALL_MS_MAX = 60_000;

/** What all waiting for the database in one request may take, so that the answer is there within 3 s whatever happens. */
export const DATABASE_MS_MAX = 2500;
