// A chunk of a list on its way into the queue: copied into a table of the session, judged there by the rules of entry,
// and turned into messages, all in the caller's transaction.

import { finished } from "node:stream/promises";
import type { ClientBase } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import type { CampaignId } from "../mail/ids.ts";
import { rowsOf, statement } from "../postgres/statement.ts";

interface ImportRow {
  readonly line: number;
  readonly recipient: string;
  /** JSON. */
  readonly data: string;
}

const MAKE_ROOM = `CREATE TEMPORARY TABLE IF NOT EXISTS import_row (line bigint, recipient text COLLATE "C", data json)
  ON COMMIT DELETE ROWS`;
const COPY_IN = "COPY pg_temp.import_row (line, recipient, data) FROM STDIN";

/** `lines`: of `copyLine`. */
export async function copyChunk(client: ClientBase, lines: Buffer): Promise<void> {
  await client.query(MAKE_ROOM);
  const stream = client.query(copyFrom(COPY_IN));
  stream.end(lines);
  await finished(stream);
}

export function copyLine({ line, recipient, data }: ImportRow): string {
  return `${line}\t${escapeForCopy(recipient)}\t${escapeForCopy(data)}\n`;
}

// COPY's text format: what could end a field or a row is written with a backslash.
function escapeForCopy(text: string): string {
  return /[\\\t\n\r]/.test(text) ? text.replace(/[\\\t\n\r]/g, (character) => COPY_ESCAPES[character]!) : text;
}

const COPY_ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };

export interface RefusedRow {
  readonly line: number;
  readonly recipient: string;
  readonly problem: string;
}

// The table is the session's own and is not there when statements are checked on an empty database: no constants here.
const REFUSED_TEXT = `SELECT line, recipient, problem FROM (
    SELECT line, recipient, postlane.address_problem(recipient) AS problem FROM pg_temp.import_row
  ) AS judged WHERE problem IS NOT NULL ORDER BY line`;

export async function refusedRows(client: ClientBase): Promise<readonly RefusedRow[]> {
  const { rows } = await client.query<RefusedRow>(REFUSED_TEXT);
  return rows;
}

export const ACCEPT = statement<{ readonly added: number }>(
  "import_accept",
  `SELECT postlane.accept_recipients($1) AS added`,
);

/** How many became messages; the rest were refused, or the campaign had them already. */
export async function acceptRecipients(client: ClientBase, campaignId: CampaignId): Promise<number> {
  const [row] = await rowsOf(client, ACCEPT, [campaignId]);
  return row!.added;
}
