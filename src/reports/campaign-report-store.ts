// What `postlane campaign status` and `campaign list` ask: the books of campaigns.

import type { CampaignId } from "../mail/ids.ts";
import type { State } from "../mail/state.ts";
import { numberArray, rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface CampaignSheetRow {
  readonly campaign_id: CampaignId;
  readonly state: State;
  readonly n: number;
}

export const SHEETS = statement<CampaignSheetRow>(
  "campaign_report_sheets",
  `SELECT campaign_id, state, sum(n)::bigint AS n FROM postlane.balance_sheet
   WHERE campaign_id = ANY ($1::integer[]) GROUP BY campaign_id, state`,
);
export async function readCampaignSheets(
  on: Queryable,
  ids: readonly CampaignId[],
): Promise<readonly CampaignSheetRow[]> {
  return await rowsOf(on, SHEETS, [numberArray(ids)]);
}
