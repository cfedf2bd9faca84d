// What a dispatcher says of itself once a second, with its lease: what `status`, `explain` and the metrics read, and what
// the other dispatchers of an outlet need to share it. Keys are a contract between versions that run at the same time:
// readers take what is missing for nothing.

import type { LanePriority } from "./lane.ts";
import type { Reason } from "./reasons.ts";

export interface Pulse {
  readonly priority: LanePriority;
  readonly in_flight: number;
  readonly ready: number;
  /** Destinations in mind. */
  readonly destinations: number;
  readonly rate_per_s: number;
  readonly settled_total: number;
  readonly settled_ms_ago: number;
  readonly waiting_p50_ms: number | null;
  readonly waiting_p99_ms: number | null;
  /** Of settling: the mean of the last second, and the median of the last hour. */
  readonly commit_ms: number | null;
  readonly commit_usual_ms: number | null;
  /** Messages that one settling transaction carried, the mean of the last second. */
  readonly settle_group?: number | null;
  readonly outlets: readonly OutletPulse[];
  /** Destinations of which mail waits because they fail or have not proven themselves. */
  readonly throttled: {
    readonly count: number;
    /** At most `THROTTLED_TOLD_MAX`. */
    readonly some: readonly ThrottledDestination[];
  };
}

export interface OutletPulse {
  readonly name: string;
  readonly window: number;
  readonly open: number;
  /** Hand-overs per second that this dispatcher may start; null: not limited. */
  readonly pace_per_s: number | null;
  /** Hand-overs per second that it lately started. */
  readonly taken_per_s: number;
  /** Mail for this outlet is ready or could be claimed, and the verdict keeps it back. */
  readonly wants_more: boolean;
  /** Messages that the outlet has taken (250 after the dot) since this dispatcher began. */
  readonly handed_total: number;
  /** What limits, the tightest first; never empty. */
  readonly reasons: readonly Reason[];
}

export interface ThrottledDestination {
  readonly destination: string;
  readonly reason: Reason;
}

export const THROTTLED_TOLD_MAX = 20;
