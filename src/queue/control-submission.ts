// What whoever submitted may still do to it: cancel what waits of a submission, or give it another time. One transaction
// of queue, events and books, as often as it takes: a message that is claimed is waited for a moment, since most claims
// end within one, and then the answer says that it is being handed over. Never touches a message that waits no longer.

import type { ClientBase } from "pg";
import { appendEvents } from "../events/event-store.ts";
import type { MessageId } from "../mail/ids.ts";
import type { WaitingState } from "../mail/state.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { recordStateChanges } from "./balance-store.ts";
import { CLAIM_LOOK_MS, CLAIM_WAIT_MS_MAX, type ControlPorts } from "./control-messages.ts";
import {
  readScheduledTime,
  readWaiting,
  removeUnclaimed,
  rescheduleUnclaimed,
  type ControlledRow,
  type MovedRow,
} from "./control-store.ts";

export interface SubmissionControl {
  /** Those that were moved. */
  readonly moved: readonly MessageId[];
  /** Those that could not be, since a dispatcher has them. */
  readonly beingHandedOver: readonly MessageId[];
  /** Those that wait in a state that forbids it. Every other one waits no longer. */
  readonly refused: readonly { readonly id: MessageId; readonly state: WaitingState }[];
}

/** `by` is told in the story: `key:7`. */
export async function cancelUnclaimed(
  ports: ControlPorts,
  ids: readonly MessageId[],
  by: string,
): Promise<SubmissionControl> {
  return await onceUnclaimed(
    ports,
    ids,
    () => true,
    async (client) => {
      const rows = await removeUnclaimed(client, ids);
      await appendEvents(
        client,
        rows.map((row) => eventOf(row, "canceled", `canceled by ${by}`)),
      );
      await recordStateChanges(
        client,
        rows.map((row) => changeOf(row, row.state, "canceled")),
      );
      return rows;
    },
  );
}

export type Rescheduling =
  | ({ readonly kind: "rescheduled" } & SubmissionControl)
  | { readonly kind: "expired_by_then" };

/**
 * Only what is (still) `scheduled` gets another time; a time that has passed means now. Throws the database's PL006 when
 * `text` is no time.
 */
export async function rescheduleScheduled(
  ports: ControlPorts,
  ids: readonly MessageId[],
  text: string,
  by: string,
): Promise<Rescheduling> {
  const { at, is_too_late } = await inTransaction(ports.pool, (client) => readScheduledTime(client, text, ids));
  if (is_too_late) return { kind: "expired_by_then" };
  const control = await onceUnclaimed(
    ports,
    ids,
    ({ state }) => state === "scheduled",
    async (client) => {
      const rows = await rescheduleUnclaimed(client, ids, at);
      await appendEvents(
        client,
        rows.map((row) => eventOf(row, "rescheduled", `to ${at}, by ${by}`)),
      );
      await recordStateChanges(
        client,
        rows.map((row) => changeOf(row, "scheduled", row.state)),
      );
      return rows;
    },
  );
  return { kind: "rescheduled", ...control };
}

async function onceUnclaimed(
  { pool, clock }: ControlPorts,
  ids: readonly MessageId[],
  isAllowed: (row: Pick<ControlledRow, "state">) => boolean,
  act: (client: ClientBase) => Promise<readonly MovedRow[]>,
): Promise<SubmissionControl> {
  const giveUpAtMs = clock.monotonicMs() + CLAIM_WAIT_MS_MAX;
  const moved = new Set<MessageId>();
  for (;;) {
    const step = await inTransaction(pool, async (client) => {
      const rows = await act(client);
      return { rows, waiting: await readWaiting(client, ids) };
    });
    for (const row of step.rows) moved.add(row.message_id);
    const left = step.waiting.filter((row) => !moved.has(row.message_id));
    const stopped = left.filter(isAllowed);
    if (stopped.length === 0 || clock.monotonicMs() >= giveUpAtMs) {
      const refused = left.filter((row) => !isAllowed(row)).map(({ message_id, state }) => ({ id: message_id, state }));
      return { moved: [...moved], beingHandedOver: stopped.map((row) => row.message_id), refused };
    }
    await new Promise<void>((resolve) => void clock.after(CLAIM_LOOK_MS, resolve));
  }
}

function eventOf(row: MovedRow, kind: string, reply: string) {
  return { messageId: row.message_id, attempt: row.attempts, kind, reply };
}

function changeOf(row: MovedRow, from: WaitingState, to: WaitingState | "canceled") {
  return { laneId: row.lane_id, campaignId: row.campaign_id, acceptedOn: row.accepted_on, from, to };
}
