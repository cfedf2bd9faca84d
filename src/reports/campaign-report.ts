// A campaign at one moment: its status and its balance sheet. Reads only. The shape is what `--json` prints.

import type { Pool } from "pg";
import type { CampaignRow } from "../campaigns/campaign-store.ts";
import { printCampaignId } from "../mail/ids.ts";
import { readCampaignSheets, type CampaignSheetRow } from "./campaign-report-store.ts";
import { totalsOf, type SheetTotals } from "./status-report.ts";

export interface CampaignReport {
  readonly id: string;
  readonly name: string;
  readonly lane: string;
  readonly status: string;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly canceled_at: string | null;
  /** The campaign whose rest it sends. */
  readonly rest_of: string | null;
  /** Of its list: rows = rejected + doubled + accepted + not_accepted. */
  readonly rows: number;
  readonly rejected: number;
  readonly doubled: number;
  /** On its list, and not accepted for it: added since, or it has not started. */
  readonly not_accepted: number;
  /** Accepted, and no message is made of them yet: for their time, the pace or the canary. */
  readonly unmade: number;
  /** What people unsubscribe from. */
  readonly list: string | null;
  /** Why there is no way to unsubscribe, on a person's word. */
  readonly no_unsubscribe: string | null;
  readonly books: SheetTotals;
}

export async function reportCampaigns(pool: Pool, rows: readonly CampaignRow[]): Promise<readonly CampaignReport[]> {
  const sheets = await readCampaignSheets(
    pool,
    rows.map((row) => row.id),
  );
  const sheetOf = new Map(sheets.map((sheet) => [sheet.campaign_id, sheet]));
  return rows.map((row) => reportOf(row, sheetOf.get(row.id)!));
}

function reportOf(row: CampaignRow, sheet: CampaignSheetRow): CampaignReport {
  const { recipients, rejected, doubled, accepted, unmade, states } = sheet;
  return {
    id: printCampaignId(row.id),
    name: row.name,
    lane: row.lane,
    status: row.status,
    created_at: row.created_at.toISOString(),
    started_at: row.started_at?.toISOString() ?? null,
    finished_at: row.finished_at?.toISOString() ?? null,
    canceled_at: row.canceled_at?.toISOString() ?? null,
    rest_of: row.rest_of === null ? null : printCampaignId(row.rest_of),
    rows: recipients + rejected + doubled,
    rejected,
    doubled,
    not_accepted: recipients - accepted,
    unmade,
    list: row.list === "" ? null : row.list,
    no_unsubscribe: row.no_unsubscribe,
    books: totalsOf(states),
  };
}

export interface Pace {
  readonly rate_per_s: number;
  /** Until nothing of it is queued any more, at this rate; null: at this rate, never. */
  readonly eta_s: number | null;
}

/** From two looks at the books, `passedMs` apart. Deferred, held and unknown messages wait for something else. */
export function paceBetween(before: SheetTotals, after: SheetTotals, passedMs: number): Pace {
  const wentOut = after.settled - before.settled + (after.states.deferred - before.states.deferred);
  const ratePerS = Math.max(0, Math.round((wentOut / passedMs) * 10_000) / 10);
  return { rate_per_s: ratePerS, eta_s: ratePerS === 0 ? null : Math.ceil(after.states.queued / ratePerS) };
}
