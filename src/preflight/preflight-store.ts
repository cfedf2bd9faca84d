// The latest preflight of each campaign: kept for whoever asks later, by another process than the one that made it.

import type { CampaignId } from "../mail/ids.ts";
import { countOf, rowsOf, statement, type Queryable } from "../postgres/statement.ts";
import type { PreflightReport } from "./preflight-report.ts";

export interface KeptPreflight {
  /** Of the template that was looked at. */
  readonly version: number;
  readonly begun_at: Date;
  /** Null: it is under way, or whoever made it is gone. */
  readonly finished_at: Date | null;
  readonly report: PreflightReport | null;
  readonly error: string | null;
}

export const BEGIN = statement<unknown>(
  "preflight_begin",
  `INSERT INTO postlane.campaign_preflight AS kept (campaign_id, version, begun_at)
   VALUES ($1, $2, clock_timestamp())
   ON CONFLICT (campaign_id) DO UPDATE SET version = excluded.version, begun_at = excluded.begun_at, finished_at = NULL,
     report = NULL, error = NULL`,
);
/** The one before is forgotten. */
export async function beginPreflight(on: Queryable, id: CampaignId, version: number): Promise<void> {
  await countOf(on, BEGIN, [id, version]);
}

export const KEEP = statement<unknown>(
  "preflight_keep",
  `UPDATE postlane.campaign_preflight SET finished_at = clock_timestamp(), report = $2::jsonb, error = $3
   WHERE campaign_id = $1`,
);
export type PreflightEnd = { readonly report: PreflightReport } | { readonly error: string };

/** Of the one that was begun last. */
export async function keepPreflight(on: Queryable, id: CampaignId, end: PreflightEnd): Promise<void> {
  const isReport = "report" in end;
  await countOf(on, KEEP, [id, isReport ? JSON.stringify(end.report) : null, isReport ? null : end.error]);
}

export const READ = statement<KeptPreflight>(
  "preflight_read",
  `SELECT version, begun_at, finished_at, report, error FROM postlane.campaign_preflight WHERE campaign_id = $1`,
);
export async function readPreflight(on: Queryable, id: CampaignId): Promise<KeptPreflight | undefined> {
  return (await rowsOf(on, READ, [id]))[0];
}
