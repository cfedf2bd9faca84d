// The endpoints of the site: made, changed and listed by people; stopped by a rule. Each change is a row or two. Every
// append of events reads this table, so nothing here is written as deliveries end (delivery-store.ts does that, in a
// table of its own).

import type { ClientBase } from "pg";
import type { WebhookId } from "../mail/ids.ts";
import { countOf, rowsOf, statement, textArray, type Queryable } from "../postgres/statement.ts";
import type { WebhookKind } from "./webhook-events.ts";

/** Each of them is looked at a few times a second, and has connections of its own. */
export const WEBHOOKS_MAX = 100;
/** How long the secret before still signs after `rotate` (the scheme's advice for rotation without a gap). */
const OLD_SECRET_HOURS = 24;
/** How many rows `list` counts at most, for each endpoint. */
export const COUNTED_MAX = 10_000;

export interface NewWebhook {
  readonly url: string;
  readonly name?: string | undefined;
  readonly kinds: readonly WebhookKind[];
  /** Absent: every lane's. */
  readonly lanes?: readonly string[] | undefined;
  readonly secret: Uint8Array;
}

// Two at once that make the last one would be one too many; nobody is hurt by that.
export const CREATE = statement<{ readonly id: WebhookId }>(
  "webhook_create",
  `WITH made AS (
     INSERT INTO postlane.webhook (url, name, kinds, lane_ids, secret)
     SELECT $1, $2, $3::text[], CASE WHEN $4::text[] IS NOT NULL THEN
       ARRAY(SELECT id FROM postlane.lane WHERE lane.name = ANY ($4::text[])) END, $5
     WHERE (SELECT count(*) FROM postlane.webhook WHERE removed_at IS NULL) < $6
     RETURNING id
   ), standing AS (
     INSERT INTO postlane.webhook_standing (webhook_id) SELECT id FROM made
   )
   SELECT id FROM made`,
);

/** Undefined: there are `WEBHOOKS_MAX` already. Told from its commit on. */
export async function createWebhook(on: Queryable, hook: NewWebhook): Promise<WebhookId | undefined> {
  const { url, name = null, kinds, lanes, secret } = hook;
  const laneNames = lanes === undefined ? null : textArray(lanes);
  const [row] = await rowsOf(on, CREATE, [url, name, textArray(kinds), laneNames, Buffer.from(secret), WEBHOOKS_MAX]);
  return row?.id;
}

export interface WebhookRow {
  readonly id: WebhookId;
  readonly url: string;
  readonly name: string | null;
  readonly kinds: readonly string[];
  readonly lanes: readonly string[] | null;
  readonly created_at: Date;
  readonly paused_at: Date | null;
  readonly disabled_at: Date | null;
  readonly disabled_because: string | null;
  readonly failures: number;
  readonly failing_since: Date | null;
  readonly delivered_at: Date | null;
  readonly last_answer: string | null;
  /** At most `COUNTED_MAX`. */
  readonly waiting: number;
  readonly failed: number;
}

export const LIST = statement<WebhookRow>(
  "webhook_list",
  `SELECT hook.id, hook.url, hook.name, hook.kinds,
     CASE WHEN hook.lane_ids IS NOT NULL THEN
       ARRAY(SELECT lane.name FROM postlane.lane WHERE lane.id = ANY (hook.lane_ids) ORDER BY lane.id) END AS lanes,
     hook.created_at, hook.paused_at, hook.disabled_at, hook.disabled_because,
     standing.failures, standing.failing_since, standing.delivered_at, standing.last_answer,
     (SELECT count(*) FROM (
        SELECT FROM postlane.webhook_delivery WHERE webhook_id = hook.id AND failed_at IS NULL LIMIT $1
      ) AS counted)::integer AS waiting,
     (SELECT count(*) FROM (
        SELECT FROM postlane.webhook_delivery WHERE webhook_id = hook.id AND failed_at IS NOT NULL LIMIT $1
      ) AS counted)::integer AS failed
   FROM postlane.webhook AS hook JOIN postlane.webhook_standing AS standing ON standing.webhook_id = hook.id
   WHERE hook.removed_at IS NULL ORDER BY hook.id`,
);

export async function listWebhooks(on: Queryable): Promise<readonly WebhookRow[]> {
  return await rowsOf(on, LIST, [COUNTED_MAX]);
}

export const ROTATE = statement<unknown>(
  "webhook_rotate",
  `UPDATE postlane.webhook SET old_secret = secret,
     old_secret_until = clock_timestamp() + ${OLD_SECRET_HOURS} * interval '1 hour', secret = $2
   WHERE id = $1 AND removed_at IS NULL`,
);

/** False: there is no such webhook. */
export async function rotateSecret(on: Queryable, id: WebhookId, secret: Uint8Array): Promise<boolean> {
  return (await countOf(on, ROTATE, [id, Buffer.from(secret)])) > 0;
}

export const PAUSE = statement<unknown>(
  "webhook_pause",
  `UPDATE postlane.webhook SET paused_at = coalesce(paused_at, clock_timestamp()) WHERE id = $1 AND removed_at IS NULL`,
);

export async function pauseWebhook(on: Queryable, id: WebhookId): Promise<boolean> {
  return (await countOf(on, PAUSE, [id])) > 0;
}

// What failed before is forgotten, so that it is tried at once.
export const RESUME = statement<unknown>(
  "webhook_resume",
  `WITH cleared AS (
     UPDATE postlane.webhook_standing SET failures = 0, failing_since = NULL, probe_at = NULL WHERE webhook_id = $1
   )
   UPDATE postlane.webhook SET paused_at = NULL, disabled_at = NULL, disabled_because = NULL
   WHERE id = $1 AND removed_at IS NULL`,
);

/** Of one that a person has paused or a rule has disabled. */
export async function resumeWebhook(on: Queryable, id: WebhookId): Promise<boolean> {
  return (await countOf(on, RESUME, [id])) > 0;
}

export const REMOVE = statement<unknown>(
  "webhook_remove",
  `UPDATE postlane.webhook SET removed_at = clock_timestamp() WHERE id = $1 AND removed_at IS NULL`,
);

export async function removeWebhook(on: Queryable, id: WebhookId): Promise<boolean> {
  return (await countOf(on, REMOVE, [id])) > 0;
}

// A transaction that had read it before it was removed may still bring deliveries for it.
export const FORGET = statement<unknown>(
  "webhook_forget",
  `WITH gone AS (
     DELETE FROM postlane.webhook WHERE removed_at < clock_timestamp() - interval '1 day'
       AND NOT EXISTS (SELECT FROM postlane.webhook_delivery WHERE webhook_id = webhook.id)
     RETURNING id
   )
   DELETE FROM postlane.webhook_standing WHERE webhook_id IN (SELECT id FROM gone)`,
);

/** The rows of those removed long ago, once their deliveries are gone. */
export async function forgetRemoved(on: Queryable): Promise<void> {
  await rowsOf(on, FORGET);
}

export const DISABLE = statement<{ readonly id: WebhookId }>(
  "webhook_disable",
  `UPDATE postlane.webhook SET disabled_at = clock_timestamp(), disabled_because = $2
   WHERE id = ANY ($1::integer[]) AND disabled_at IS NULL RETURNING id`,
);

/** Answers those that were not yet. */
export async function disableWebhooks(
  client: ClientBase,
  ids: readonly WebhookId[],
  because: string,
): Promise<readonly WebhookId[]> {
  if (ids.length === 0) return [];
  return (await rowsOf(client, DISABLE, [ids, because])).map(({ id }) => id);
}

export const DISABLE_FAILING = statement<{ readonly id: WebhookId }>(
  "webhook_disable_failing",
  `UPDATE postlane.webhook AS hook SET disabled_at = clock_timestamp(),
     disabled_because = 'it took nothing for ' || $2 || ' days: ' || coalesce(standing.last_answer, 'no answer')
   FROM postlane.webhook_standing AS standing
   WHERE standing.webhook_id = hook.id AND hook.disabled_at IS NULL AND hook.paused_at IS NULL
     AND standing.failures >= $1 AND standing.failing_since < clock_timestamp() - $2::integer * interval '1 day'
   RETURNING hook.id`,
);

export async function disableFailing(on: Queryable, failuresMin: number, days: number): Promise<readonly WebhookId[]> {
  return (await rowsOf(on, DISABLE_FAILING, [failuresMin, days])).map(({ id }) => id);
}
