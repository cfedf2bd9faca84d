// Starting a campaign: from here on all recipients of its list are accepted, and counted in the books. It goes at once, at a
// time, or at a local time of each recipient's zone; in whose zone that time is over, at once. Starting a campaign that has
// started adds who came into its list since; pace and canary are those of the first start.

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
import { addWave, databaseNowMs, listWaves, zonesOf, type WaveRow, type WaveWish } from "./wave-store.ts";

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
  /** `waves`: of this start, by their time; one that is `queued` goes at once. `canaryRows`: 0: it has no canary. */
  | {
      readonly kind: "started";
      readonly accepted: number;
      readonly status: CampaignStatus;
      readonly waves: readonly WaveRow[];
      readonly canaryRows: number;
    }
  | { readonly kind: "refused"; readonly why: StartRefusal; readonly status: CampaignStatus };

/**
 * `status`: in which it cannot be started; `empty`: nobody is on the list; `importing`: its list is; `over`: so is the local
 * time, in the zones of all of them.
 */
export type StartRefusal = "status" | "empty" | "importing" | "over";

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
  const { status } = campaign;
  if (!from.includes(status)) return { kind: "refused", why: "status", status };
  const stretch = await stretchOf(client, campaign);
  if (stretch === undefined) return { kind: "refused", why: "importing", status };
  const planned = await planWaves(client, campaign, wish.when, stretch);
  if (planned === "over") return { kind: "refused", why: "over", status };
  let accepted = 0;
  for (const wave of planned) accepted += await addWave(client, id, wave, stretch);
  if (accepted === 0 && status === "draft") return { kind: "refused", why: "empty", status };
  const canaryRows = isFirst(status) ? await setPaceAndCanary(client, id, wish, accepted) : 0;
  const moved = await moveOn(client, campaign, wish.when, accepted);
  const waves = (await listWaves(client, id)).filter(({ n }) => n > stretch.lastWave);
  return { kind: "started", accepted, status: moved, waves, canaryRows };
}

function isFirst(status: CampaignStatus): boolean {
  return status === "draft" || status === "importing";
}

/**
 * The recipients that it does not have yet. Only while no import is under way are all before the last one committed;
 * undefined: one is.
 */
async function stretchOf(client: PoolClient, { id, list_id, rest_upto_n }: CampaignRow) {
  if (!(await takeShortTurn(client, list_id))) return undefined;
  const uptoN = await lastRecipient(client, list_id);
  const waves = await listWaves(client, id);
  const afterN = waves.reduce((max, wave) => Math.max(max, wave.upto_n), rest_upto_n);
  return { afterN, uptoN, lastWave: waves.reduce((max, wave) => Math.max(max, wave.n), 0) };
}

/** `over`: a local time, for everybody; whoever wrote it meant another day, and not at once. */
async function planWaves(
  client: PoolClient,
  { list_id }: CampaignRow,
  when: StartWhen,
  { afterN, uptoN }: { readonly afterN: number; readonly uptoN: number },
): Promise<readonly WaveWish[] | "over"> {
  if (when.kind === "now") return [{ scope: "everyone" }];
  if (when.kind === "at") return [{ scope: "everyone", dueMs: when.atMs }];
  const zones = await zonesOf(client, list_id, afterN, uptoN);
  const nowMs = await databaseNowMs(client);
  const waves = zones.map(({ time_zone }) => {
    const dueMs = instantOf(when.localTime, time_zone ?? when.zone);
    return {
      scope: time_zone === null ? "no_zone" : "zone",
      timeZone: time_zone,
      dueMs,
      isOver: dueMs <= nowMs,
    } as const;
  });
  return waves.length > 0 && waves.every(({ isOver }) => isOver) ? "over" : waves;
}

/** Answers the canary's rows. */
async function setPaceAndCanary(
  client: PoolClient,
  id: CampaignId,
  { pacePerS, canary }: StartWish,
  accepted: number,
): Promise<number> {
  await setPace(client, id, pacePerS);
  if (canary === undefined) return 0;
  const { share, ...rules } = canary;
  const rows = Math.max(1, Math.ceil(accepted * share));
  // Of so few there is none: a canary of all of them would guard nobody.
  if (rows >= accepted) return 0;
  await setCanary(client, id, { ...rules, rows });
  return rows;
}

/** A campaign that a person paused stays paused; one that had finished goes on with what is new. */
async function moveOn(
  client: PoolClient,
  { id, status }: CampaignRow,
  when: StartWhen,
  accepted: number,
): Promise<CampaignStatus> {
  if (!isFirst(status) && !(status === "finished" && accepted > 0)) return status;
  // With nobody to wait for, no time of it would ever come.
  const to = when.kind === "now" || accepted === 0 ? "running" : "scheduled";
  await moveCampaignIfIn(client, id, to, [status]);
  return to;
}
