// The guard's look, before anything is claimed or rescued: judges the database by what is remembered of it, and acts on the
// verdict. What is sound is noted, with a heartbeat; what is not is held, in the database, for all who send from it; an old
// primary is refused by an error. Safe to repeat, and by several processes at once: one of them holds, the others find it.

import type { Pool } from "pg";
import type { Log } from "../platform/log.ts";
import { GuardRefused } from "./guard-refused.ts";
import { memoryOf, type GuardMemory } from "./guard-memory.ts";
import { holdIfNotHeldSince, readSight, renewGuard, skipIds, wasBulkInFlight } from "./guard-store.ts";
import {
  isGapPast,
  isOlderTimeline,
  isSameDatabase,
  judgeGuard,
  type GuardVerdict,
  type Memory,
  type Sight,
} from "./judge-guard.ts";

export interface GuardContext {
  readonly pool: Pool;
  readonly memory: GuardMemory;
  readonly gapMs: number;
  readonly log: Log;
}

export type GuardLook =
  | { readonly kind: "sound"; readonly sight: Sight }
  | { readonly kind: "held_now"; readonly sight: Sight };

/** Tries beside others who judge at the same time: each of them changes the row once. */
const TRIES_MAX = 5;

export async function lookAtDatabase(context: GuardContext): Promise<GuardLook> {
  for (let tries = 1; tries <= TRIES_MAX; tries++) {
    // What is remembered first: another process here may write a newer heartbeat while the database is asked.
    const memory = context.memory.read();
    const sight = await readSight(context.pool);
    const verdict = await judge(context, sight, memory);
    if (verdict.kind === "refuse") throw new GuardRefused(verdict.seenTimeline, verdict.knownTimeline);
    if (verdict.kind === "hold") {
      if (!(await hold(context, { sight, memory, verdict }))) continue;
      return { kind: "held_now", sight: await readSight(context.pool) };
    }
    // A replica may lack the last of what was accepted.
    if (verdict.because === "promoted") await skipIds(context.pool);
    const renewed = await renewGuard(context.pool, sight);
    if (renewed === undefined) continue;
    note(context, verdict, { sight, memory });
    context.memory.keep(memoryOf(renewed));
    return { kind: "sound", sight: renewed };
  }
  throw new Error("the guard's row changes under every look at it");
}

/** What a look would find; nothing is written. */
export async function peekAtDatabase(
  context: Omit<GuardContext, "log">,
): Promise<{ readonly sight: Sight; readonly verdict: GuardVerdict }> {
  const memory = context.memory.read();
  const sight = await readSight(context.pool);
  return { sight, verdict: await judge(context, sight, memory) };
}

/** What this machine remembers from a confirmation on. */
export async function confirmedMemory(pool: Pool): Promise<Memory> {
  return memoryOf(await readSight(pool));
}

/** A heartbeat that came with a renewal: whether it leaves no question. */
export function isHeartbeatSound(beat: Sight, memory: Memory | undefined): boolean {
  const { seen, remembered, n } = beat;
  const isOurs = isSameDatabase(remembered, seen) && remembered.timeline === seen.timeline;
  if (!isOurs || remembered.system_id !== seen.system_id) return false;
  if (memory === undefined || !isSameDatabase(memory, seen)) return false;
  return n >= memory.n && !isOlderTimeline(seen.timeline, memory.timeline);
}

async function judge(
  { pool, memory: { own }, gapMs }: Omit<GuardContext, "log">,
  sight: Sight,
  memory: Memory | undefined,
): Promise<GuardVerdict> {
  return judgeGuard({
    sight,
    memory,
    gapMs,
    wasBulkInFlight: isGapPast(sight, gapMs) && (await wasBulkInFlight(pool)),
    isOwnHeartbeat: own !== undefined && isSameDatabase(own, sight.seen) && wasHeardTogether(own, sight),
  });
}

/** Several dispatchers write heartbeats, and only one of them the last: the others were alive then, too. */
const HEARD_TOGETHER_MS_MAX = 60_000;

function wasHeardTogether({ beat_at_ms: heardAtMs }: Memory, { beat_at_ms: beatAtMs }: Sight): boolean {
  return heardAtMs !== null && beatAtMs !== null && Math.abs(beatAtMs - heardAtMs) <= HEARD_TOGETHER_MS_MAX;
}

async function hold(
  { pool, memory: known, log }: GuardContext,
  given: {
    readonly sight: Sight;
    readonly memory: Memory | undefined;
    readonly verdict: Extract<GuardVerdict, { kind: "hold" }>;
  },
): Promise<boolean> {
  const { sight, memory, verdict } = given;
  const { held, reason } = verdict;
  if (!(await holdIfNotHeldSince(pool, sight, { held, reason, nKnown: memory?.n ?? 0 }))) return false;
  known.keep(memoryOf(await readSight(pool)));
  log.error("guard.held", { held, code: reason.code, ...reason.evidence });
  return true;
}

function note(
  { log }: GuardContext,
  { because }: Extract<GuardVerdict, { kind: "sound" }>,
  { sight, memory }: { readonly sight: Sight; readonly memory: Memory | undefined },
): void {
  const { seen, remembered } = sight;
  if (because === "promoted") {
    log.warn("guard.promotion_seen", { from_timeline: remembered.timeline, to_timeline: seen.timeline });
  }
  if (memory !== undefined && !isSameDatabase(memory, seen)) {
    log.warn("guard.foreign_data_dir", { of: memory.system_id, database_id: memory.database_id });
  }
}
