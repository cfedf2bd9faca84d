// Starting a campaign: from here on all recipients of its list are accepted, and counted in the books. It goes at once, at a
// time, or at a local time of each recipient's zone. Starting a campaign that has started adds who came into its list since.

import type { Pool, PoolClient } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import { inTransaction } from "../postgres/transaction.ts";
import {
  lockCampaign,
  moveCampaignIfIn,
  setCanary,
  setPace,
  type Canary,
  type CampaignRow,
  type CampaignStatus,
} from "./campaign-store.ts";
import { lastRecipient, takeShortTurn } from "./list-store.ts";
import { instantOf } from "./local-time.ts";
import { addWave, listWaves, zonesOf, type WaveWish } from "./wave-store.ts";

/** `zone`: of recipients who name none. */
export type StartWhen =
  | { readonly kind: "now" }
  | { readonly kind: "at"; readonly atMs: number }
  | { readonly kind: "local"; readonly localTime: string; readonly zone: string };

export interface StartWish {
  readonly when: StartWhen;
  /** Messages per second; absent: as the governor permits. */
  readonly pacePerS?: number | undefined;
  /** Share of the list that is tried first, 0 to 1. */
  readonly canary?: (Omit<Canary, "rows"> & { readonly share: number }) | undefined;
}

export type StartAnswer =
  | { readonly kind: "started"; readonly accepted: number; readonly status: CampaignStatus }
  /** `status`: in which it cannot be started; `empty`: nobody is on the list; `importing`: its list is. */
  | { readonly kind: "refused"; readonly why: "status" | "empty" | "importing"; readonly status: CampaignStatus };

/** As `campaign start` may find it. */
export const STARTABLE: readonly CampaignStatus[] = ["draft"];
/** As `campaign send` may: who was added to its file since goes, too. */
export const EXTENDABLE: readonly CampaignStatus[] = [
  "importing",
  "draft",
  "scheduled",
  "running",
  "paused",
  "finished",
];

export async function startCampaign(
  pool: Pool,
  id: CampaignId,
  wish: StartWish,
  from: readonly CampaignStatus[] = STARTABLE,
): Promise<StartAnswer> {
  return await inTransaction(pool, (client) => startWithin(client, id, wish, from));
}

/** The same in the caller's transaction. */
export async function startWithin(
  client: PoolClient,
  id: CampaignId,
  wish: StartWish,
  from: readonly CampaignStatus[] = STARTABLE,
): Promise<StartAnswer> {
  const campaign = await lockCampaign(client, id);
  const refused = (why: "status" | "empty" | "importing"): StartAnswer => ({
    kind: "refused",
    why,
    status: campaign.status,
  });
  if (!from.includes(campaign.status)) return refused("status");
  const stretch = await stretchOf(client, campaign);
  if (stretch === undefined) return refused("importing");
  let accepted = 0;
  for (const wave of await planWaves(client, campaign, wish.when, stretch)) {
    accepted += await addWave(client, id, wave, stretch);
  }
  const isFirst = campaign.status === "draft" || campaign.status === "importing";
  if (accepted === 0 && campaign.status === "draft") return refused("empty");
  if (isFirst) await setPaceAndCanary(client, id, wish, accepted);
  const status = await moveOn(client, campaign, wish.when, accepted);
  return { kind: "started", accepted, status };
}

/**
 * The recipients that it does not have yet. Only while no import is under way are all before the last one committed;
 * undefined: one is.
 */
async function stretchOf(client: PoolClient, { id, list_id, rest_upto_n }: CampaignRow) {
  if (!(await takeShortTurn(client, list_id))) return undefined;
  const uptoN = await lastRecipient(client, list_id);
  const afterN = (await listWaves(client, id)).reduce((max, wave) => Math.max(max, wave.upto_n), rest_upto_n);
  return { afterN, uptoN };
}

async function planWaves(
  client: PoolClient,
  { list_id }: CampaignRow,
  when: StartWhen,
  { afterN, uptoN }: { readonly afterN: number; readonly uptoN: number },
): Promise<readonly WaveWish[]> {
  if (when.kind === "now") return [{ scope: "everyone" }];
  if (when.kind === "at") return [{ scope: "everyone", dueMs: when.atMs }];
  const zones = await zonesOf(client, list_id, afterN, uptoN);
  return zones.map(({ time_zone }): WaveWish => {
    const dueMs = instantOf(when.localTime, time_zone ?? when.zone);
    return time_zone === null ? { scope: "no_zone", dueMs } : { scope: "zone", timeZone: time_zone, dueMs };
  });
}

async function setPaceAndCanary(client: PoolClient, id: CampaignId, { pacePerS, canary }: StartWish, accepted: number) {
  await setPace(client, id, pacePerS);
  if (canary === undefined) return;
  const { share, ...rules } = canary;
  await setCanary(client, id, { ...rules, rows: Math.max(1, Math.ceil(accepted * share)) });
}

/** A campaign that a person paused stays paused; one that had finished goes on with what is new. */
async function moveOn(
  client: PoolClient,
  { id, status }: CampaignRow,
  when: StartWhen,
  accepted: number,
): Promise<CampaignStatus> {
  const isFirst = status === "draft" || status === "importing";
  if (!isFirst && !(status === "finished" && accepted > 0)) return status;
  const to = when.kind === "now" ? "running" : "scheduled";
  await moveCampaignIfIn(client, id, to, [status]);
  return to;
}
