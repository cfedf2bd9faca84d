// The octets of attachments, as the rules of entry have stored them: by content, in the order in which its body names them.

import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export const READ = statement<{ readonly octets: Buffer }>(
  "attachment_read",
  `SELECT octets FROM postlane.attachment WHERE content_id = $1 ORDER BY place`,
);

export async function readAttachments(on: Queryable, contentId: number): Promise<readonly Buffer[]> {
  return (await rowsOf(on, READ, [contentId])).map(({ octets }) => octets);
}
