// How the canaries of running campaigns stand. While one is sending or watched, all messages that its campaign has are its own.

import type { CampaignId } from "../mail/ids.ts";
import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export const UNDER_WATCH = statement<{ readonly id: CampaignId }>(
  "canary_under_watch",
  `SELECT id FROM postlane.campaign WHERE status = 'running' AND canary_state IN ('sending', 'watching') ORDER BY id`,
);
export async function campaignsWithCanary(on: Queryable): Promise<readonly CampaignId[]> {
  return (await rowsOf(on, UNDER_WATCH)).map(({ id }) => id);
}

export interface CanaryFigures {
  readonly state: "sending" | "watching";
  /** Wished, and less when the list has lost recipients since. */
  readonly rows: number;
  readonly made: number;
  /** Of those made: not tried yet. */
  readonly queued: number;
  readonly deferred: number;
  readonly bounced: number;
  readonly held: number;
  readonly expired: number;
  /** Since all were tried; null: they are not. */
  readonly watched_ms: number | null;
  readonly wait_ms: number;
  readonly limit: number;
}

export const FIGURES = statement<CanaryFigures>(
  "canary_figures",
  `SELECT c.canary_state AS state, least(c.canary_rows, waves.wanted) AS rows, waves.made,
     greatest(0, books.queued - waves.counted)::bigint AS queued, books.deferred, books.bounced, books.held, books.expired,
     (extract(epoch FROM clock_timestamp() - c.canary_tried_at) * 1000)::float8 AS watched_ms,
     c.canary_wait_ms AS wait_ms, c.canary_limit AS limit
   FROM postlane.campaign AS c CROSS JOIN LATERAL (
     SELECT coalesce(sum(rows - withdrawn), 0)::bigint AS wanted, coalesce(sum(made), 0)::bigint AS made,
       coalesce(sum(rows - made - withdrawn) FILTER (WHERE state = 'queued'), 0)::bigint AS counted
     FROM postlane.campaign_wave WHERE campaign_id = c.id
   ) AS waves CROSS JOIN LATERAL (
     SELECT coalesce(sum(n) FILTER (WHERE state = 'queued'), 0)::bigint AS queued,
       coalesce(sum(n) FILTER (WHERE state = 'deferred'), 0)::bigint AS deferred,
       coalesce(sum(n) FILTER (WHERE state = 'bounced'), 0)::bigint AS bounced,
       coalesce(sum(n) FILTER (WHERE state = 'held'), 0)::bigint AS held,
       coalesce(sum(n) FILTER (WHERE state = 'expired'), 0)::bigint AS expired
     FROM postlane.balance_sheet WHERE lane_id = c.lane_id AND campaign_id = c.id
   ) AS books
   WHERE c.id = $1 AND c.canary_state IN ('sending', 'watching')`,
);
/** Undefined: it has none, or it is decided. What it decides is judged within the transaction that has locked the campaign. */
export async function readCanary(on: Queryable, id: CampaignId): Promise<CanaryFigures | undefined> {
  return (await rowsOf(on, FIGURES, [id]))[0];
}
