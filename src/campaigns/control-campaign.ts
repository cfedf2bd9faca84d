// Pause, resume, cancel: what each of them may do to a campaign as it stands, and what is possible instead. Each is in force
// with its commit; dispatchers hear of it within a second, and what they have handed over by then stays handed over.

import type { Pool } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { lockCampaign, moveCampaignIfIn, moveCanary, type CampaignRow, type CampaignStatus } from "./campaign-store.ts";
import { listWaves, withdrawUnmade } from "./wave-store.ts";

export type Order = "pause" | "resume" | "cancel";

export type ControlAnswer =
  /** `wasSo`: it was asked for what is so already. */
  | { readonly kind: "done"; readonly status: CampaignStatus; readonly wasSo: boolean; readonly withdrawn: number }
  | { readonly kind: "refused"; readonly status: CampaignStatus };

const FROM: Readonly<Record<Order, readonly CampaignStatus[]>> = {
  pause: ["scheduled", "running"],
  resume: ["paused"],
  cancel: ["importing", "draft", "scheduled", "running", "paused"],
};

export async function controlCampaign(pool: Pool, id: CampaignId, order: Order): Promise<ControlAnswer> {
  return await inTransaction(pool, async (client) => {
    const campaign = await lockCampaign(client, id);
    const { status } = campaign;
    if (isSoAlready(order, status)) return { kind: "done", status, wasSo: true, withdrawn: 0 };
    if (!FROM[order].includes(status)) return { kind: "refused", status };
    const to = order === "resume" ? await resumedStatus(client, campaign) : order === "pause" ? "paused" : "canceled";
    await moveCampaignIfIn(client, id, to, [status]);
    // A person has seen what the rule has seen.
    if (order === "resume" && campaign.canary_state === "stopped") await moveCanary(client, id, "passed");
    const withdrawn = order === "cancel" ? await withdrawUnmade(client, id) : 0;
    return { kind: "done", status: to, wasSo: false, withdrawn };
  });
}

function isSoAlready(order: Order, status: CampaignStatus): boolean {
  if (order === "resume") return status === "running" || status === "scheduled";
  return status === (order === "pause" ? "paused" : "canceled");
}

/** One that was paused before its time goes back to waiting for it; the feeder sees when it has come. */
async function resumedStatus(client: Parameters<typeof listWaves>[0], { id }: CampaignRow): Promise<CampaignStatus> {
  const waves = await listWaves(client, id);
  return waves.some(({ made, state }) => made > 0 || state === "queued") ? "running" : "scheduled";
}

/** What is possible with a campaign in this status, for the answer to what is not. */
export const POSSIBLE: Readonly<Record<CampaignStatus, string>> = {
  importing: "Its list is being read: wait for that, or cancel it; if it was broken off, give the same command again",
  draft: "It can be started, edited or canceled",
  scheduled: "It can be paused, edited or canceled before its time comes",
  running: "It can be paused, edited or canceled",
  paused: "It can be resumed, edited or canceled",
  canceled: "`campaign send-rest` sends to those who did not get it",
  finished: "`campaign send-rest` sends to those who did not get it, and to who was added to its list since",
};
