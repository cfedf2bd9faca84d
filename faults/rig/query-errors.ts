// The order to lose one query: the k-th that a process sends from then on, or the first of a statement.

import type { Order } from "./orders.ts";

/** `before`: it is not sent; `after`: the server has done it, and the answer is lost. Its connection is gone either way. */
export type Moment = "before" | "after";
export const MOMENTS: readonly Moment[] = ["before", "after"];

export interface QueryErrorOrder extends Order {
  readonly moment: Moment;
  /** Counted from 1. */
  readonly index?: number;
  readonly statement?: string;
}

export interface QueryErrorMark {
  readonly atMs: number;
  readonly pid: number;
  readonly statement: string;
}
