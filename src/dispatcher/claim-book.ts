// Which claim each row in memory belongs to. A claim writes one batch with its ids into the database; once all of its
// rows are settled, the next claim forgets it there. A message may be claimed again before the answer to its settle is
// here: so a claim is known by its row itself, and the latest one of a message by the message's id.

import { strict as assert } from "node:assert";
import type { MessageId } from "../mail/ids.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";

export interface ClaimBook {
  /** For a claim: the id of its batch, and those that it may forget. */
  open(): { readonly batchId: number; readonly finishedIds: readonly number[] };
  took(batchId: number, rows: readonly ClaimedRow[]): void;
  /** The claim was not answered: what it should have forgotten is still there. */
  notAnswered(finishedIds: readonly number[]): void;
  /** False once its message was claimed again. */
  isLatest(row: ClaimedRow): boolean;
  /** Ends the claims of these rows. Answers the messages that have not been claimed again. */
  end(rows: readonly ClaimedRow[]): readonly MessageId[];
}

interface Batch {
  readonly id: number;
  rowsLeft: number;
}

export function createClaimBook(): ClaimBook {
  const batches = new Map<ClaimedRow, Batch>();
  const latest = new Map<MessageId, ClaimedRow>();
  let lastBatchId = 0;
  let finishedIds: number[] = [];
  const isLatest = (row: ClaimedRow): boolean => latest.get(row.message_id) === row;

  return {
    open() {
      const batch = { batchId: ++lastBatchId, finishedIds };
      finishedIds = [];
      return batch;
    },
    took(id, rows) {
      const batch = { id, rowsLeft: rows.length };
      for (const row of rows) {
        batches.set(row, batch);
        latest.set(row.message_id, row);
      }
    },
    notAnswered(ids) {
      finishedIds.push(...ids);
    },
    isLatest,
    end(rows) {
      const free = rows.filter(isLatest).map(({ message_id }) => message_id);
      for (const id of free) latest.delete(id);
      for (const row of rows) {
        const batch = batches.get(row);
        assert(batch !== undefined, `the claim of message ${row.message_id} has ended already`);
        batches.delete(row);
        if (--batch.rowsLeft === 0) finishedIds.push(batch.id);
      }
      return free;
    },
  };
}
