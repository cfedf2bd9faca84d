// Messages that a rule has held, page by page: counted for `outlet|destination resume`, released by `message release`.

import type { Pool } from "pg";
import type { MessageId } from "../../mail/ids.ts";
import { listHeld, type HeldQuestion } from "../../reports/held-list-store.ts";

/** Of one transaction. */
const PAGE_ROWS = 1000;

/** Each page is dealt with before the next one is read. */
export async function eachHeldByRule(
  pool: Pool,
  question: HeldQuestion,
  act: (ids: readonly MessageId[]) => Promise<void>,
): Promise<void> {
  let after = 0;
  for (;;) {
    const rows = await listHeld(pool, question, { after, rowsMax: PAGE_ROWS });
    const ids = rows.filter((row) => row.is_by_rule).map((row) => row.message_id);
    if (ids.length > 0) await act(ids);
    if (rows.length < PAGE_ROWS) return;
    after = rows.at(-1)!.message_id;
  }
}

/** Some 10 ms for a page: enough to know what there is to release, and never a long wait. */
const COUNT_PAGES_MAX = 20;

export async function countHeldByRule(
  pool: Pool,
  question: HeldQuestion,
): Promise<{ readonly held: number; readonly isMore: boolean }> {
  let [after, held] = [0, 0];
  for (let page = 0; page < COUNT_PAGES_MAX; page++) {
    const rows = await listHeld(pool, question, { after, rowsMax: PAGE_ROWS });
    held += rows.filter((row) => row.is_by_rule).length;
    if (rows.length < PAGE_ROWS) return { held, isMore: false };
    after = rows.at(-1)!.message_id;
  }
  return { held, isMore: true };
}
