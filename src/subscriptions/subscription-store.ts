// Subscriptions: pending until the owner of the address confirms, then kept as the proof of it. Of one address there is one
// pending on each list, however often it is asked for.

import type { ClientBase } from "pg";
import type { ListId, SubscriptionId } from "../mail/ids.ts";
import { countOf, rowsOf, statement, type Queryable } from "../postgres/statement.ts";
import type { ListColumn } from "../campaigns/list-columns.ts";

/** From the latest confirmation mail on. */
export const SUBSCRIPTION_DAYS_MAX = 7;
/** Between two confirmation mails to one address about one list. */
export const CONFIRMATIONS_APART_MINUTES_MIN = 10;
/** Confirmation mails to one address about one list within 24 hours. */
export const CONFIRMATIONS_PER_DAY_MAX = 3;

export interface SubscriptionGiven {
  readonly listId: ListId;
  readonly address: string;
  /** JSON. */
  readonly data: string;
  readonly language: string | undefined;
  readonly credential: string;
  readonly sender: string | undefined;
  readonly template: string;
  readonly templateVersion: number;
}

const END = `clock_timestamp() + interval '${SUBSCRIPTION_DAYS_MAX} days'`;

// Its row is locked from here on: two who ask at the same time take turns. What was said first stays until another mail goes;
// what had ended and was not deleted yet begins anew.
export const KEEP = statement<{ readonly id: SubscriptionId }>(
  "subscription_keep",
  `INSERT INTO postlane.subscription AS kept
     (list_id, address, data, language, credential, sender, template, template_version, state, expires_at)
   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', ${END})
   ON CONFLICT (list_id, lower(address)) WHERE state = 'pending' DO UPDATE SET credential = excluded.credential,
     expires_at = CASE WHEN kept.expires_at <= clock_timestamp() THEN excluded.expires_at ELSE kept.expires_at END
   RETURNING id`,
);
export async function keepPending(client: ClientBase, given: SubscriptionGiven): Promise<SubscriptionId> {
  return (await rowsOf(client, KEEP, valuesOf(given)))[0]!.id;
}

function valuesOf(given: SubscriptionGiven): readonly unknown[] {
  const { listId, address, data, language, credential, sender, template, templateVersion } = given;
  return [listId, address, data, language ?? null, credential, sender ?? null, template, templateVersion];
}

// Mails about what was confirmed since count, too.
export const MAY_MAIL = statement<{ readonly may: boolean }>(
  "subscription_may_mail",
  `SELECT count(*) < ${CONFIRMATIONS_PER_DAY_MAX} AND count(*) FILTER (
       WHERE mail.at > clock_timestamp() - interval '${CONFIRMATIONS_APART_MINUTES_MIN} minutes') = 0 AS may
   FROM postlane.subscription AS s CROSS JOIN LATERAL unnest(s.mailed_at) AS mail (at)
   WHERE s.list_id = $1 AND lower(s.address) = lower($2) AND mail.at > clock_timestamp() - interval '1 day'`,
);
export async function mayMail(client: ClientBase, listId: ListId, address: string): Promise<boolean> {
  return (await rowsOf(client, MAY_MAIL, [listId, address]))[0]!.may;
}

export const MARK_MAILED = statement<unknown>(
  "subscription_mark_mailed",
  `UPDATE postlane.subscription SET address = $2, data = $3, language = $4, credential = $5, sender = $6, template = $7,
     template_version = $8, expires_at = ${END}, mailed_at = array_append(mailed_at, clock_timestamp())
   WHERE list_id = $1 AND lower(address) = lower($2) AND state = 'pending'`,
);
/** Another mail goes: what it is about is what was said now. */
export async function markMailed(client: ClientBase, given: SubscriptionGiven): Promise<void> {
  await countOf(client, MARK_MAILED, valuesOf(given));
}

export interface SubscriptionRow {
  readonly id: SubscriptionId;
  readonly list_id: ListId;
  readonly list: string;
  readonly columns: readonly ListColumn[];
  readonly address: string;
  readonly data: string;
  readonly credential: string;
  readonly sender: string | null;
  readonly template: string;
  readonly template_version: number;
  readonly state: "pending" | "confirmed" | "expired";
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly confirmed_at: Date | null;
  /** What was asked for, or what the data say. */
  readonly locale: string | null;
}

export const READ = statement<SubscriptionRow>(
  "subscription_read",
  `SELECT s.id, s.list_id, l.name AS list, l.columns, s.address, s.data, s.credential, s.sender, s.template,
     s.template_version, s.created_at, s.expires_at, s.confirmed_at,
     CASE WHEN s.state = 'pending' AND s.expires_at <= clock_timestamp() THEN 'expired' ELSE s.state END AS state,
     coalesce(s.language, s.data::json ->> 'locale', s.data::json ->> 'language') AS locale
   FROM postlane.subscription AS s JOIN postlane.list AS l ON l.id = s.list_id WHERE s.id = $1`,
);
/** Undefined: it has ended and was deleted, or never was. */
export async function readSubscription(on: Queryable, id: SubscriptionId): Promise<SubscriptionRow | undefined> {
  return (await rowsOf(on, READ, [id]))[0];
}

export const LOCK = statement<unknown>(
  "subscription_lock",
  `SELECT FROM postlane.subscription WHERE id = $1 FOR UPDATE`,
);

/** As it stands, locked for the caller's transaction. */
export async function lockSubscription(client: ClientBase, id: SubscriptionId): Promise<SubscriptionRow | undefined> {
  // Two statements: what another transaction has changed meanwhile is seen by the second.
  await countOf(client, LOCK, [id]);
  return await readSubscription(client, id);
}

export const CONFIRM = statement<unknown>(
  "subscription_confirm",
  `UPDATE postlane.subscription SET state = 'confirmed', confirmed_at = clock_timestamp() WHERE id = $1`,
);
export async function markConfirmed(client: ClientBase, id: SubscriptionId): Promise<void> {
  await countOf(client, CONFIRM, [id]);
}

export const PRUNE = statement<unknown>(
  "subscription_prune",
  `DELETE FROM postlane.subscription WHERE id IN (
     SELECT id FROM postlane.subscription WHERE state = 'pending' AND expires_at <= clock_timestamp()
     ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
   )`,
);
/** What nobody has confirmed in time. Answers how many went. */
export async function pruneSubscriptions(on: Queryable, rowsMax: number): Promise<number> {
  return await countOf(on, PRUNE, [rowsMax]);
}
