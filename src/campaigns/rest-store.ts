// Who of a campaign's list is still to be sent to, judged by the whole family (the campaign and its rests), and copied into the
// list of a new rest. A message stands where its row in the queue says, else where the last event that settled it does; who
// has no message waits in a campaign that may still make one.

import type { ClientBase } from "pg";
import type { CampaignId, ListId } from "../mail/ids.ts";
import { SETTLED_STATES, type State } from "../mail/state.ts";
import { countOf, rowsOf, statement, textArray } from "../postgres/statement.ts";
import type { RestStanding } from "./campaign-store.ts";

// Not the campaign's row: whoever pauses it would wait for us.
export const LOCK_FAMILY = statement<unknown>(
  "rest_lock_family",
  `SELECT pg_advisory_xact_lock(hashtext('postlane.campaign_rest'), $1)`,
);
/** One rest of a campaign at a time is made, until the end of the caller's transaction. */
export async function lockFamily(client: ClientBase, rootId: CampaignId): Promise<void> {
  await rowsOf(client, LOCK_FAMILY, [rootId]);
}

export interface RestSlice {
  readonly rootId: CampaignId;
  /** Of the campaign whose rest is sent, and of the new one. */
  readonly fromListId: ListId;
  readonly toListId: ListId;
  readonly importId: number;
  /** Recipients behind the first, up to the second. */
  readonly afterN: number;
  readonly uptoN: number;
  /** Whoever stood anywhere in the family in another state gets nothing. */
  readonly allowed: readonly RestStanding[];
  /** No event of the family is older. */
  readonly since: Date;
}

export interface StoodRow {
  /** In the latest campaign of the family that has them. */
  readonly standing: State | "not_accepted" | "forgotten";
  readonly is_copied: boolean;
  readonly n: number;
}

const SETTLED = SETTLED_STATES.map((state) => `'${state}'`).join(", ");

// A rest that has not started yet may still do so; one that was canceled before has accepted nobody.
// By indexes all the way, a few descents for each recipient and campaign of the family. An unknown message that its lane's
// policy will send again waits for that, so it is in the way under whatever name.
export const COPY = statement<StoodRow>(
  "rest_copy",
  `WITH family AS MATERIALIZED (
     SELECT id, list_id, status FROM postlane.campaign WHERE id = $1 OR rest_of = $1
   ), waves AS MATERIALIZED (
     SELECT w.campaign_id, w.scope, w.time_zone, w.after_n, w.upto_n, w.made + w.withdrawn < w.rows AS is_open, w.state
     FROM postlane.campaign_wave AS w JOIN family ON family.id = w.campaign_id
   ), judged AS MATERIALIZED (
     SELECT slice.*, coalesce(stood.latest, 'not_accepted') AS standing, coalesce(stood.is_allowed, true) AS is_copied
     FROM (
       SELECT n, address, data, time_zone, line FROM postlane.recipient WHERE list_id = $2 AND n > $5 AND n <= $6 OFFSET 0
     ) AS slice CROSS JOIN LATERAL (
       SELECT (array_agg(one.standing ORDER BY one.campaign_id DESC))[1] AS latest,
         bool_and(one.standing = ANY ($7::text[]) AND (one.standing <> 'unknown' OR NOT coalesce(one.is_moving, false)))
           AS is_allowed
       FROM (
         SELECT family.id AS campaign_id, q.is_moving,
           CASE WHEN m.id IS NOT NULL THEN coalesce(q.state, ended.kind, 'forgotten')
             WHEN wave.state IS NOT NULL THEN wave.state
             WHEN family.id <> $1 AND member.n IS NOT NULL
               THEN CASE family.status WHEN 'canceled' THEN 'not_accepted' ELSE 'queued' END
           END AS standing
         FROM family LEFT JOIN LATERAL (
           SELECT id FROM postlane.message WHERE campaign_id = family.id AND campaign_id <> 0
             AND lower(recipient) = lower(slice.address) OFFSET 0
         ) AS m ON true LEFT JOIN LATERAL (
           SELECT state, due_at < 'infinity' OR lease_id IS NOT NULL AS is_moving FROM postlane.queue
           WHERE message_id = m.id OFFSET 0
         ) AS q ON true LEFT JOIN LATERAL (
           SELECT kind FROM (
             SELECT at, attempt, kind FROM postlane.event
             WHERE message_id = CASE WHEN q.state IS NULL THEN m.id END AND at >= $8 OFFSET 0
           ) AS told WHERE kind IN (${SETTLED}) ORDER BY at DESC, attempt DESC LIMIT 1
         ) AS ended ON true LEFT JOIN LATERAL (
           SELECT slice.n, slice.time_zone WHERE m.id IS NULL AND family.id = $1
           UNION ALL
           SELECT n, time_zone FROM postlane.recipient
           WHERE list_id = CASE WHEN m.id IS NULL AND family.id <> $1 THEN family.list_id END
             AND lower(address) = lower(slice.address)
         ) AS member ON true LEFT JOIN LATERAL (
           SELECT CASE WHEN waves.is_open THEN waves.state ELSE 'canceled' END AS state FROM waves
           WHERE waves.campaign_id = family.id AND member.n > waves.after_n AND member.n <= waves.upto_n
             AND CASE waves.scope WHEN 'zone' THEN member.time_zone = waves.time_zone
               WHEN 'no_zone' THEN member.time_zone IS NULL ELSE true END
           ORDER BY waves.is_open DESC LIMIT 1
         ) AS wave ON true
       ) AS one WHERE one.standing IS NOT NULL
     ) AS stood
   ), copied AS (
     INSERT INTO postlane.recipient (list_id, address, data, time_zone, import_id, line)
     SELECT $3, address, data, time_zone, $4, line FROM judged WHERE is_copied ORDER BY n
   )
   SELECT standing, is_copied, count(*) AS n FROM judged GROUP BY standing, is_copied`,
);

/** Those who may be sent to become recipients of the new list. Answers how all of the slice stood, and who was copied. */
export async function copyRest(client: ClientBase, slice: RestSlice): Promise<readonly StoodRow[]> {
  const { rootId, fromListId, toListId, importId, afterN, uptoN, allowed, since } = slice;
  const values = [rootId, fromListId, toListId, importId, afterN, uptoN, textArray(allowed), since];
  return await rowsOf(client, COPY, values);
}

export const SLICE_END = statement<{ readonly upto_n: number | null }>(
  "rest_slice_end",
  `SELECT max(n) AS upto_n FROM (
     SELECT n FROM postlane.recipient WHERE list_id = $1 AND n > $2 AND n <= $3 ORDER BY n LIMIT $4
   ) AS slice`,
);
/** The last of the next so many recipients; undefined: there is none. */
export async function endOfSlice(
  client: ClientBase,
  listId: ListId,
  { afterN, lastN, rowsMax }: { readonly afterN: number; readonly lastN: number; readonly rowsMax: number },
): Promise<number | undefined> {
  const [row] = await rowsOf(client, SLICE_END, [listId, afterN, lastN, rowsMax]);
  return row?.upto_n ?? undefined;
}

export const NOTE_STOOD = statement<unknown>(
  "rest_note_stood",
  `UPDATE postlane.campaign SET rest_stood = $2 WHERE id = $1`,
);
export const NOTE_COVERED = statement<unknown>(
  "rest_note_covered",
  `UPDATE postlane.campaign SET rest_upto_n = greatest(rest_upto_n, $2) WHERE id = $1`,
);
/** Of a rest that was made: how its recipients stood, and up to where the campaign's list is dealt with. */
export async function noteRest(
  client: ClientBase,
  rest: { readonly id: CampaignId; readonly stood: Readonly<Partial<Record<RestStanding, number>>> },
  root: { readonly id: CampaignId; readonly uptoN: number },
): Promise<void> {
  await countOf(client, NOTE_STOOD, [rest.id, JSON.stringify(rest.stood)]);
  await countOf(client, NOTE_COVERED, [root.id, root.uptoN]);
}
