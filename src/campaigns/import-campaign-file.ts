// The file of one campaign into its list, as long as nobody cancels the campaign.

import type { Pool, PoolClient } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import { findCampaign } from "./campaign-store.ts";
import { importList, type ImportCounts, type ImportProgress } from "./import-list.ts";
import { wasCanceled, type OpenCampaign } from "./open-campaign.ts";
import type { RejectsFile } from "./rejects-file.ts";

/** Throws `CanceledMeanwhile`. */
export async function importCampaignFile(
  pool: Pool,
  { id, name, listId, columns }: OpenCampaign,
  {
    file,
    onProgress,
  }: { readonly file: string; readonly onProgress?: ((progress: ImportProgress) => void) | undefined },
  rejects: RejectsFile,
): Promise<ImportCounts> {
  return await importList(pool, {
    listId,
    file,
    columns,
    onRejected: (rows) => rejects.add(rows),
    onProgress: (progress) => onProgress?.(progress),
    mayGoOn: (client) => refuseCanceled(client, id, name),
  });
}

async function refuseCanceled(client: PoolClient, id: CampaignId, name: string): Promise<void> {
  const campaign = await findCampaign(client, "", id);
  if (campaign?.status === "canceled") throw new CanceledMeanwhile(wasCanceled(name));
}

export class CanceledMeanwhile extends Error {}
