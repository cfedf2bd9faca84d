// The lane's queue in PostgreSQL: the stores behind the dispatcher's seam, with the transactions that settling needs.

import type { ClientBase, Pool } from "pg";
import { appendEvents, type MessageEvent } from "../events/event-store.ts";
import type { Sight } from "../guard/judge-guard.ts";
import type { LaneId, LeaseId, MessageId } from "../mail/ids.ts";
import { queueIdIn } from "../mail/reply.ts";
import type { Clock } from "../platform/clock.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { recordStateChanges, type StateChange } from "../queue/balance-store.ts";
import { readOrders } from "../queue/lane-store.ts";
import { holdLease, renewLeaseIfHeld } from "../queue/lease-store.ts";
import { pauseTarget } from "../queue/pause-store.ts";
import {
  bringQueuedForward,
  claim,
  discoverDestinations,
  giveBackIfClaimed,
  lookForArrivals,
  nextDue,
  settleIfClaimed,
  type BackRow,
  type ClaimedRow,
} from "../queue/queue-store.ts";
import { strikeBadAddresses } from "../suppression/bounce-strikes.ts";
import { readSuppressed } from "../suppression/claimed-store.ts";
import { readHealth, readHealthChanges } from "./health-store.ts";
import type { LaneQueue, Settlement } from "./lane-queue.ts";
import { keepVerdictOnce, readSurroundings } from "./verdict-store.ts";

export function createDatabaseQueue(given: {
  readonly pool: Pool;
  readonly laneId: LaneId;
  readonly leaseId: LeaseId;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly prepare: (rows: readonly ClaimedRow[]) => Promise<void>;
  /** What becomes of them is known: they are not composed again. */
  readonly release: (rows: readonly ClaimedRow[]) => void;
  /** The guard's heartbeat came back. False: nothing more may be sent from this database. Absent: nobody asks. */
  readonly heard?: (beat: Sight) => boolean;
}): LaneQueue {
  const { pool, laneId, leaseId } = given;
  return {
    look: (cursor) => lookForArrivals(pool, laneId, cursor),
    discover: (campaignId, after, rowsMax) => discoverDestinations(pool, { laneId, campaignId, after, rowsMax }),
    nextDue: (wants) => nextDue(pool, laneId, wants),
    claim: (wants, batchId, finishedBatchIds, editions) =>
      claim(pool, { leaseId, laneId, wants, batchId, finishedBatchIds, editions }),
    settle(group) {
      // At the first try: what is concluded is not composed again, and of later tries some may be left out.
      given.release(group.map(({ row }) => row));
      return inTransaction(pool, async (client) => {
        if (!(await holdLease(client, leaseId))) return "lease_lost";
        await writeSettlements(client, { laneId, leaseId, group, nowMs: given.clock.monotonicMs() });
        return "settled";
      });
    },
    orders: () => readOrders(pool, laneId),
    async renew(pulse) {
      const beat = await renewLeaseIfHeld(pool, leaseId, given.leaseMs, pulse);
      return beat !== undefined && (given.heard?.(beat) ?? true);
    },
    surroundings: (outlets) => readSurroundings(pool, { laneId, outlets, leaseMs: given.leaseMs }),
    keepVerdict: (verdict) => keepVerdictOnce(pool, verdict),
    health: (destinations) => readHealth(pool, destinations),
    healthChanges: (cursor) => readHealthChanges(pool, cursor),
    bringForward: () => bringQueuedForward(pool, laneId),
    pause: async (target, reason) => void (await pauseTarget(pool, { ...target, laneId }, reason)),
    prepare: given.prepare,
    suppressed: (rows) => readSuppressed(pool, laneId, rows),
  };
}

/** Within a transaction that has taken the lease: states, events and books together, or none of them. */
export async function writeSettlements(
  client: ClientBase,
  given: {
    readonly laneId: LaneId;
    readonly leaseId: LeaseId;
    readonly group: readonly Settlement[];
    /** Monotonic, now. */
    readonly nowMs: number;
  },
): Promise<void> {
  const { laneId, leaseId, group, nowMs } = given;
  const settledIds: MessageId[] = [];
  const back: BackRow[] = [];
  for (const { row, becomes } of group) {
    if (becomes.kind === "settled") settledIds.push(row.message_id);
    else back.push({ messageId: row.message_id, fromState: row.state, ...becomes });
  }
  const done = new Set<MessageId>();
  if (settledIds.length > 0) for (const id of await settleIfClaimed(client, leaseId, settledIds)) done.add(id);
  if (back.length > 0) for (const id of await giveBackIfClaimed(client, leaseId, back)) done.add(id);
  const written = group.filter(({ row }) => done.has(row.message_id));
  const events = written.flatMap((settlement) => eventOf(settlement, nowMs));
  await appendEvents(client, events);
  await recordStateChanges(
    client,
    written.flatMap((settlement) => changeOf(laneId, settlement)),
  );
  await strikeBadAddresses(client, events);
}

function eventOf({ row, attempt, event }: Settlement, nowMs: number): readonly MessageEvent[] {
  if (event === undefined) return [];
  const { kind, outlet, host, reply, clientPort, happenedAtMs = nowMs } = event;
  const queueId = kind === "sent" && reply !== undefined ? queueIdIn(reply) : undefined;
  const agoMs = nowMs - happenedAtMs;
  return [
    { messageId: row.message_id, attempt, kind, outlet, host, reply, queueId, clientPort, agoMs, version: row.version },
  ];
}

function changeOf(laneId: LaneId, { row, becomes }: Settlement): readonly StateChange[] {
  if (row.state === becomes.state) return [];
  return [{ laneId, campaignId: row.campaign_id, acceptedOn: row.accepted_on, from: row.state, to: becomes.state }];
}
