// What people do to messages that wait: hold, release, cancel one; accept or resend one whose fate is unknown. Each is
// one transaction of queue, events and books. A message that is claimed is past stopping: it is waited for a moment,
// since most claims end within one, and then the answer says so. Never touches a message that waits no longer.

import type { ClientBase, Pool } from "pg";
import { appendEvents, type MessageEvent } from "../events/event-store.ts";
import type { MessageId } from "../mail/ids.ts";
import { mayBecome, type State, type WaitingState } from "../mail/state.ts";
import type { Clock } from "../platform/clock.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { recordStateChanges, type StateChange } from "./balance-store.ts";
import {
  holdMessage,
  lockMessage,
  releaseMessage,
  releaseMessages,
  removeFromQueue,
  type ControlledRow,
} from "./control-store.ts";
import { retryIfUnknown, settleIfUnknown, type UnknownRow } from "./unknown-store.ts";

export type ControlAnswer =
  | { readonly kind: "done"; readonly from: WaitingState; readonly to: State }
  /** It is as it was asked to be. */
  | { readonly kind: "is_so_already"; readonly state: WaitingState }
  /** Its state cannot become that. */
  | { readonly kind: "refused"; readonly state: WaitingState }
  | { readonly kind: "being_handed_over" }
  /** It has no row in the queue: it is settled, or never was. */
  | { readonly kind: "not_waiting" };

export interface ControlPorts {
  readonly pool: Pool;
  readonly clock: Clock;
}

/** Most claims end within this: a hand-over takes milliseconds, and an unclaim follows a pause within a second. */
export const CLAIM_WAIT_MS_MAX = 1000;
export const CLAIM_LOOK_MS = 50;
/** Of a reason that a person gives; the event keeps it. */
const REASON_CHARS_MAX = 1000;

export async function holdIfUnclaimed(ports: ControlPorts, id: MessageId, reason: string): Promise<ControlAnswer> {
  return await onceUnclaimed(ports, id, async (client, row) => {
    if (row.state === "held") return { kind: "is_so_already", state: row.state };
    if (!mayBecome(row.state, "held")) return { kind: "refused", state: row.state };
    await holdMessage(client, id);
    return await recorded(client, row, "held", { kind: "held", reply: reason.slice(0, REASON_CHARS_MAX) });
  });
}

/** Due at once, whenever it was due before it was held. */
export async function releaseIfHeld(ports: ControlPorts, id: MessageId): Promise<ControlAnswer> {
  return await onceUnclaimed(ports, id, async (client, row) => {
    if (row.state !== "held") return { kind: "refused", state: row.state };
    const state = await releaseMessage(client, id);
    return await recorded(client, row, state, { kind: "released", reply: RELEASED });
  });
}

/** All at once, in one transaction. Answers how many were (still) held. */
export async function releaseHeld(pool: Pool, ids: readonly MessageId[]): Promise<number> {
  return await inTransaction(pool, async (client) => {
    const rows = await releaseMessages(client, ids);
    await appendEvents(
      client,
      rows.map((row) => ({ messageId: row.message_id, attempt: row.attempts, kind: "released", reply: RELEASED })),
    );
    await recordStateChanges(
      client,
      rows.map((row) => stateChange(row, "held", row.state)),
    );
    return rows.length;
  });
}

const RELEASED = "released by a person";

export async function cancelIfUnclaimed(ports: ControlPorts, id: MessageId): Promise<ControlAnswer> {
  return await onceUnclaimed(ports, id, async (client, row) => {
    await removeFromQueue(client, id);
    return await recorded(client, row, "canceled", { kind: "canceled", reply: "canceled by a person" });
  });
}

/** They count as sent from now on. Answers those that were (still) unknown and not claimed. */
export async function acceptUnknown(pool: Pool, ids: readonly MessageId[]): Promise<readonly MessageId[]> {
  return await decideUnknown(pool, ids, settleIfUnknown, "sent", "accepted by a person without a reply of the server");
}

/** They are due now, and may arrive a second time. Answers those that were (still) unknown and not claimed. */
export async function resendUnknown(pool: Pool, ids: readonly MessageId[]): Promise<readonly MessageId[]> {
  return await decideUnknown(
    pool,
    ids,
    retryIfUnknown,
    "deferred",
    "sent again by a person, who accepts a second copy",
  );
}

async function onceUnclaimed(
  { pool, clock }: ControlPorts,
  id: MessageId,
  act: (client: ClientBase, row: ControlledRow) => Promise<ControlAnswer>,
): Promise<ControlAnswer> {
  const giveUpAtMs = clock.monotonicMs() + CLAIM_WAIT_MS_MAX;
  for (;;) {
    const answer = await inTransaction<ControlAnswer>(pool, async (client) => {
      const row = await lockMessage(client, id);
      if (row === undefined) return { kind: "not_waiting" };
      if (row.is_claimed) return { kind: "being_handed_over" };
      return await act(client, row);
    });
    if (answer.kind !== "being_handed_over" || clock.monotonicMs() >= giveUpAtMs) return answer;
    await new Promise<void>((resolve) => void clock.after(CLAIM_LOOK_MS, resolve));
  }
}

async function recorded(
  client: ClientBase,
  row: ControlledRow,
  to: State,
  event: Pick<MessageEvent, "kind" | "reply">,
): Promise<ControlAnswer> {
  await appendEvents(client, [{ messageId: row.message_id, attempt: row.attempts, ...event }]);
  await recordStateChanges(client, [stateChange(row, row.state, to)]);
  return { kind: "done", from: row.state, to };
}

async function decideUnknown(
  pool: Pool,
  ids: readonly MessageId[],
  decide: typeof settleIfUnknown,
  to: "sent" | "deferred",
  reply: string,
): Promise<readonly MessageId[]> {
  return await inTransaction(pool, async (client) => {
    const rows = await decide(
      client,
      ids.map((messageId) => ({ messageId, attempt: null })),
    );
    await appendEvents(
      client,
      rows.map(({ message_id, attempts, version }) => ({
        messageId: message_id,
        attempt: attempts,
        kind: to,
        reply,
        version,
      })),
    );
    await recordStateChanges(
      client,
      rows.map((row) => stateChange(row, "unknown", to)),
    );
    return rows.map((row) => row.message_id);
  });
}

function stateChange(row: Omit<UnknownRow, "attempts" | "version">, from: State, to: State): StateChange {
  return { laneId: row.lane_id, campaignId: row.campaign_id, acceptedOn: row.accepted_on, from, to };
}
