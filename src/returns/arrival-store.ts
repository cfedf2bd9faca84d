// What comes back, kept as it came: whoever brings it (an agent, the returns door) inserts, and judging comes later. An
// agent on another machine may insert and nothing else, so nothing is read back here.

import type { ClientBase } from "pg";
import { countOf, statement } from "../postgres/statement.ts";

export interface LogArrival {
  readonly source: "log" | "evidence";
  readonly body: unknown;
}

export const KEEP_PARTS = statement<unknown>(
  "arrival_keep_parts",
  `INSERT INTO postlane.return (outlet, source, body)
   SELECT $1, entry ->> 'source', entry -> 'body' FROM jsonb_array_elements($2::jsonb) AS entry`,
);

/** Parts of log lines, and evidence. In the order in which they are given, so that they are judged in it. */
export async function keepParts(client: ClientBase, outlet: string, arrivals: readonly LogArrival[]): Promise<void> {
  if (arrivals.length === 0) return;
  await countOf(client, KEEP_PARTS, [outlet, JSON.stringify(arrivals)]);
}

export interface NoticeArrival {
  /** The name of its file: one that could not be deleted is not taken twice. */
  readonly key: string;
  readonly body: unknown;
  readonly raw: Buffer;
}

// Without naming the index: to name it would take the right to read.
export const KEEP_NOTICES = statement<unknown>(
  "arrival_keep_notices",
  `INSERT INTO postlane.return (outlet, source, source_key, body, raw)
   SELECT $1, 'maildir', key, body::jsonb, raw FROM unnest($2::text[], $3::text[], $4::bytea[]) AS given (key, body, raw)
   ON CONFLICT DO NOTHING`,
);

/** Mail out of a Maildir. How many were new. */
export async function keepNotices(
  client: ClientBase,
  outlet: string,
  arrivals: readonly NoticeArrival[],
): Promise<number> {
  return await countOf(client, KEEP_NOTICES, [
    outlet,
    arrivals.map(({ key }) => key),
    arrivals.map(({ body }) => JSON.stringify(body)),
    arrivals.map(({ raw }) => raw),
  ]);
}
