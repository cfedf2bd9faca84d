// The outbox of webhooks: what is due, claims, ends, what was given up, replays. It is filled by the statement that
// appends events. A claim is a time on the row: a sender that dies gives its rows back by not ending them, and they are
// sent again. All is asked endpoint by endpoint, over an index that begins with it, so that a million rows that wait for
// a dead one are never touched.

import type { ClientBase } from "pg";
import type { CampaignId, MessageId, SubmissionId, WebhookId } from "../mail/ids.ts";
import { countOf, numberArray, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";

/** From so many failures in a row on, an endpoint counts as failing: one delivery at a time finds out whether it is back. */
export const FAILING_AFTER = 3;
/** Of a claim; well beyond the time that one delivery may take. */
const CLAIM_S = 60;

/** An endpoint that may be sent to now, and has something due. */
export interface DueEndpoint {
  readonly webhook_id: WebhookId;
  readonly url: string;
  readonly secret: Buffer;
  readonly old_secret: Buffer | null;
}

export const LOOK = statement<DueEndpoint>(
  "delivery_look",
  `SELECT hook.id AS webhook_id, hook.url, hook.secret,
     CASE WHEN hook.old_secret_until > clock_timestamp() THEN hook.old_secret END AS old_secret
   FROM postlane.webhook AS hook CROSS JOIN LATERAL (
     SELECT failures, probe_at FROM postlane.webhook_standing AS s WHERE s.webhook_id = hook.id OFFSET 0
   ) AS standing CROSS JOIN LATERAL (
     SELECT FROM postlane.webhook_delivery AS d
     WHERE d.webhook_id = hook.id AND d.failed_at IS NULL AND d.due_at <= now() ORDER BY d.due_at, d.id LIMIT 1
   ) AS first
   WHERE hook.paused_at IS NULL AND hook.disabled_at IS NULL AND hook.removed_at IS NULL
     AND (standing.failures < ${FAILING_AFTER} OR standing.probe_at <= clock_timestamp())`,
);

export async function dueEndpoints(on: Queryable): Promise<readonly DueEndpoint[]> {
  return await rowsOf(on, LOOK);
}

export interface DeliveryRow {
  readonly id: number;
  readonly webhook_id: WebhookId;
  readonly message_id: MessageId;
  readonly attempt: number;
  readonly kind: string;
  /** Of the event: microseconds since the epoch. */
  readonly at_us: number;
  readonly tries: number;
  /** Null: the message is no longer kept. */
  readonly recipient: string | null;
  readonly submission_id: SubmissionId | null;
  readonly campaign_id: CampaignId | null;
  readonly lane: string | null;
  readonly accepted_at: Date | null;
  readonly sender: string | null;
  readonly subject: string | null;
  readonly tags: readonly { readonly name: string; readonly value: string }[] | null;
  /** The first octets of a whole mail. */
  readonly head: Buffer | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly outlet: string | null;
  readonly host: string | null;
  readonly reply: string | null;
}

/** Of a whole mail, read for its subject. */
const HEAD_OCTETS_MAX = 16_384;
/** Longer metadata is left out of what is sent. */
const METADATA_CHARS_MAX = 8192;

// One front claims from an endpoint at a time: its row in webhook_standing is taken, or the endpoint skipped. In the
// order of the events, as far as they are due. The event is found by its message and its own time.
export const CLAIM = statement<DeliveryRow>(
  "delivery_claim",
  `WITH endpoint AS MATERIALIZED (
     SELECT s.webhook_id, s.failures >= ${FAILING_AFTER} AS is_failing, want.rows_max
     FROM unnest($1::integer[], $2::integer[]) AS want (webhook_id, rows_max)
     JOIN postlane.webhook_standing AS s ON s.webhook_id = want.webhook_id
     WHERE s.failures < ${FAILING_AFTER} OR s.probe_at <= clock_timestamp()
     FOR UPDATE OF s SKIP LOCKED
   ), picked AS MATERIALIZED (
     SELECT row.tid FROM endpoint CROSS JOIN LATERAL (
       SELECT d.ctid AS tid FROM postlane.webhook_delivery AS d
       WHERE d.webhook_id = endpoint.webhook_id AND d.failed_at IS NULL AND d.due_at <= now()
         AND (d.claimed_until IS NULL OR d.claimed_until < clock_timestamp())
       ORDER BY d.due_at, d.id LIMIT CASE WHEN endpoint.is_failing THEN 1 ELSE endpoint.rows_max END
       FOR UPDATE SKIP LOCKED
     ) AS row
   ), claimed AS (
     UPDATE postlane.webhook_delivery SET claimed_until = clock_timestamp() + ${CLAIM_S} * interval '1 second'
     WHERE ctid = ANY (ARRAY(SELECT tid FROM picked))
     RETURNING id, webhook_id, message_id, attempt, kind, at, due_at, tries
   ), probing AS (
     UPDATE postlane.webhook_standing SET probe_at = clock_timestamp() + ${CLAIM_S} * interval '1 second'
     WHERE webhook_id = ANY (ARRAY(SELECT webhook_id FROM endpoint WHERE is_failing))
       AND webhook_id = ANY (ARRAY(SELECT webhook_id FROM claimed))
   )
   SELECT c.id, c.webhook_id, c.message_id, c.attempt, c.kind,
     (extract(epoch FROM c.at) * 1000000)::bigint AS at_us, c.tries,
     m.recipient, m.submission_id, m.campaign_id, m.lane, m.accepted_at, said.sender, said.subject, said.tags, said.head,
     submission.metadata, event.outlet, event.host, event.reply
   FROM claimed AS c LEFT JOIN LATERAL (
     SELECT recipient, submission_id, campaign_id, content_id, accepted_at,
       (SELECT lane.name FROM postlane.lane WHERE lane.id = message.lane_id) AS lane
     FROM postlane.message WHERE id = c.message_id OFFSET 0
   ) AS m ON true LEFT JOIN LATERAL (
     SELECT body ->> CASE WHEN raw IS NULL THEN 'from' ELSE 'sender' END AS sender,
       CASE WHEN m.campaign_id = 0 AND raw IS NULL THEN body ->> 'subject' END AS subject, body -> 'tags' AS tags,
       substring(raw FROM 1 FOR ${HEAD_OCTETS_MAX}) AS head
     FROM postlane.content WHERE id = m.content_id OFFSET 0
   ) AS said ON true LEFT JOIN LATERAL (
     SELECT CASE WHEN length(s.metadata::text) <= ${METADATA_CHARS_MAX} THEN s.metadata END AS metadata
     FROM postlane.submission AS s WHERE s.id = m.submission_id OFFSET 0
   ) AS submission ON true LEFT JOIN LATERAL (
     SELECT e.outlet, e.host, e.reply FROM postlane.event AS e
     WHERE e.message_id = c.message_id AND e.at = c.at AND e.kind = c.kind AND e.attempt = c.attempt LIMIT 1
   ) AS event ON true
   ORDER BY c.due_at, c.id`,
);

/** Up to so many of each endpoint; of a failing one a single one, once its time has come. */
export async function claimDeliveries(
  on: Queryable,
  wants: readonly { readonly webhookId: WebhookId; readonly rowsMax: number }[],
): Promise<readonly DeliveryRow[]> {
  return await rowsOf(on, CLAIM, [
    numberArray(wants.map(({ webhookId }) => webhookId)),
    numberArray(wants.map(({ rowsMax }) => rowsMax)),
  ]);
}

// ---- the end of a delivery -------------------------------------------------------------------------------------------

export const TAKEN = statement<unknown>(
  "delivery_taken",
  `DELETE FROM postlane.webhook_delivery WHERE id = ANY ($1::bigint[])`,
);

export async function deleteTaken(client: ClientBase, ids: readonly number[]): Promise<void> {
  if (ids.length > 0) await countOf(client, TAKEN, [numberArray(ids)]);
}

export interface FailedDelivery {
  readonly id: number;
  readonly answer: string;
  /** Null: it is given up. */
  readonly delayMs: number | null;
  /** 0 when nothing was tried: the claim is given back. */
  readonly tries: 0 | 1;
}

export const FAILED = statement<unknown>(
  "delivery_failed",
  `UPDATE postlane.webhook_delivery AS d SET claimed_until = NULL, tries = d.tries + given.tries,
     last_answer = CASE WHEN given.tries > 0 THEN given.answer ELSE d.last_answer END,
     due_at = CASE WHEN given.tries = 0 OR given.delay_ms IS NULL THEN d.due_at
       ELSE clock_timestamp() + given.delay_ms * interval '1 millisecond' END,
     failed_at = CASE WHEN given.tries > 0 AND given.delay_ms IS NULL THEN clock_timestamp() END
   FROM unnest($1::bigint[], $2::text[], $3::float8[], $4::smallint[]) AS given (id, answer, delay_ms, tries)
   WHERE d.id = ANY ($1::bigint[]) AND d.id = given.id`,
);

export async function putOffFailed(client: ClientBase, failed: readonly FailedDelivery[]): Promise<void> {
  if (failed.length === 0) return;
  await countOf(client, FAILED, [
    numberArray(failed.map(({ id }) => id)),
    textArray(failed.map(({ answer }) => answer)),
    numberArray(failed.map(({ delayMs }) => delayMs)),
    numberArray(failed.map(({ tries }) => tries)),
  ]);
}

export interface EndpointNews {
  readonly webhookId: WebhookId;
  /** It took at least one. */
  readonly hasTaken: boolean;
  /** Failures since, or in all when it took none. */
  readonly failures: number;
  readonly answer: string;
}

/** The first look whether a failing endpoint is back comes after this, each next one after twice the pause, up to the last. */
const PROBE_FIRST_S = 5;
const PROBE_LAST_S = 300;
/** Of those that were put off while their endpoint failed, so many are due again at once when it is back. */
const BROUGHT_FORWARD_MAX = 1000;

// An endpoint that is back: what was put off while it failed is due at its event's own time, and so comes first.
export const STANDING = statement<unknown>(
  "delivery_standing",
  `WITH given AS MATERIALIZED (
     SELECT * FROM unnest($1::integer[], $2::boolean[], $3::integer[], $4::text[])
       AS given (webhook_id, has_taken, failures, answer)
   ), before AS MATERIALIZED (
     SELECT webhook_id, failures FROM postlane.webhook_standing
     WHERE webhook_id = ANY ($1::integer[]) ORDER BY webhook_id FOR UPDATE
   ), now AS MATERIALIZED (
     SELECT webhook_id, has_taken, answer, given.failures AS added,
       CASE WHEN has_taken THEN given.failures ELSE before.failures + given.failures END AS failures,
       has_taken AND before.failures >= ${FAILING_AFTER} AS is_back
     FROM before JOIN given USING (webhook_id)
   ), written AS (
     UPDATE postlane.webhook_standing AS s SET failures = now.failures, last_answer = now.answer,
       failing_since = CASE WHEN now.failures = 0 THEN NULL WHEN now.has_taken THEN clock_timestamp()
         ELSE coalesce(s.failing_since, clock_timestamp()) END,
       delivered_at = CASE WHEN now.has_taken THEN clock_timestamp() ELSE s.delivered_at END,
       failed_at = CASE WHEN now.added > 0 THEN clock_timestamp() ELSE s.failed_at END,
       probe_at = CASE WHEN now.failures >= ${FAILING_AFTER} THEN clock_timestamp() + interval '1 second'
         * least(${PROBE_LAST_S}, ${PROBE_FIRST_S} * 2 ^ least(now.failures - ${FAILING_AFTER}, 10)) END
     FROM now WHERE s.webhook_id = ANY ($1::integer[]) AND s.webhook_id = now.webhook_id
   )
   UPDATE postlane.webhook_delivery SET due_at = at WHERE ctid = ANY (ARRAY(
     SELECT put_off.tid FROM now CROSS JOIN LATERAL (
       SELECT d.ctid AS tid FROM postlane.webhook_delivery AS d
       WHERE d.webhook_id = now.webhook_id AND d.failed_at IS NULL AND d.due_at > now() AND d.tries > 0
       ORDER BY d.due_at, d.id LIMIT ${BROUGHT_FORWARD_MAX} FOR UPDATE SKIP LOCKED
     ) AS put_off WHERE now.is_back
   ))`,
);

export async function noteStandings(client: ClientBase, news: readonly EndpointNews[]): Promise<void> {
  if (news.length === 0) return;
  await countOf(client, STANDING, [
    numberArray(news.map(({ webhookId }) => webhookId)),
    `{${news.map(({ hasTaken }) => hasTaken).join(",")}}`,
    numberArray(news.map(({ failures }) => failures)),
    textArray(news.map(({ answer }) => answer)),
  ]);
}

// ---- what becomes old ------------------------------------------------------------------------------------------------

// What was never tried has its event's time as due time; what is being tried ends by its tries.
export const GIVE_UP = statement<unknown>(
  "delivery_give_up",
  `UPDATE postlane.webhook_delivery SET failed_at = clock_timestamp(), claimed_until = NULL,
     last_answer = coalesce(last_answer, 'never tried: the endpoint took nothing, or was paused, for too long')
   WHERE ctid = ANY (ARRAY(
     SELECT old.tid FROM postlane.webhook AS hook CROSS JOIN LATERAL (
       SELECT d.ctid AS tid FROM postlane.webhook_delivery AS d
       WHERE d.webhook_id = hook.id AND d.failed_at IS NULL
         AND d.due_at < clock_timestamp() - $1 * interval '1 millisecond'
       ORDER BY d.due_at, d.id LIMIT $2 FOR UPDATE SKIP LOCKED
     ) AS old LIMIT $2
   ))`,
);

/** Answers how many of at most `rowsMax`. */
export async function giveUpOlderThan(on: Queryable, ageMs: number, rowsMax: number): Promise<number> {
  return await countOf(on, GIVE_UP, [ageMs, rowsMax]);
}

export const PRUNE = statement<unknown>(
  "delivery_prune",
  `DELETE FROM postlane.webhook_delivery WHERE ctid = ANY (ARRAY(
     SELECT old.tid FROM postlane.webhook AS hook CROSS JOIN LATERAL (
       (SELECT d.ctid AS tid FROM postlane.webhook_delivery AS d
        WHERE d.webhook_id = hook.id AND d.failed_at IS NOT NULL
          AND (hook.removed_at IS NOT NULL OR d.failed_at < clock_timestamp() - $1 * interval '1 millisecond')
        ORDER BY d.failed_at, d.id LIMIT $2)
       UNION ALL
       (SELECT d.ctid FROM postlane.webhook_delivery AS d
        WHERE d.webhook_id = hook.id AND d.failed_at IS NULL AND hook.removed_at IS NOT NULL
        ORDER BY d.due_at, d.id LIMIT $2)
     ) AS old LIMIT $2
   ))`,
);

/** What was given up long ago, and whatever removed webhooks have left. Answers how many of at most `rowsMax`. */
export async function pruneDeliveries(on: Queryable, failedKeptMs: number, rowsMax: number): Promise<number> {
  return await countOf(on, PRUNE, [failedKeptMs, rowsMax]);
}

// ---- what people ask -------------------------------------------------------------------------------------------------

export interface FailedRow {
  readonly webhook_id: WebhookId;
  readonly message_id: MessageId;
  readonly attempt: number;
  readonly kind: string;
  readonly at_us: number;
  readonly at: Date;
  readonly tries: number;
  readonly last_answer: string | null;
  /** Null: it is tried again at `due_at`. */
  readonly failed_at: Date | null;
  readonly due_at: Date;
}

export const LIST_FAILED = statement<FailedRow>(
  "delivery_list_failed",
  `SELECT d.webhook_id, d.message_id, d.attempt, d.kind, (extract(epoch FROM d.at) * 1000000)::bigint AS at_us, d.at,
     d.tries, d.last_answer, d.failed_at, d.due_at
   FROM postlane.webhook AS hook CROSS JOIN LATERAL (
     (SELECT * FROM postlane.webhook_delivery
      WHERE webhook_id = hook.id AND failed_at IS NOT NULL ORDER BY failed_at DESC LIMIT $2)
     UNION ALL
     (SELECT * FROM postlane.webhook_delivery
      WHERE webhook_id = hook.id AND failed_at IS NULL AND due_at > now() AND tries > 0 ORDER BY due_at LIMIT $2)
   ) AS d
   WHERE hook.removed_at IS NULL AND hook.id = coalesce($1, hook.id)
   ORDER BY coalesce(d.failed_at, d.at) DESC LIMIT $2`,
);

/** Given up, or put off after a try that failed; the latest first. */
export async function listFailed(
  on: Queryable,
  webhookId: WebhookId | undefined,
  rowsMax: number,
): Promise<readonly FailedRow[]> {
  return await rowsOf(on, LIST_FAILED, [webhookId ?? null, rowsMax]);
}

// They are due now, all at one moment, and so go in the order of their ids: that of the events.
export const REVIVE = statement<unknown>(
  "delivery_revive",
  `UPDATE postlane.webhook_delivery SET failed_at = NULL, tries = 0, due_at = now() WHERE ctid = ANY (ARRAY(
     SELECT ctid FROM postlane.webhook_delivery
     WHERE webhook_id = $1 AND failed_at <= $2 ORDER BY failed_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
   ))`,
);

/** What was given up before this moment waits again, with all its tries. Answers how many of at most `rowsMax`. */
export async function reviveFailed(on: Queryable, id: WebhookId, before: Date, rowsMax: number): Promise<number> {
  return await countOf(on, REVIVE, [id, before, rowsMax]);
}

// What waits for this endpoint, or was given up, is not put in a second time.
export const REPLAY = statement<unknown>(
  "delivery_replay",
  `INSERT INTO postlane.webhook_delivery (webhook_id, message_id, attempt, kind, at, due_at)
   SELECT hook.id, e.message_id, e.attempt, e.kind, e.at, now()
   FROM postlane.webhook AS hook JOIN postlane.event AS e ON e.kind = ANY (hook.kinds)
   WHERE hook.id = $1 AND e.at >= $2 AND e.at < $3
     AND (hook.lane_ids IS NULL
       OR (SELECT m.lane_id FROM postlane.message AS m WHERE m.id = e.message_id) = ANY (hook.lane_ids))
     AND NOT EXISTS (
       SELECT FROM postlane.webhook_delivery AS d
       WHERE d.webhook_id = $1 AND d.message_id = e.message_id AND d.at = e.at AND d.kind = e.kind
         AND d.attempt = e.attempt
     )
   ORDER BY e.at`,
);

/** The events of this time that the endpoint wants are sent to it again. Answers how many. */
export async function replayEvents(on: Queryable, id: WebhookId, from: Date, until: Date): Promise<number> {
  return await countOf(on, REPLAY, [id, from, until]);
}
