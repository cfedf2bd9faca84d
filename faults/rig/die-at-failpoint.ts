// The rig's side of failpoints: it orders a process of a world to die at a point, and waits until it has.

import type { Scope } from "../../test/rig/scope.ts";
import type { FailpointMark, FailpointName, FailpointOrder } from "./failpoints.ts";
import { openOrders } from "./orders.ts";
import { preloaded, type PreloadName } from "./preloaded.ts";

export interface Failpoints {
  /** Variables that a process must have to die at them. */
  readonly env: Readonly<Record<string, string>>;
  /** Resolves when one of the processes has died of it; undefined: none has, and none will any more. */
  dieAt(point: FailpointName, processes: readonly string[], times: number): Promise<FailpointMark | undefined>;
}

/** A point that is not reached in this time is not on the road. */
const DIED_MS_MAX = 60_000;

/** `ahead`: what else is loaded into each process, before this. */
export function openFailpoints(scope: Scope, ...ahead: readonly PreloadName[]): Failpoints {
  const orders = openOrders<FailpointOrder, FailpointMark>(scope);
  return {
    env: { ...orders.env, ...preloaded(...ahead, "failpoints-preload") },
    async dieAt(point, processes, times) {
      await orders.give({ point, processes, times });
      await orders.untilMarked(DIED_MS_MAX);
      return orders.takeBack();
    },
  };
}
