// How long sending takes: at the rate that the lane's latest campaign was sent at, else at the governor's pace, within what the
// configuration and the campaign's own pace allow. What was never measured is said to be so, and not guessed.

import type { Pool } from "pg";
import type { CampaignRow } from "../campaigns/campaign-store.ts";
import type { PreflightSettings } from "./copy-settings.ts";
import type { ExpectedDuration } from "./preflight-report.ts";
import { measuredRate, outletPulses } from "./recipient-store.ts";

/** A campaign of fewer says more of its start and end than of the rate between. */
const MEASURED_ROWS_MIN = 1000;

interface Rate {
  readonly perS: number;
  readonly basis: ExpectedDuration["basis"];
  readonly measuredBy: string | null;
}

export async function expectDuration(
  pool: Pool,
  campaign: CampaignRow,
  settings: PreflightSettings,
  messages: number,
): Promise<ExpectedDuration> {
  const bounds = [maxRate(settings, campaign.lane), paceOf(campaign)];
  const known = [await roadRate(pool, campaign), ...bounds].filter((rate) => rate !== undefined);
  const [slowest] = known.toSorted((one, other) => one.perS - other.perS);
  if (slowest === undefined)
    return { seconds: null, messages, rate_per_s: null, basis: "not_measured", measured_by: null };
  const { perS, basis, measuredBy } = slowest;
  return {
    seconds: Math.ceil(messages / perS),
    messages,
    rate_per_s: Math.round(perS * 10) / 10,
    basis,
    measured_by: measuredBy,
  };
}

async function roadRate(pool: Pool, { lane_id }: CampaignRow): Promise<Rate | undefined> {
  const measured = await measuredRate(pool, lane_id, MEASURED_ROWS_MIN);
  if (measured !== undefined)
    return { perS: measured.rate_per_s, basis: "finished_campaign", measuredBy: measured.name };
  const paces = (await outletPulses(pool, lane_id)).map(({ pace_per_s }) => pace_per_s ?? undefined);
  // One that is not limited is not known.
  if (paces.length === 0 || paces.includes(undefined)) return undefined;
  const perS = paces.reduce<number>((sum, pace) => sum + (pace ?? 0), 0);
  return perS > 0 ? { perS, basis: "governor", measuredBy: null } : undefined;
}

/** Of all the lane's outlets together; undefined: one has none. */
function maxRate({ lanes, outlets }: PreflightSettings, lane: string): Rate | undefined {
  const rates = (lanes[lane]?.outlets ?? []).map((name) => {
    const outlet = outlets[name];
    return outlet?.type === "smtp" ? outlet.maxRatePerS : undefined;
  });
  if (rates.length === 0 || rates.includes(undefined)) return undefined;
  return { perS: rates.reduce<number>((sum, rate) => sum + (rate ?? 0), 0), basis: "max_rate", measuredBy: null };
}

function paceOf({ pace_per_s }: CampaignRow): Rate | undefined {
  return pace_per_s === null ? undefined : { perS: pace_per_s, basis: "pace", measuredBy: null };
}
