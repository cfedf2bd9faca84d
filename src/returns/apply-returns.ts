// What follows from a batch of judged returns, for the messages: rows of the queue, events, books, the list of what is
// unaccounted for, who gets no more mail; a handful of statements, inside the caller's transaction. Assumes that the messages are locked, and the
// unknown ones' rows with them.

import { strict as assert } from "node:assert";
import type { ClientBase } from "pg";
import { reopenCampaigns } from "../campaigns/campaign-store.ts";
import { appendEvents, type MessageEvent } from "../events/event-store.ts";
import { NO_CAMPAIGN } from "../mail/ids.ts";
import { recordStateChanges } from "../queue/balance-store.ts";
import { requeueReturned } from "../queue/returned-store.ts";
import { settleIfUnknown } from "../queue/unknown-store.ts";
import { bounceOf } from "../suppression/bounce-strikes.ts";
import { addStrikes } from "../suppression/strike-store.ts";
import type { MessageStanding } from "./message-standing.ts";
import { accountFor, CONFIRMING_KINDS } from "./unaccounted-store.ts";

export async function applyToMessages(client: ClientBase, standings: readonly MessageStanding[]): Promise<void> {
  const moved = standings.filter(({ before, now, home }) => before !== now.state || home !== undefined);
  await takeOutUnknown(client, moved);
  await bringHome(client, moved);
  await appendEvents(
    client,
    standings.flatMap(({ events }) => events),
  );
  await recordStateChanges(
    client,
    moved.map(({ message, before, now }) => ({
      laneId: message.lane_id,
      campaignId: message.campaign_id,
      acceptedOn: message.accepted_on,
      from: before!,
      to: now.state!,
    })),
  );
  await addStrikes(
    client,
    standings
      .filter(({ isAddressBad }) => isAddressBad)
      .map(({ message: { id, recipient } }) => bounceOf(id, recipient)),
  );
  await accountFor(
    client,
    standings.filter(({ events }) => events.some(isConfirmation)).map(({ message }) => message.id),
  );
}

/** Their rows are locked, so they are still there. */
async function takeOutUnknown(client: ClientBase, moved: readonly MessageStanding[]): Promise<void> {
  const unknown = moved.filter(({ before }) => before === "unknown");
  if (unknown.length === 0) return;
  const settled = await settleIfUnknown(
    client,
    unknown.map(({ message, now }) => ({ messageId: message.id, attempt: now.attempt })),
  );
  assert(settled.length === unknown.length, "a row that was locked has gone");
}

async function bringHome(client: ClientBase, moved: readonly MessageStanding[]): Promise<void> {
  const rows = moved.flatMap(({ message, before, now, home }) =>
    home === undefined
      ? []
      : { messageId: message.id, fromState: before!, ...home, attempts: now.attempt, tries: now.tries },
  );
  if (rows.length === 0) return;
  await requeueReturned(client, rows);
  const campaigns = new Set(moved.filter(({ home }) => home !== undefined).map(({ message }) => message.campaign_id));
  campaigns.delete(NO_CAMPAIGN);
  await reopenCampaigns(client, [...campaigns]);
}

function isConfirmation({ kind }: MessageEvent): boolean {
  return CONFIRMING_KINDS.some((confirming) => kind === confirming || kind === `late_${confirming}`);
}
