// How many messages of a campaign are made now. Pure.
//
// Three bounds, and the smallest holds: what the queue should have ahead, what the canary permits, what the pace permits.
// Ahead: dispatchers should find so many rows that none of them waits for us. What lies there may be stuck, though, and a
// list may be sorted by domain: so beyond that a chunk a second is made all the same. Behind a destination that takes nothing
// the others are found at that rate, and the work is bounded. A full lane gets none.
// Pace: a bucket that fills by time and holds what ten seconds bring. What was made and not sent yet counts, too: should the
// relay stand still, no more than a minute's worth lies ready for when it goes on.

import type { FeedState } from "./feed-store.ts";

/** Rows of one transaction: about a twentieth of a second. */
export const CHUNK_ROWS = 2_000;
/** Rows that dispatchers find ahead: some seconds' worth at full speed. */
export const AHEAD_ROWS = 50_000;
const CREEP_MS = 1_000;
const PACE_BUCKET_S = 10;
/** With a full bucket a minute's worth. */
const PACE_AHEAD_S = 50;

export interface Feeding {
  readonly rows: number;
  /** What the pace permits by now, before these. */
  readonly bucket: number;
}

/** `msSinceLast`: since a chunk of this campaign was made last. */
export function feedingOf(state: FeedState, msSinceLast: number): Feeding {
  const { allowed, bucket } = paceOf(state);
  if (state.lane_is_full) return { rows: 0, bucket };
  const aheadRows = state.waiting < AHEAD_ROWS || msSinceLast >= CREEP_MS ? CHUNK_ROWS : 0;
  const canaryRows = state.rows_max === null ? Infinity : state.rows_max - state.made;
  return { rows: Math.max(0, Math.min(state.due, aheadRows, canaryRows, allowed)), bucket };
}

function paceOf({ pace_per_s, pace_left, fed_ms_ago, waiting }: FeedState): { allowed: number; bucket: number } {
  if (pace_per_s === null) return { allowed: Infinity, bucket: 0 };
  // The first one goes at once.
  const filled = fed_ms_ago === null ? 1 : pace_left + (Math.max(0, fed_ms_ago) / 1000) * pace_per_s;
  const bucket = Math.min(filled, Math.max(1, pace_per_s * PACE_BUCKET_S));
  const room = Math.max(1, Math.floor(pace_per_s * PACE_AHEAD_S)) - waiting;
  return { allowed: Math.min(Math.floor(bucket), room), bucket };
}
