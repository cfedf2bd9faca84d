// Hand-overs that nobody confirmed: finds them once their relay has had its time, and sends them again when a person
// asks for it. Until then nothing is assumed of them.

import type { Pool } from "pg";
import { reopenCampaigns } from "../campaigns/campaign-store.ts";
import { appendEvents } from "../events/event-store.ts";
import { NO_CAMPAIGN, type LaneId, type MessageId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { recordStateChanges } from "../queue/balance-store.ts";
import { requeueReturned } from "../queue/returned-store.ts";
import { readStandings } from "./message-standing.ts";
import {
  accountFor,
  advanceTo,
  findUnaccounted,
  nextSlice,
  relayLifetimes,
  unaccountedAmong,
} from "./unaccounted-store.ts";

/** A Postfix that nobody has changed keeps trying for 5 days (maximal_queue_lifetime). */
const LIFETIME_MS = 5 * 86_400_000;
/** For its last notice to be written, brought and judged. */
const GRACE_MS = 3_600_000;
/** Slices of one call, so that an outlet that was long not looked at does not keep the others waiting. */
const SLICES_MAX = 60;

/** Looks through the hand-overs of each outlet that have had all their time. Answers how many were not accounted for. */
export async function lookForUnaccounted(pool: Pool, outlets: readonly string[]): Promise<number> {
  const lifetimes = await relayLifetimes(pool);
  let found = 0;
  for (const outlet of outlets) {
    const graceMs = (lifetimes.get(outlet) ?? LIFETIME_MS) + GRACE_MS;
    for (let count = 0; count < SLICES_MAX; count++) {
      const slice = await takeSlice(pool, outlet, graceMs);
      found += slice.found;
      if (slice.isLast) break;
    }
  }
  return found;
}

async function takeSlice(pool: Pool, outlet: string, graceMs: number): Promise<{ found: number; isLast: boolean }> {
  return await inTransaction(pool, async (client) => {
    const slice = await nextSlice(client, outlet, graceMs);
    if (slice === undefined) return { found: 0, isLast: true };
    const found = await findUnaccounted(client, outlet, slice);
    await advanceTo(client, outlet, slice);
    return { found, isLast: slice.is_last };
  });
}

/**
 * They are due now, and may arrive a second time. Answers those that were still `sent` and not accounted for; what was
 * settled meanwhile is left alone.
 */
export async function resendUnaccounted(
  pool: Pool,
  ids: readonly MessageId[],
  laneSettingsOf: (laneId: LaneId) => LaneSettings,
): Promise<readonly MessageId[]> {
  return await inTransaction(pool, async (client) => {
    const listed = new Map((await unaccountedAmong(client, ids)).map((row) => [row.message_id, row]));
    const standings = await readStandings(client, [...listed.keys()], laneSettingsOf);
    const lost = [...standings.values()].filter(
      ({ message, now }) => now.state === "sent" && now.attempt === listed.get(message.id)!.attempt,
    );
    await requeueReturned(
      client,
      lost.map(({ message, now: { attempt, tries } }) => {
        return { messageId: message.id, fromState: "sent", state: "deferred", delayMs: 0, attempts: attempt, tries };
      }),
    );
    const campaigns = new Set(lost.map(({ message }) => message.campaign_id));
    campaigns.delete(NO_CAMPAIGN);
    await reopenCampaigns(client, [...campaigns]);
    await appendEvents(
      client,
      lost.map(({ message, now: { attempt } }) => {
        const { outlet } = listed.get(message.id)!;
        return { messageId: message.id, attempt, kind: "deferred", outlet, reply: RESENT };
      }),
    );
    await recordStateChanges(
      client,
      lost.map(({ message }) => ({
        laneId: message.lane_id,
        campaignId: message.campaign_id,
        acceptedOn: message.accepted_on,
        from: "sent",
        to: "deferred",
      })),
    );
    await accountFor(client, [...listed.keys()]);
    return lost.map(({ message }) => message.id);
  });
}

const RESENT = "never confirmed by the relay; sent again by a person, who accepts a second copy";
