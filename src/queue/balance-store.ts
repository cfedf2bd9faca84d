// The books: how many messages of a lane, campaign and day are in which state. Appended in the transaction that changes
// the state, folded by upkeep, read as the sum of both; never counted by scanning the queue.

import type { ClientBase } from "pg";
import type { CampaignId, LaneId } from "../mail/ids.ts";
import type { State } from "../mail/state.ts";
import { countOf, numberArray, statement, type Queryable } from "../postgres/statement.ts";

export interface StateChange {
  readonly laneId: LaneId;
  readonly campaignId: CampaignId;
  readonly acceptedOn: string;
  readonly from: State;
  readonly to: State;
}

export const RECORD = statement<unknown>(
  "balance_record",
  `INSERT INTO postlane.balance_delta (lane_id, campaign_id, accepted_on, state, n)
   SELECT * FROM unnest($1::smallint[], $2::integer[], $3::date[], $4::text[], $5::bigint[])`,
);

/** Each message leaves the count of one state and joins another's, in the caller's transaction. */
export async function recordStateChanges(client: ClientBase, changes: readonly StateChange[]): Promise<void> {
  const deltas = sumUp(changes);
  if (deltas.length === 0) return;
  await countOf(client, RECORD, [
    numberArray(deltas.map((delta) => delta.laneId)),
    numberArray(deltas.map((delta) => delta.campaignId)),
    deltas.map((delta) => delta.acceptedOn),
    deltas.map((delta) => delta.state),
    numberArray(deltas.map((delta) => delta.n)),
  ]);
}

interface Delta {
  readonly laneId: LaneId;
  readonly campaignId: CampaignId;
  readonly acceptedOn: string;
  readonly state: State;
  n: number;
}

function sumUp(changes: readonly StateChange[]): readonly Delta[] {
  const deltas = new Map<string, Delta>();
  const add = (change: StateChange, state: State, n: number): void => {
    const key = `${change.laneId} ${change.campaignId} ${change.acceptedOn} ${state}`;
    const delta = deltas.get(key);
    if (delta === undefined) {
      const { laneId, campaignId, acceptedOn } = change;
      deltas.set(key, { laneId, campaignId, acceptedOn, state, n });
    } else delta.n += n;
  };
  for (const change of changes) {
    add(change, change.from, -1);
    add(change, change.to, 1);
  }
  return [...deltas.values()].filter((delta) => delta.n !== 0);
}

// One folder at a time: two would wait for each other's balance rows. Who does not get the lock leaves it to the other.
export const FOLD = statement<unknown>(
  "balance_fold",
  `WITH alone AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtext('postlane.balance_fold')) AS is_mine),
   taken AS (
     DELETE FROM postlane.balance_delta WHERE (SELECT is_mine FROM alone)
     RETURNING lane_id, campaign_id, accepted_on, state, n
   )
   INSERT INTO postlane.balance AS kept (lane_id, campaign_id, accepted_on, state, n)
   SELECT lane_id, campaign_id, accepted_on, state, sum(n) FROM taken GROUP BY 1, 2, 3, 4
   ON CONFLICT (lane_id, campaign_id, accepted_on, state) DO UPDATE SET n = kept.n + excluded.n`,
);

export async function foldBalance(on: Queryable): Promise<void> {
  await countOf(on, FOLD);
}
