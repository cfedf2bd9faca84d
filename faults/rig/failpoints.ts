// The named failpoints, and the orders to die at them. A point stands where a process touches the outside: the journal's
// file, the relay's socket, the database; for what a process thought and did not do is gone with it. The rig writes
// an order; failpoints-preload.ts, loaded into each of Postlane's processes, follows it, and writes into its mark what it
// knew of the journal.

import type { Order } from "./orders.ts";

export interface Failpoint {
  /**
   * `work`: of a dispatcher that hands over; `rescue`: of whoever comes first after a death, a dispatcher or the front;
   * `start`: of the dispatcher that comes after a death; `front`.
   */
  readonly where: "work" | "rescue" | "start" | "front";
  readonly when: string;
  /**
   * The message at this point has its dot line in the journal and its answer not: it becomes unknown. At all others
   * nothing does but what was between those two lines of its own.
   */
  readonly isBetween: boolean;
  /** The seed picks the time at which it fires, from the first up to this one. */
  readonly timesMax: number;
}

// Claims, dots and replies come by the dozen each second; renewals once a second; what happens at a start, once.
const OFTEN = 25;
const SECONDLY = 2;

const at = (
  where: Failpoint["where"],
  when: string,
  { isBetween = false, timesMax = where === "start" || where === "rescue" ? 1 : OFTEN }: Partial<Failpoint> = {},
): Failpoint => ({ where, when, isBetween, timesMax });

export const FAILPOINTS = {
  "before-claim": at("work", "a claim is about to be sent"),
  "after-claim": at("work", "rows are claimed, and the dispatcher has not heard of it"),
  "before-dot-line": at("work", "final dots are about to be noted in the journal"),
  "mid-dot-line": at("work", "half of a dot line is in the journal", { isBetween: true }),
  "after-dot-line": at("work", "dots are noted, and nothing of the content is on the wire", { isBetween: true }),
  "mid-content": at("work", "half of a content is on the wire", { isBetween: true }),
  "after-dot": at("work", "a final dot is on the wire, and no reply was read", { isBetween: true }),
  "after-reply": at("work", "the reply was read, and nothing made of it", { isBetween: true }),
  "before-answer-line": at("work", "the reply is about to be noted in the journal", { isBetween: true }),
  "after-answer-line": at("work", "the reply is noted, and not settled"),
  "before-settle-commit": at("work", "a settle is about to be committed"),
  "after-settle-commit": at("work", "a settle is committed, and the dispatcher has not heard of it"),
  "before-renewal": at("work", "the lease is about to be renewed", { timesMax: SECONDLY }),
  "after-renewal": at("work", "the lease is renewed, and the dispatcher has not heard of it", { timesMax: SECONDLY }),
  "before-rescue-commit": at("rescue", "the rescue of a dead dispatcher is about to be committed"),
  "after-rescue-commit": at("rescue", "the rescue is committed, and the rescuer has not heard of it"),
  "before-journal-removed": at("rescue", "the rescue is done, and the dead one's journal is still there"),
  "before-lease": at("start", "a lease is about to be asked for"),
  "after-lease": at("start", "the lease is given, and there is no journal"),
  "before-suspect-line": at("start", "a suspect is about to be named in the journal"),
  "after-suspect-line": at("start", "a suspect is named, and not merged"),
  "before-submission-commit": at("front", "an HTTP submission is about to be committed"),
  "after-submission-commit": at("front", "an HTTP submission is committed, and its 2xx not given"),
} as const satisfies Readonly<Record<string, Failpoint>>;

export type FailpointName = keyof typeof FAILPOINTS;

export interface FailpointOrder extends Order {
  readonly point: FailpointName;
  /** It fires when the point is reached for the n-th time since the process heard of the order. */
  readonly times: number;
}

/** What the process wrote before it died. */
export interface FailpointMark {
  readonly atMs: number;
  readonly pid: number;
  /** Attempts whose dot line was in the journal and whose answer was not, as "message attempt". */
  readonly openDots: readonly string[];
  /** Of the lines that were being written; empty at points that write none. */
  readonly concerned: readonly string[];
}
