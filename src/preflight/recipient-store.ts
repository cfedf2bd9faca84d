// Recipients of a list as preflight, previews and tests read them: one, the first few, and long stretches in chunks by their
// number, each chunk a descent of an index. Reads only.

import type { ListId } from "../mail/ids.ts";
import { rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";

export interface ListedRecipient {
  readonly n: number;
  readonly address: string;
  /** JSON. */
  readonly data: string;
  /** Of its file; 0: it came from none. */
  readonly line: number;
}

const COLUMNS = "r.n, r.address, r.data, r.line";

export const BY_ADDRESS = statement<ListedRecipient>(
  "preflight_recipients_by_address",
  `SELECT ${COLUMNS} FROM unnest($2::text[]) WITH ORDINALITY AS given (address, place)
   JOIN postlane.recipient AS r ON r.list_id = $1 AND lower(r.address) = lower(given.address COLLATE "C")
   ORDER BY given.place`,
);
/** In the order in which they are named; who is not on the list is not among them. */
export async function recipientsNamed(on: Queryable, listId: ListId, addresses: readonly string[]) {
  return await rowsOf(on, BY_ADDRESS, [listId, textArray(addresses)]);
}

// Lines have no index: a person asks for one now and then.
export const BY_LINE = statement<ListedRecipient>(
  "preflight_recipient_by_line",
  `SELECT ${COLUMNS} FROM postlane.recipient AS r WHERE r.list_id = $1 AND r.line = $2 ORDER BY r.n LIMIT 1`,
);
export async function recipientOfLine(
  on: Queryable,
  listId: ListId,
  line: number,
): Promise<ListedRecipient | undefined> {
  return (await rowsOf(on, BY_LINE, [listId, line]))[0];
}

export const FIRST = statement<ListedRecipient>(
  "preflight_first_recipients",
  `SELECT ${COLUMNS} FROM postlane.recipient AS r WHERE r.list_id = $1 ORDER BY r.list_id, r.n LIMIT $2`,
);
export async function firstRecipients(on: Queryable, listId: ListId, rowsMax: number) {
  return await rowsOf(on, FIRST, [listId, rowsMax]);
}
