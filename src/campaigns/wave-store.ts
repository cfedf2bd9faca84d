// The waves of campaigns: which recipients are due when, how many of them are messages by now. Adding one accepts its
// recipients; the functions of the migration keep the books in the same transaction.

import type { ClientBase } from "pg";
import type { CampaignId, ListId } from "../mail/ids.ts";
import { rowsOf, statement, type Queryable } from "../postgres/statement.ts";

export interface WaveWish {
  readonly scope: "everyone" | "zone" | "no_zone";
  readonly timeZone?: string | null;
  /** Milliseconds since the epoch; undefined: at once, by the database's clock. */
  readonly dueMs?: number;
}

export const ADD = statement<{ readonly rows: number }>(
  "wave_add",
  `SELECT postlane.add_wave($1, $2, $3,
     CASE WHEN $4::float8 IS NULL THEN clock_timestamp() ELSE to_timestamp($4::float8 / 1000) END, $5, $6) AS rows`,
);

/** Recipients behind `afterN` up to `uptoN`; answers how many they are. */
export async function addWave(
  client: ClientBase,
  id: CampaignId,
  wave: WaveWish,
  { afterN, uptoN }: { readonly afterN: number; readonly uptoN: number },
): Promise<number> {
  const { scope, timeZone, dueMs } = wave;
  const [row] = await rowsOf(client, ADD, [id, scope, timeZone ?? null, dueMs ?? null, afterN, uptoN]);
  return row!.rows;
}

export interface WaveRow {
  readonly n: number;
  readonly scope: WaveWish["scope"];
  readonly time_zone: string | null;
  readonly due_at: Date;
  readonly upto_n: number;
  readonly rows: number;
  readonly made: number;
  readonly withdrawn: number;
  readonly state: "scheduled" | "queued";
}

export const LIST = statement<WaveRow>(
  "wave_list",
  `SELECT n, scope, time_zone, due_at, upto_n, rows, made, withdrawn, state FROM postlane.campaign_wave
   WHERE campaign_id = $1 ORDER BY due_at, n`,
);
export async function listWaves(on: Queryable, id: CampaignId): Promise<readonly WaveRow[]> {
  return await rowsOf(on, LIST, [id]);
}

export const ZONES = statement<{ readonly time_zone: string | null; readonly rows: number }>(
  "wave_zones",
  `SELECT time_zone, count(*)::bigint AS rows FROM postlane.recipient WHERE list_id = $1 AND n > $2 AND n <= $3
   GROUP BY time_zone ORDER BY time_zone`,
);
/** The time zones of a stretch of a list, null: of those who told none. */
export async function zonesOf(on: Queryable, listId: ListId, afterN: number, uptoN: number) {
  return await rowsOf(on, ZONES, [listId, afterN, uptoN]);
}

export const NOW = statement<{ readonly now_ms: number }>(
  "wave_now",
  `SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms`,
);
/** The database's clock, by which waves are due. */
export async function databaseNowMs(on: Queryable): Promise<number> {
  return (await rowsOf(on, NOW))[0]!.now_ms;
}

export const WITHDRAW = statement<{ readonly n: number }>("wave_withdraw", `SELECT postlane.withdraw_unmade($1) AS n`);
/** Of a canceled campaign: how many recipients will get no message. */
export async function withdrawUnmade(client: ClientBase, id: CampaignId): Promise<number> {
  return (await rowsOf(client, WITHDRAW, [id]))[0]!.n;
}
