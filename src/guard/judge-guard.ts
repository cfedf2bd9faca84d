// Whether a database is what it was when mail was last sent from it: judged from what the server says of itself, what its
// own row remembers, and what this machine remembers of it. Pure. What is not known never alarms: a file that is missing,
// torn or old only makes the guard see less.

import type { Reason } from "../mail/reasons.ts";

export interface Identity {
  /** Of the server's cluster; null: our role may not ask. */
  readonly system_id: string | null;
  /** The database's oid; null: no heartbeat was written yet. */
  readonly database_id: number | null;
  /** Null: a standby, or no heartbeat yet. */
  readonly timeline: number | null;
}

/** As `postlane.guard_sight` gives it. */
export interface Sight {
  readonly seen: Identity;
  readonly remembered: Identity;
  /** Heartbeats. */
  readonly n: number;
  /** By the database's clock. */
  readonly beat_at_ms: number | null;
  readonly beat_ago_ms: number | null;
  readonly held: Held | null;
}

export type Held = "bulk" | "all";

/** What this machine last saw of a database that mail was sent from. */
export interface Memory extends Identity {
  readonly n: number;
  readonly beat_at_ms: number | null;
}

export interface GuardCase {
  readonly sight: Sight;
  /** Undefined: nothing is remembered. */
  readonly memory?: Memory | undefined;
  readonly gapMs: number;
  /** At the last heartbeat, as far as the database shows it; only asked for behind a gap. */
  readonly wasBulkInFlight: boolean;
  /** The last heartbeat is this very process's own: it has lived through whatever lies between. */
  readonly isOwnHeartbeat: boolean;
}

export type GuardVerdict =
  | { readonly kind: "sound"; readonly because: "as_it_was" | "first" | "promoted" | "identity_learnt" }
  | { readonly kind: "hold"; readonly held: Held; readonly reason: Pick<Reason, "code" | "evidence"> }
  /** An old primary that came back: not to be used for anything. */
  | { readonly kind: "refuse"; readonly seenTimeline: number; readonly knownTimeline: number };

/**
 * What a hold or a confirmation adds to the heartbeats. More than two a second for ten years: so whoever remembers fewer
 * heartbeats than the database has by half as much knows that a person has decided since, perhaps on another machine.
 */
export const N_STEP = 1_000_000_000;

export function judgeGuard(given: GuardCase): GuardVerdict {
  const { sight, memory } = given;
  const { seen, remembered } = sight;
  const known = memory !== undefined && isSameDatabase(memory, seen) && !wasConfirmedSince(memory, sight);
  if (known && isOlderTimeline(seen.timeline, memory.timeline)) {
    return { kind: "refuse", seenTimeline: seen.timeline!, knownTimeline: memory.timeline! };
  }
  if (remembered.database_id === null) return { kind: "sound", because: "first" };
  if (!isSameDatabase(remembered, seen)) return copied(sight);
  if (known && sight.n < memory.n) return rewound(sight, memory);
  if (isBehindGap(given)) return gap(sight);
  if (seen.timeline !== null && remembered.timeline !== seen.timeline) return { kind: "sound", because: "promoted" };
  return { kind: "sound", because: remembered.system_id === seen.system_id ? "as_it_was" : "identity_learnt" };
}

/** A system identifier that is not known tells nothing; the oid alone is the same in many servers, and then decides. */
export function isSameDatabase(one: Identity, other: Identity): boolean {
  const isSystemKnown = one.system_id !== null && other.system_id !== null;
  return one.database_id === other.database_id && (!isSystemKnown || one.system_id === other.system_id);
}

export function isOlderTimeline(seen: number | null, known: number | null): boolean {
  return seen !== null && known !== null && seen < known;
}

export function wasConfirmedSince({ n }: Pick<Memory, "n">, sight: Pick<Sight, "n">): boolean {
  return sight.n >= n + N_STEP / 2;
}

/** The last heartbeat is long past and mail was being sent then; only asked for while it is so. */
export function isGapPast({ beat_ago_ms: agoMs }: Sight, gapMs: number): boolean {
  return agoMs !== null && agoMs > gapMs;
}

function isBehindGap({ sight, gapMs, wasBulkInFlight, isOwnHeartbeat }: GuardCase): boolean {
  return isGapPast(sight, gapMs) && wasBulkInFlight && !isOwnHeartbeat;
}

function copied({ seen, remembered }: Sight): GuardVerdict {
  const evidence = { remembered: printIdentity(remembered), seen: printIdentity(seen) };
  return { kind: "hold", held: "all", reason: { code: "database_copied", evidence } };
}

function rewound({ n, beat_at_ms: beatAtMs }: Sight, memory: Memory): GuardVerdict {
  const isTimed = beatAtMs !== null && memory.beat_at_ms !== null;
  const behindS = isTimed ? Math.max(0, Math.round((memory.beat_at_ms - beatAtMs) / 1000)) : undefined;
  const evidence = { heartbeats: memory.n - n, ...(behindS === undefined ? {} : { behind_s: behindS }) };
  return { kind: "hold", held: "bulk", reason: { code: "database_rewound", evidence } };
}

function gap({ beat_ago_ms: agoMs }: Sight): GuardVerdict {
  const evidence = { gap_s: Math.round((agoMs ?? 0) / 1000) };
  return { kind: "hold", held: "bulk", reason: { code: "heartbeat_gap", evidence } };
}

/** `7301…/16384`: the system identifier and the database's oid in it. */
export function printIdentity({ system_id: systemId, database_id: databaseId }: Identity): string {
  return `${systemId ?? "unknown"}/${databaseId ?? "none"}`;
}
