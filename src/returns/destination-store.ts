// What relays' logs and our relay's notices say of destinations (postlane.destination): the dispatchers read it, and let
// one probe through to a destination that fails. Written here alone, in the transaction that judges. A destination that
// nobody complained of and that has answered often enough is not written again and again.

import type { ClientBase } from "pg";
import { countOf, numberArray, statement, textArray } from "../postgres/statement.ts";

/** What one batch says of one destination, put together. */
export interface DestinationNews {
  readonly name: string;
  /** Deliveries, after the last failure that counts. */
  readonly successes: number;
  /** The last word is that it fails. */
  readonly isFailing: boolean;
  /** How old the news is. */
  readonly ageMs: number;
  readonly error?: string | undefined;
}

/** More deliveries than this say nothing more. */
const SUCCESSES_MAX = 3;
/** The first probe, and the longest pause between two. */
const PROBE_S_FIRST = 15;
const PROBE_S_MAX = 900;
/** Doublings after which the longest pause is reached for certain. */
const DOUBLINGS_MAX = 10;
/** A destination that answers is not down because one of many connections to it failed. */
const ANSWERED_LATELY = "interval '2 seconds'";
/** A delivery is written down again only after this: a busy destination would be a row updated ten times a second. */
const ANSWERED_TOLD_AGAIN = "interval '1 second'";

// A wave of failure is one failure, however many messages were under way: it lasts until the next probe. Failures from
// before the last answer are old news.
export const TELL = statement<unknown>(
  "destination_tell",
  `INSERT INTO postlane.destination AS kept (name, successes, answered_at, failures, failed_at, probe_at, error)
   SELECT name, least(successes, ${SUCCESSES_MAX}), CASE WHEN NOT is_failing THEN at END,
     CASE WHEN is_failing THEN 1 ELSE 0 END, CASE WHEN is_failing THEN at END,
     CASE WHEN is_failing THEN now() + interval '${PROBE_S_FIRST} seconds' END, CASE WHEN is_failing THEN error END
   FROM (
     SELECT name, successes, is_failing, error, clock_timestamp() - age_ms * interval '1 millisecond' AS at
     FROM unnest($1::text[], $2::smallint[], $3::boolean[], $4::float8[], $5::text[])
       AS given (name, successes, is_failing, age_ms, error)
     ORDER BY name
   ) AS news
   ON CONFLICT (name) DO UPDATE SET
     successes = CASE WHEN excluded.failures > 0 THEN 0
       ELSE least(kept.successes + excluded.successes, ${SUCCESSES_MAX}) END,
     answered_at = coalesce(greatest(kept.answered_at, excluded.answered_at), excluded.answered_at),
     failures = CASE WHEN excluded.failures > 0 THEN kept.failures + 1 ELSE 0 END,
     failed_at = CASE WHEN excluded.failures > 0 THEN excluded.failed_at END,
     probe_at = CASE WHEN excluded.failures > 0 THEN now() + least(${PROBE_S_MAX},
       ${PROBE_S_FIRST} * 2 ^ least(kept.failures, ${DOUBLINGS_MAX})) * interval '1 second' END,
     error = excluded.error,
     tx = pg_current_xact_id()
   WHERE CASE WHEN excluded.failures > 0
     THEN (kept.probe_at IS NULL OR kept.probe_at <= now())
       AND (kept.answered_at IS NULL OR kept.answered_at + ${ANSWERED_LATELY} < excluded.failed_at)
     ELSE kept.failures > 0 OR kept.successes < ${SUCCESSES_MAX} OR kept.answered_at IS NULL
       OR kept.answered_at + ${ANSWERED_TOLD_AGAIN} < excluded.answered_at END`,
);

export async function tellDestinations(client: ClientBase, news: readonly DestinationNews[]): Promise<void> {
  if (news.length === 0) return;
  await countOf(client, TELL, [
    textArray(news.map(({ name }) => name)),
    numberArray(news.map(({ successes }) => successes)),
    news.map(({ isFailing }) => isFailing),
    numberArray(news.map(({ ageMs }) => ageMs)),
    textArray(news.map(({ error }) => error)),
  ]);
}
