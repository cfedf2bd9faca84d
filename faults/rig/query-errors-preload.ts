// Loaded into each of Postlane's processes ahead of the program: loses the query that the rig has ordered to be lost, with
// its connection (query-errors.ts), and tells which statements there are.

import { hearOrders, type HeardOrders } from "./orders.ts";
import type { Moment, QueryErrorMark, QueryErrorOrder } from "./query-errors.ts";
import { hookQueries, type SentQuery } from "./query-hook.ts";

let indexLeft = 0;
const orders = hearOrders<QueryErrorOrder, QueryErrorMark>(({ index }) => (indexLeft = index ?? 0));
if (orders !== undefined) follow(orders);

function follow(heard: HeardOrders<QueryErrorOrder, QueryErrorMark>): void {
  const seen = new Set<string>();
  const doomed = new WeakSet<SentQuery>();
  const isMeant = (statement: string): boolean => {
    if (heard.order === undefined) return false;
    return heard.order.statement === undefined ? --indexLeft === 0 : heard.order.statement === statement;
  };
  const lose = (moment: Moment, statement: string): Error | undefined => {
    const atMs = performance.timeOrigin + performance.now();
    if (!heard.mark({ atMs, pid: process.pid, statement })) return undefined;
    return new Error(`Connection terminated unexpectedly (${moment} ${statement}, by order)`);
  };
  hookQueries({
    before(query) {
      if (!seen.has(query.name)) heard.tell(query.name);
      seen.add(query.name);
      if (!isMeant(query.name)) return undefined;
      if (heard.order?.moment === "before") return lose("before", query.name);
      doomed.add(query);
      return undefined;
    },
    after: (query) => (doomed.has(query) ? lose("after", query.name) : undefined),
  });
}
