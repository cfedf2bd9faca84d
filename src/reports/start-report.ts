// What a campaign's start has answered, as programs get it. Pure.

import type { CampaignRow } from "../campaigns/campaign-store.ts";
import type { StartAnswer } from "../campaigns/start-campaign.ts";
import { printCampaignId } from "../mail/ids.ts";

export interface StartReport {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly accepted: number;
  readonly waves: number;
  /** Of the waves; null: nobody was accepted. */
  readonly first_at: string | null;
  readonly last_at: string | null;
  /** Where the local time is over: they go now. */
  readonly at_once: { readonly zones: number; readonly recipients: number };
  readonly canary_rows: number | null;
}

export function reportStart(
  { id, name }: Pick<CampaignRow, "id" | "name">,
  { accepted, status, waves, canaryRows }: Extract<StartAnswer, { kind: "started" }>,
): StartReport {
  const late = waves.filter(({ scope, state }) => scope !== "everyone" && state === "queued");
  return {
    id: printCampaignId(id),
    name,
    status,
    accepted,
    waves: waves.length,
    first_at: waves[0]?.due_at.toISOString() ?? null,
    last_at: waves.at(-1)?.due_at.toISOString() ?? null,
    at_once: { zones: late.length, recipients: late.reduce((sum, { rows }) => sum + rows, 0) },
    canary_rows: canaryRows === 0 ? null : canaryRows,
  };
}
