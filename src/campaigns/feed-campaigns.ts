// Makes messages of campaigns a little ahead of the dispatchers, in chunks, campaign by campaign in turns. Safe to run in
// several processes: each chunk locks its campaign and reads how it stands.

import type { Pool } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import type { Clock } from "../platform/clock.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { lockCampaign } from "./campaign-store.ts";
import { feedingOf } from "./feed-policy.ts";
import { beginScheduled, feedableCampaigns, makeMessages, notePace, readFeedState } from "./feed-store.ts";

export interface Feeder {
  /** Until nothing more is to be made for now. */
  feed(): Promise<void>;
}

export function createFeeder({ pool, clock }: { readonly pool: Pool; readonly clock: Clock }): Feeder {
  const lastAtMs = new Map<CampaignId, number>();

  const feedOne = async (id: CampaignId): Promise<number> => {
    const nowMs = clock.monotonicMs();
    const made = await makeChunk(pool, id, nowMs - (lastAtMs.get(id) ?? -Infinity));
    if (made > 0) lastAtMs.set(id, nowMs);
    return made;
  };

  return {
    async feed() {
      const all = await feedableCampaigns(pool);
      for (const id of lastAtMs.keys()) if (!all.includes(id)) lastAtMs.delete(id);
      let hungry = all;
      while (hungry.length > 0) {
        const fed: CampaignId[] = [];
        for (const id of hungry) if ((await feedOne(id)) > 0) fed.push(id);
        hungry = fed;
      }
    },
  };
}

/** One transaction; answers how many messages were made. */
async function makeChunk(pool: Pool, id: CampaignId, msSinceLast: number): Promise<number> {
  return await inTransaction(pool, async (client) => {
    const { status } = await lockCampaign(client, id);
    if (status !== "running" && status !== "scheduled") return 0;
    if (status === "scheduled") await beginScheduled(client, id);
    const state = await readFeedState(client, id);
    const { rows, paceLeft } = feedingOf(state, msSinceLast);
    // Also for nobody: waves whose time has come are counted as such.
    const made = await makeMessages(client, id, rows);
    if (state.pace_per_s !== null && (rows > 0 || state.fed_ms_ago === null)) await notePace(client, id, paceLeft);
    return made;
  });
}
