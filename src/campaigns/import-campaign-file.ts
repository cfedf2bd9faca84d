// The file of one campaign into its list, as long as nobody cancels the campaign; and the rejects file beside it.

import { statSync } from "node:fs";
import path from "node:path";
import type { Pool, PoolClient } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import { findCampaign } from "./campaign-store.ts";
import { isSystemError, refused, type CampaignRefused } from "./check-campaign.ts";
import { importList, type ImportCounts, type ImportProgress } from "./import-list.ts";
import { wasCanceled, type OpenCampaign } from "./open-campaign.ts";
import { openRejectsFile, type RejectsFile } from "./rejects-file.ts";

export type FileProgress = ImportProgress & { readonly bytesTotal: number };

/** Throws `CanceledMeanwhile`. */
export async function importCampaignFile(
  pool: Pool,
  { id, name, listId, columns }: OpenCampaign,
  { file, onProgress }: { readonly file: string; readonly onProgress?: (progress: FileProgress) => void },
  rejects: RejectsFile,
): Promise<ImportCounts> {
  const bytesTotal = statSync(file).size;
  return await importList(pool, {
    listId,
    file,
    columns,
    onRejected: (rows) => rejects.add(rows),
    onProgress: (progress) => onProgress?.({ ...progress, bytesTotal }),
    mayGoOn: (client) => refuseCanceled(client, id, name),
  });
}

async function refuseCanceled(client: PoolClient, id: CampaignId, name: string): Promise<void> {
  const campaign = await findCampaign(client, "", id);
  if (campaign?.status === "canceled") throw new CanceledMeanwhile(wasCanceled(name));
}

export class CanceledMeanwhile extends Error {}

/** By default beside the list. */
export async function prepareRejects(
  list: string,
  file: string = `${list.replace(/\.csv$/i, "")}.rejects.csv`,
): Promise<RejectsFile | CampaignRefused> {
  if (path.resolve(file) === path.resolve(list)) return refused("list", ["the rejects file cannot be the list itself"]);
  try {
    return await openRejectsFile(file);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return refused("list", [`the rejects file ${file} cannot be written: ${error.message}`]);
  }
}
