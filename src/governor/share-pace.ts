// One relay's pace among the lanes and dispatchers that use it. Each computes its own part from the same rows (what all
// say of themselves once a second), so all come to the same split without a leader. Pure.
//
// Transactional mail comes first; what it leaves is lent to bulk, and taken back as soon as it wants more. Among equals:
// by what they want, and equally where that is too much. The parts never sum to more than the pace. A user that wants
// nothing holds a small part all the same, so that it can begin at once; it is part of the sum, and what is not used of it
// the relay's queue misses, which raises the pace by as much (the gap to the target grows until it does).

import type { LanePriority } from "../mail/lane.ts";
import type { Reason } from "../mail/reasons.ts";
import { threeDigits } from "./three-digits.ts";

export interface PaceUser {
  /** Names the dispatcher; the same for all who look. */
  readonly key: string;
  readonly priority: LanePriority;
  /** Hand-overs per second that it lately started. */
  readonly takenPerS: number;
  /** It has more to hand over than its part allows. */
  readonly wantsMore: boolean;
}

export interface PaceToShare {
  readonly pace: number;
  /** What all of bulk together may have at most, whatever is left. Absent: all of it. */
  readonly bulkPace?: number;
  readonly users: readonly PaceUser[];
  /** The key of the one who asks. */
  readonly me: string;
}

export interface PaceShare {
  readonly pace: number;
  /** `relay_shared` for bulk that wants what transactional mail has; else none. */
  readonly reasons: readonly Reason[];
}

/** Of the pace, for all who want nothing now, by priority; between two rounds a burst begins with it. */
const STANDING_SHARE: Readonly<Record<LanePriority, number>> = { transactional: 0.05, bulk: 0.01 };
/** Left to bulk while transactional mail wants all: a lane that gets nothing at all could not even say that it works. */
const BULK_FLOOR_PER_S = 1;
const BULK_FLOOR_SHARE_MAX = 0.1;
/** Whoever does not want more may still grow by a quarter until the next round. */
const HEADROOM = 1.25;
/** Below this part of the pace transactional mail is no reason for what bulk does not get. */
const SHARED_SHARE_MIN = 0.01;

export function sharePace(given: PaceToShare): PaceShare {
  const { pace, users, me } = given;
  const bulkPace = Math.min(pace, given.bulkPace ?? Infinity);
  if (users.length === 0) return { pace, reasons: [] };
  const mine = users.find(({ key }) => key === me);
  // Who is not in the rows is in nobody's sum.
  if (mine === undefined) return { pace: 0, reasons: [] };
  if (pace === Infinity) return { pace: mine.priority === "bulk" ? equally(bulkPace, users) : Infinity, reasons: [] };
  const parts = split(pace, bulkPace, users);
  const part = parts.get(me) ?? 0;
  return { pace: part, reasons: mine.priority === "bulk" ? sharedReasons(pace, part, mine, users) : [] };
}

function equally(bulkPace: number, users: readonly PaceUser[]): number {
  return bulkPace / users.filter(({ priority }) => priority === "bulk").length;
}

function split(pace: number, bulkPace: number, users: readonly PaceUser[]): ReadonlyMap<string, number> {
  const transactional = users.filter(({ priority }) => priority === "transactional");
  const bulk = users.filter(({ priority }) => priority === "bulk");
  const floor = bulk.length === 0 ? 0 : Math.min(BULK_FLOOR_PER_S, BULK_FLOOR_SHARE_MAX * pace, bulkPace);
  const first = fill(pace - floor, demandsOf(transactional, pace));
  const second = fill(Math.min(pace - sum(first), bulkPace), demandsOf(bulk, pace));
  return spreadRest({ pace, bulkPace, first, second });
}

type Parts = readonly (readonly [key: string, perS: number])[];

/** What each asks for: all, or what it takes and some headroom, but its standing part at least. */
function demandsOf(users: readonly PaceUser[], pace: number): Parts {
  return users.map(({ key, priority, takenPerS, wantsMore }) => {
    const standing = (STANDING_SHARE[priority] * pace) / users.length;
    const taken = Number.isFinite(takenPerS) ? Math.max(0, takenPerS) : 0;
    return [key, wantsMore ? Infinity : Math.max(standing, taken * HEADROOM)] as const;
  });
}

/** The smallest demands first, each at most an equal part of what is left: so nobody can have more by asking for more. */
function fill(amount: number, demands: Parts): Parts {
  const ascending = demands.toSorted(([one, oneAsks], [other, otherAsks]) =>
    oneAsks === otherAsks ? (one < other ? -1 : 1) : oneAsks - otherAsks,
  );
  let left = amount;
  return ascending.map(([key, asked], at) => {
    const part = Math.max(0, Math.min(asked, left / (ascending.length - at)));
    left -= part;
    return [key, part] as const;
  });
}

/** Nobody asks for what is left, so whoever begins first may have it: half is bulk's, as far as it may have more. */
function spreadRest(split: {
  readonly pace: number;
  readonly bulkPace: number;
  readonly first: Parts;
  readonly second: Parts;
}): ReadonlyMap<string, number> {
  const { pace, bulkPace, first, second } = split;
  const rest = Math.max(0, pace - sum(first) - sum(second));
  const bulkRoom = second.length === 0 ? 0 : Math.max(0, bulkPace - sum(second));
  const toBulk = Math.min(bulkRoom, first.length === 0 ? rest : rest / 2);
  return new Map([...raise(first, rest - toBulk), ...raise(second, toBulk)]);
}

function raise(parts: Parts, amount: number): Parts {
  return parts.map(([key, part]) => [key, part + amount / parts.length] as const);
}

function sum(parts: Parts): number {
  return parts.reduce((total, [, part]) => total + part, 0);
}

function sharedReasons(pace: number, part: number, me: PaceUser, users: readonly PaceUser[]): readonly Reason[] {
  const transactional = users.filter(({ priority }) => priority === "transactional");
  const takenPerS = transactional.reduce((total, user) => total + Math.max(0, user.takenPerS), 0);
  if (!me.wantsMore || takenPerS <= SHARED_SHARE_MIN * pace) return [];
  const evidence = { transactional_per_s: threeDigits(takenPerS), pace_per_s: threeDigits(pace) };
  return [{ code: "relay_shared", limits: "pace", limit: part, evidence }];
}
