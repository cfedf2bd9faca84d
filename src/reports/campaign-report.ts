// A campaign at one moment: its status and its balance sheet. Reads only. The shape is what `--json` prints.

import type { Pool } from "pg";
import type { CampaignRow, CanaryState, PausedBecause } from "../campaigns/campaign-store.ts";
import { listWaves, type WaveRow } from "../campaigns/wave-store.ts";
import { printCampaignId } from "../mail/ids.ts";
import type { Queryable } from "../postgres/statement.ts";
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
  /** Of its template. */
  readonly version: number;
  /** Which rule stopped it; null: a person, or it is not paused. */
  readonly paused_because: PausedBecause | null;
  readonly pace_per_s: number | null;
  readonly canary: CanaryReport | null;
  /** What people unsubscribe from. */
  readonly list: string | null;
  /** Why there is no way to unsubscribe, on a person's word. */
  readonly no_unsubscribe: string | null;
  readonly books: SheetTotals;
}

export interface CanaryReport {
  readonly state: CanaryState;
  /** The first so many recipients. */
  readonly rows: number;
  readonly wait_s: number;
  /** Share of them that may fail, 0 to 1. */
  readonly limit: number;
  /** When all of them had been tried. */
  readonly tried_at: string | null;
  /** When the others go, if no more of them fail by then; null: not known yet, or decided. */
  readonly passes_at: string | null;
}

export async function reportCampaigns(on: Queryable, rows: readonly CampaignRow[]): Promise<readonly CampaignReport[]> {
  const sheets = await readCampaignSheets(
    on,
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
    version: row.version,
    paused_because: row.paused_because,
    pace_per_s: row.pace_per_s,
    canary: canaryOf(row),
    list: row.list === "" ? null : row.list,
    no_unsubscribe: row.no_unsubscribe,
    books: totalsOf(states),
  };
}

function canaryOf(row: CampaignRow): CanaryReport | null {
  const { canary_state: state, canary_rows: rows, canary_wait_ms, canary_limit: limit, canary_tried_at } = row;
  if (state === null || rows === null || canary_wait_ms === null || limit === null) return null;
  const passesAt = canary_tried_at === null ? null : new Date(canary_tried_at.getTime() + canary_wait_ms);
  return {
    state,
    rows,
    wait_s: canary_wait_ms / 1000,
    limit,
    tried_at: canary_tried_at?.toISOString() ?? null,
    passes_at: state === "watching" ? (passesAt?.toISOString() ?? null) : null,
  };
}

export interface WaveReport {
  readonly due_at: string;
  /** Null: of all zones, or of those who name none. */
  readonly time_zone: string | null;
  readonly scope: WaveRow["scope"];
  /** rows = made + withdrawn + those who have no message yet. */
  readonly rows: number;
  readonly made: number;
  readonly withdrawn: number;
}

/** By their time. */
export async function reportWaves(pool: Pool, { id }: CampaignRow): Promise<readonly WaveReport[]> {
  return (await listWaves(pool, id)).map(({ due_at, time_zone, scope, rows, made, withdrawn }) => ({
    due_at: due_at.toISOString(),
    time_zone,
    scope,
    rows,
    made,
    withdrawn,
  }));
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
