// Makes messages of campaigns a little ahead of the dispatchers, in chunks, campaign by campaign in turns. Safe to run in
// several processes: each chunk locks its campaign and reads how it stands. One that fails stops no other; one that only waits,
// for its pace, its canary or the dispatchers, is not locked: that would be a commit for nothing at each look.

import type { Pool } from "pg";
import type { CampaignId } from "../mail/ids.ts";
import type { Clock } from "../platform/clock.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { lockCampaign } from "./campaign-store.ts";
import { CHUNK_ROWS, feedingOf } from "./feed-policy.ts";
import { beginScheduled, feedableCampaigns, makeMessages, notePace, readFeedState } from "./feed-store.ts";

export interface Feeder {
  /** Until nothing more is to be made for now. */
  feed(): Promise<void>;
}

export function createFeeder({ pool, clock }: { readonly pool: Pool; readonly clock: Clock }): Feeder {
  const lastAtMs = new Map<CampaignId, number>();

  const feedOne = async (id: CampaignId): Promise<boolean> => {
    const nowMs = clock.monotonicMs();
    const msSinceLast = nowMs - (lastAtMs.get(id) ?? -Infinity);
    const standing = await readFeedState(pool, id);
    if (!standing.is_beginning && feedingOf(standing, msSinceLast).rows === 0) return false;
    const { made, isHungry } = await makeChunk(pool, id, msSinceLast);
    if (made > 0) lastAtMs.set(id, nowMs);
    return isHungry;
  };

  return {
    async feed() {
      const all = await feedableCampaigns(pool);
      for (const id of lastAtMs.keys()) if (!all.includes(id)) lastAtMs.delete(id);
      const failures: unknown[] = [];
      let hungry = all;
      while (hungry.length > 0) {
        const still: CampaignId[] = [];
        for (const id of hungry) {
          const isHungry = await feedOne(id).catch((error: unknown) => void failures.push(error));
          if (isHungry === true) still.push(id);
        }
        hungry = still;
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}

interface Chunk {
  readonly made: number;
  /** More may be made at once: the chunk was full, or its wave had fewer than were asked for. */
  readonly isHungry: boolean;
}

const NOTHING: Chunk = { made: 0, isHungry: false };

/** One transaction. */
async function makeChunk(pool: Pool, id: CampaignId, msSinceLast: number): Promise<Chunk> {
  return await inTransaction(pool, async (client) => {
    const { status } = await lockCampaign(client, id);
    if (status !== "running" && status !== "scheduled") return NOTHING;
    if (status === "scheduled") await beginScheduled(client, id);
    const state = await readFeedState(client, id);
    const { rows, bucket } = feedingOf(state, msSinceLast);
    // Also for nobody: waves whose time has come are counted as such.
    const { taken, queued } = await makeMessages(client, id, rows);
    if (rows > 0 && state.pace_per_s !== null) await notePace(client, id, bucket - queued);
    return { made: taken, isHungry: rows > 0 && (rows === CHUNK_ROWS || taken < rows) };
  });
}
