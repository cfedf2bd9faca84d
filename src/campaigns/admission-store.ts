// One recipient into a list, without a file, while imports may be under way. What a campaign has of its list is told by the
// order of its recipients; so a campaign that starts waits for those that are coming in just now (`takeShortTurn`).

import type { ClientBase } from "pg";
import type { ListId } from "../mail/ids.ts";
import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";
import { addUp } from "./list-store.ts";

export const BEGIN = statement<unknown>(
  "admission_begin",
  `SELECT pg_advisory_xact_lock_shared(hashtext('postlane.list_admission'), $1)::text AS taken`,
);

// Counted as one import of the list.
export const FIND_IMPORT = statement<{ readonly id: number }>(
  "admission_find_import",
  `INSERT INTO postlane.list_import (list_id, source, finished_at) VALUES ($1, 'subscriptions', clock_timestamp())
   ON CONFLICT (list_id) WHERE source = 'subscriptions' DO UPDATE SET finished_at = excluded.finished_at
   RETURNING id`,
);

// Of who is on the list already, what was given is renewed, and the rest stays.
export const ADMIT = statement<{ readonly is_new: boolean }>(
  "admission_admit",
  `INSERT INTO postlane.recipient AS kept (list_id, address, data, time_zone, import_id, line)
   SELECT $1, $2, whole.data::text, whole.data ->> 'time_zone', $5, 0 FROM (SELECT $3::jsonb || $4::jsonb AS data) AS whole
   ON CONFLICT (list_id, lower(address)) DO UPDATE SET data = (kept.data::jsonb || $4::jsonb)::text,
     time_zone = CASE WHEN postlane.zones_stay($1) THEN kept.time_zone
       ELSE (kept.data::jsonb || $4::jsonb) ->> 'time_zone' END
   RETURNING xmax = 0 AS is_new`,
);

export interface Admitted {
  readonly listId: ListId;
  readonly address: string;
  /** JSON: a value for each column. */
  readonly empty: string;
  /** JSON: those that were given. */
  readonly given: string;
}

/** In the caller's transaction. */
export async function admitRecipient(client: ClientBase, { listId, address, empty, given }: Admitted): Promise<void> {
  await rowsOf(client, BEGIN, [listId]);
  const [importOf] = await rowsOf(client, FIND_IMPORT, [listId]);
  const [admitted] = await rowsOf(client, ADMIT, [listId, address, empty, given, importOf!.id]);
  if (admitted!.is_new) await addUp(client, importOf!.id, { added: 1, doubled: 0, rejected: 0 });
}

export const IS_ON = statement<{ readonly is_on: boolean }>(
  "admission_is_on",
  `SELECT EXISTS (SELECT FROM postlane.recipient WHERE list_id = $1 AND lower(address) = lower($2)) AS is_on`,
);
export async function isOnList(on: Queryable, listId: ListId, address: string): Promise<boolean> {
  return (await rowsOf(on, IS_ON, [listId, address]))[0]!.is_on;
}

export const NAMES = statement<{ readonly name: string }>(
  "admission_names",
  `SELECT DISTINCT named.name FROM postlane.list AS l CROSS JOIN LATERAL (
     SELECT n FROM postlane.recipient WHERE list_id = l.id AND lower(address) = lower($1) OFFSET 0
   ) AS here CROSS JOIN LATERAL (
     SELECT l.name UNION SELECT c.list FROM postlane.campaign AS c WHERE c.list_id = l.id
   ) AS named (name) WHERE named.name <> ''`,
);
/** What the address could unsubscribe from: the names of all lists that it is on. */
export async function listNamesOf(on: Queryable, address: string): Promise<readonly string[]> {
  return (await rowsOf(on, NAMES, [address])).map(({ name }) => name);
}
