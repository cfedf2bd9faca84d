// What relays' logs and our relay's notices say of destinations (postlane.destination): the dispatchers read it, and let
// one probe through to a destination that fails. Written here alone, in the transaction that judges. A destination that
// nobody complained of and that has answered often enough is not written again and again.

import type { ClientBase } from "pg";
import { ANSWERS_TO_BE_FREE, PROBE_FIRST_MS, PROBE_MS_MAX } from "../mail/trial.ts";
import { countOf, numberArray, statement, textArray } from "../postgres/statement.ts";

/** What one batch says of one destination, put together. */
export interface DestinationNews {
  readonly name: string;
  /**
   * `told`: something became of a message for it that speaks neither for it nor against it. `suspended`: a relay did not
   * ask it again.
   */
  readonly kind: "answered" | "failing" | "suspended" | "told";
  /** Deliveries. */
  readonly successes: number;
  /** How old the news is. */
  readonly ageMs: number;
  readonly error?: string | undefined;
}

const PROBE_S_FIRST = PROBE_FIRST_MS / 1000;
const PROBE_S_MAX = PROBE_MS_MAX / 1000;
/** Doublings after which the longest pause is reached for certain. */
const DOUBLINGS_MAX = 10;
/** A destination that answers is not down because one of many connections to it failed. */
const ANSWERED_LATELY = "interval '2 seconds'";
/** A delivery is written down again only after this: a busy destination would be a row updated ten times a second. */
const ANSWERED_TOLD_AGAIN = "interval '1 second'";

/**
 * Of a destination that failed and has answered a probe since, by another relay: the one that saw it fail leaves it alone
 * for so long at most (`minimal_backoff_time`), and what it says meanwhile is no news.
 */
const SUSPENDED_MAX = "interval '10 minutes'";

/** What the news is, by the row that it would have become. */
const FAILING = "excluded.failures > 0";
const ANSWERED = "excluded.answered_at IS NOT NULL";

// A wave of failure is one failure, however many messages were under way: it lasts until the next probe. Failures from
// before the last answer are old news. A row that is only touched tells the dispatchers that the message that they wait to
// hear of has met its end; of a free destination nobody waits for that.
export const TELL = statement<unknown>(
  "destination_tell",
  `INSERT INTO postlane.destination AS kept (name, successes, answered_at, failures, failed_at, probe_at, error)
   SELECT name, least(successes, ${ANSWERS_TO_BE_FREE}), CASE WHEN kind = 'answered' THEN at END,
     CASE WHEN kind = 'failing' THEN 1 ELSE 0 END, CASE WHEN kind = 'failing' THEN at END,
     CASE WHEN kind = 'failing' THEN now() + interval '${PROBE_S_FIRST} seconds' END,
     CASE WHEN kind = 'told' THEN NULL ELSE error END
   FROM (
     SELECT name, successes, error, clock_timestamp() - age_ms * interval '1 millisecond' AS at,
       CASE WHEN kind <> 'suspended' THEN kind WHEN EXISTS (
         SELECT FROM postlane.destination AS known WHERE known.name = given.name AND known.failures = 0
           AND known.successes < ${ANSWERS_TO_BE_FREE} AND known.answered_at > clock_timestamp() - ${SUSPENDED_MAX}
       ) THEN 'told' ELSE 'failing' END AS kind
     FROM unnest($1::text[], $2::text[], $3::smallint[], $4::float8[], $5::text[])
       AS given (name, kind, successes, age_ms, error)
     ORDER BY name
   ) AS news
   ON CONFLICT (name) DO UPDATE SET
     successes = CASE WHEN ${FAILING} THEN 0 ELSE least(kept.successes + excluded.successes, ${ANSWERS_TO_BE_FREE}) END,
     answered_at = CASE WHEN ${ANSWERED} THEN greatest(coalesce(kept.answered_at, excluded.answered_at),
       excluded.answered_at) ELSE kept.answered_at END,
     failures = CASE WHEN ${FAILING} THEN kept.failures + 1 WHEN ${ANSWERED} THEN 0 ELSE kept.failures END,
     failed_at = CASE WHEN ${FAILING} THEN excluded.failed_at WHEN ${ANSWERED} THEN NULL ELSE kept.failed_at END,
     probe_at = CASE WHEN ${FAILING} THEN now() + least(${PROBE_S_MAX},
         ${PROBE_S_FIRST} * 2 ^ least(kept.failures, ${DOUBLINGS_MAX})) * interval '1 second'
       WHEN ${ANSWERED} THEN NULL ELSE kept.probe_at END,
     error = CASE WHEN ${FAILING} OR ${ANSWERED} THEN excluded.error ELSE kept.error END,
     tx = pg_current_xact_id()
   WHERE CASE
     WHEN ${FAILING} THEN (kept.probe_at IS NULL OR kept.probe_at <= now())
       AND (kept.answered_at IS NULL OR kept.answered_at + ${ANSWERED_LATELY} < excluded.failed_at)
     WHEN ${ANSWERED} THEN kept.failures > 0 OR kept.successes < ${ANSWERS_TO_BE_FREE} OR kept.answered_at IS NULL
       OR kept.answered_at + ${ANSWERED_TOLD_AGAIN} < excluded.answered_at
     ELSE kept.successes < ${ANSWERS_TO_BE_FREE} END`,
);

export async function tellDestinations(client: ClientBase, news: readonly DestinationNews[]): Promise<void> {
  if (news.length === 0) return;
  await countOf(client, TELL, [
    textArray(news.map(({ name }) => name)),
    textArray(news.map(({ kind }) => kind)),
    numberArray(news.map(({ successes }) => successes)),
    numberArray(news.map(({ ageMs }) => ageMs)),
    textArray(news.map(({ error }) => error)),
  ]);
}
