// Since when messages of a campaign can have events: whoever looks for them leaves out the days before.

import type { CampaignRow } from "./campaign-store.ts";

/** Between the clocks of the processes that write events. */
const CLOCKS_APART_MS = 3_600_000;

export function storyBeginsAt({ started_at, created_at }: Pick<CampaignRow, "started_at" | "created_at">): Date {
  return new Date((started_at ?? created_at).getTime() - CLOCKS_APART_MS);
}
