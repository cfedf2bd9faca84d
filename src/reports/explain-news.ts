// Which limits have begun and which are over, for the log: a jam that nobody watched can be read up later. What stops or
// lies under a slow road is news; the governor's verdicts, which move every second, are not. Pure.

import { RANK, type Limit } from "./explain-limit.ts";

export interface LimitNews {
  /** What has begun or ended with this look; each only once it has lasted for `LOOKS_MIN` looks. */
  look(limits: readonly Limit[], nowMs: number): readonly News[];
}

export interface News {
  readonly kind: "began" | "ended";
  /** As it was seen last. */
  readonly limit: Limit;
  readonly sinceMs: number;
}

/** A limit that is there for one look was a hiccup, and so is one that is missing in one. */
const LOOKS_MIN = 2;

interface Watched {
  limit: Limit;
  readonly sinceMs: number;
  seen: number;
  missed: number;
  isTold: boolean;
}

export function createLimitNews(): LimitNews {
  const watched = new Map<string, Watched>();
  return {
    look(limits, nowMs) {
      const now = new Map(limits.filter(isNews).map((limit) => [keyOf(limit), limit]));
      for (const [key, limit] of now) {
        const before = watched.get(key);
        if (before === undefined) watched.set(key, { limit, sinceMs: nowMs, seen: 1, missed: 0, isTold: false });
        else Object.assign(before, { limit, seen: before.seen + 1, missed: 0 });
      }
      for (const [key, one] of watched) if (!now.has(key)) one.missed++;
      return [...watched].flatMap(([key, one]) => tell(key, one, watched));
    },
  };
}

function tell(key: string, one: Watched, watched: Map<string, Watched>): readonly News[] {
  const { limit, sinceMs } = one;
  if (one.missed >= LOOKS_MIN || (one.missed > 0 && !one.isTold)) {
    watched.delete(key);
    return one.isTold ? [{ kind: "ended", limit, sinceMs }] : [];
  }
  if (one.isTold || one.seen < LOOKS_MIN) return [];
  one.isTold = true;
  return [{ kind: "began", limit, sinceMs }];
}

function isNews({ rank }: Limit): boolean {
  return rank <= RANK.trouble && rank !== RANK.decided;
}

function keyOf({ reason, lanes, outlet, destination }: Limit): string {
  return [reason.code, lanes.join(), outlet, destination, reason.evidence["campaign"]].join("|");
}
