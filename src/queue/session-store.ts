// How the sessions that work on the hot tables are planned. Every statement there is a nested loop over an index, at
// any size of the queue. The planner may think otherwise while its statistics are young (a campaign of a million rows
// arrives within seconds), and one sequential scan of the queue costs more than all that these settings could lose.
// Nor does any of them have work for several processes: with two million rows queued the look for arrivals, which reads
// three pages, was planned with two workers, and took 5.6 ms instead of 0.1.

import type { ClientBase } from "pg";
import { rowsOf, statement } from "../postgres/statement.ts";

const PLAN_FOR_THE_QUEUE = `SET SESSION plan_cache_mode = force_generic_plan; SET SESSION enable_seqscan = off;
  SET SESSION enable_hashjoin = off; SET SESSION enable_mergejoin = off; SET SESSION enable_bitmapscan = off;
  SET SESSION max_parallel_workers_per_gather = 0; SET SESSION jit = off`;

export async function planForTheQueue(client: ClientBase): Promise<void> {
  await client.query(PLAN_FOR_THE_QUEUE);
}

export const END_IF_SILENT = statement<unknown>(
  "session_end_if_silent",
  "SELECT set_config('idle_in_transaction_session_timeout', $1::int::text, false)",
);

/**
 * A process that stops amid a transaction keeps its locks: the server ends the session after this long. Of a dispatcher that
 * is the lock of its own lease, for which its rescuer would wait until the process goes on, or the network says that it is
 * gone.
 */
export async function endIfSilentInTransaction(client: ClientBase, silentMsMax: number): Promise<void> {
  await rowsOf(client, END_IF_SILENT, [silentMsMax]);
}
