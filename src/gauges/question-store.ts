// The attempts that nobody can tell the end of, as far as an agent may see them.

import type { MessageId } from "../mail/ids.ts";
import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface OpenQuestion {
  readonly message_id: MessageId;
  readonly attempt: number;
  readonly client_port: number | null;
  /** How long ago, by the database's clock, the attempt's end was found to be unknown. */
  readonly ago_ms: number;
}

// Page by page in the order of the ids, so that thousands that wait for a person cost no more than a page each time.
export const OPEN_QUESTIONS = statement<OpenQuestion>(
  "question_open",
  `SELECT message_id, attempt, client_port,
     extract(epoch FROM clock_timestamp() - at)::float8 * 1000 AS ago_ms
   FROM postlane.open_question WHERE outlet = $1 AND message_id > $2 ORDER BY message_id LIMIT $3`,
);

export async function readOpenQuestions(
  on: Queryable,
  outlet: string,
  page: { readonly after: number; readonly limit: number },
): Promise<readonly OpenQuestion[]> {
  return await rowsOf(on, OPEN_QUESTIONS, [outlet, page.after, page.limit]);
}
