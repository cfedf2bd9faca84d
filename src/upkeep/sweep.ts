// Counts the waiting messages of a canceled campaign as canceled, slice by slice: the cancel itself wrote one row and
// was in force at once. Whatever is claimed meanwhile is handed over or comes back, and is swept in a later round.

import type { Pool } from "pg";
import { markSwept, unsweptCampaigns } from "../campaigns/campaign-store.ts";
import { appendEvents } from "../events/event-store.ts";
import type { CampaignId, LaneId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { recordStateChanges } from "../queue/balance-store.ts";
import { isCampaignEmpty, sweepCampaign } from "../queue/control-store.ts";

/** Rows of one transaction: about a tenth of a second. */
const SWEEP_ROWS_MAX = 5000;

export async function sweepCanceled(pool: Pool): Promise<number> {
  let swept = 0;
  for (const { id, lane_id } of await unsweptCampaigns(pool)) swept += await sweepOne(pool, lane_id, id);
  return swept;
}

async function sweepOne(pool: Pool, laneId: LaneId, campaignId: CampaignId): Promise<number> {
  let swept = 0;
  for (;;) {
    const rows = await inTransaction(pool, async (client) => {
      const slice = await sweepCampaign(client, laneId, campaignId, SWEEP_ROWS_MAX);
      await appendEvents(
        client,
        slice.map((row) => ({ messageId: row.message_id, attempt: row.attempts, kind: "canceled" })),
      );
      await recordStateChanges(
        client,
        slice.map((row) => ({
          laneId,
          campaignId,
          acceptedOn: row.accepted_on,
          from: row.state,
          to: "canceled" as const,
        })),
      );
      if (slice.length === 0 && (await isCampaignEmpty(client, laneId, campaignId)))
        await markSwept(client, campaignId);
      return slice.length;
    });
    swept += rows;
    if (rows === 0) return swept;
  }
}
