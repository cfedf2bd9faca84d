// Claimed messages that wait for an outlet to pull them, apart by the way that they go: retries wait for their own
// outlets and never stand in front of fresh mail.

import type { ClaimedRow } from "../queue/queue-store.ts";
import type { Route } from "./destinations.ts";

export interface ReadyRows {
  add(row: ClaimedRow, route: Route): void;
  /** It is the first one again. */
  putBack(row: ClaimedRow, route: Route): void;
  /** The first one that may go; it leaves. */
  next(route: Route, mayGo: (row: ClaimedRow) => boolean): ClaimedRow | undefined;
  /** Those that are meant leave, in their order. */
  take(isMeant: (row: ClaimedRow, route: Route) => boolean): readonly ClaimedRow[];
  count(route: Route): number;
  readonly size: number;
}

export function createReadyRows(): ReadyRows {
  const rows: Record<Route, ClaimedRow[]> = { main: [], retry: [] };
  return {
    add: (row, route) => void rows[route].push(row),
    putBack: (row, route) => void rows[route].unshift(row),
    next(route, mayGo) {
      const index = rows[route].findIndex(mayGo);
      if (index < 0) return undefined;
      return index === 0 ? rows[route].shift() : rows[route].splice(index, 1)[0];
    },
    take(isMeant) {
      const taken: ClaimedRow[] = [];
      for (const route of ["main", "retry"] as const) {
        const meant = rows[route].filter((row) => isMeant(row, route));
        if (meant.length === 0) continue;
        const gone = new Set(meant);
        rows[route] = rows[route].filter((row) => !gone.has(row));
        taken.push(...meant);
      }
      return taken;
    },
    count: (route) => rows[route].length,
    get size() {
      return rows.main.length + rows.retry.length;
    },
  };
}
