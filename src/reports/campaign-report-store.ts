// What is asked about campaigns and lanes: how their lists and their books stand, in one statement, so that it adds up at every
// moment.

import type { CampaignId, LaneId } from "../mail/ids.ts";
import type { State } from "../mail/state.ts";
import { numberArray, rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface CampaignSheetRow {
  readonly campaign_id: CampaignId;
  /** Of the list: rows that became recipients, and rows that did not. */
  readonly recipients: number;
  readonly doubled: number;
  readonly rejected: number;
  /** Of these recipients, those who were accepted for the campaign, and those of them who have no message yet. */
  readonly accepted: number;
  readonly unmade: number;
  readonly states: readonly { readonly state: State; readonly n: number }[];
}

export const SHEETS = statement<CampaignSheetRow>(
  "campaign_report_sheets",
  `SELECT c.id AS campaign_id, sums.recipients, sums.doubled, sums.rejected, waves.accepted, waves.unmade, books.states
   FROM postlane.campaign AS c CROSS JOIN LATERAL (
     SELECT coalesce(sum(added), 0)::bigint AS recipients, coalesce(sum(doubled), 0)::bigint AS doubled,
       coalesce(sum(rejected), 0)::bigint AS rejected
     FROM postlane.list_import WHERE list_id = c.list_id
   ) AS sums CROSS JOIN LATERAL (
     SELECT coalesce(sum(rows), 0)::bigint AS accepted, coalesce(sum(rows - made - withdrawn), 0)::bigint AS unmade
     FROM postlane.campaign_wave WHERE campaign_id = c.id
   ) AS waves CROSS JOIN LATERAL (
     SELECT coalesce(json_agg(json_build_object('state', state, 'n', n)), '[]') AS states FROM (
       SELECT state, sum(n)::bigint AS n FROM postlane.balance_sheet WHERE campaign_id = c.id GROUP BY state
     ) AS sheet
   ) AS books
   WHERE c.id = ANY ($1::integer[])`,
);
export async function readCampaignSheets(
  on: Queryable,
  ids: readonly CampaignId[],
): Promise<readonly CampaignSheetRow[]> {
  return await rowsOf(on, SHEETS, [numberArray(ids)]);
}

export interface DayRow {
  /** UTC. */
  readonly day: string;
  readonly state: State;
  readonly n: number;
}

export const DAYS = statement<DayRow>(
  "campaign_report_days",
  `SELECT accepted_on::text AS day, state, sum(n)::bigint AS n FROM postlane.balance_sheet
   WHERE lane_id = $1 AND ($2::date IS NULL OR accepted_on = $2) GROUP BY accepted_on, state ORDER BY accepted_on DESC`,
);
/** Of a lane, by the day on which its messages were accepted, the latest first. */
export async function readLaneDays(on: Queryable, laneId: LaneId, day: string | undefined): Promise<readonly DayRow[]> {
  return await rowsOf(on, DAYS, [laneId, day ?? null]);
}
