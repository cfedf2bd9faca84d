// What limits everything at once: a database that is silent, whose disk stands still, or that is slow, and a machine whose
// CPU is full. Pure.

import type { Reason } from "../mail/reasons.ts";
import type { EngineSnapshot } from "./engine-snapshot.ts";
import {
  alivePulses,
  COMMIT_STUCK_MS,
  costsOf,
  limitOf,
  pace,
  printInstant,
  seconds,
  tenth,
  toSendOf,
  type Limit,
  type Scene,
  type Surroundings,
} from "./explain-limit.ts";

/** At 10,000 messages a second this leaves 300,000 dead rows; 500,000 made a claim of 200 take 120 ms. */
const LONG_TRANSACTION_MS = 30_000;
/** A busy machine has somebody waiting for a core half of the time, and nobody feels it; a full one nearly always. */
const CPU_FULL_SHARE = 0.75;
/** A commit is slow by both: five times its usual is no noise, and below 50 ms nobody feels it. */
const COMMIT_SLOW_FACTOR = 5;
const COMMIT_SLOW_MS = 50;

export function silentDatabase({ databaseSilent }: Surroundings): readonly Limit[] {
  if (databaseSilent === undefined) return [];
  const { sinceMs, error } = databaseSilent;
  const evidence = { since: printInstant(sinceMs), ...(error === undefined ? {} : { error }) };
  return [limitOf("everything", { code: "database_silent", limits: "stop", limit: 0, evidence })];
}

/** Reads go on while the disk stands still, but nothing can be claimed or settled, and no lease renewed. */
export function stuckCommits({ snapshot }: Scene): readonly Limit[] {
  const stuckMs = snapshot.commitStuckMs ?? 0;
  if (stuckMs < COMMIT_STUCK_MS) return [];
  const { usualMs } = commitsOf(snapshot);
  return [limitOf("everything", slowCommit("stop", stuckMs, usualMs), { costs: costsOf(toSendOf(snapshot.lanes)) })];
}

export function machineTroubles(scene: Scene): readonly Limit[] {
  const waiting = toSendOf(scene.snapshot.lanes);
  const { databaseAlarms } = scene.around;
  const isNamed = ({ evidence }: Reason): boolean =>
    databaseAlarms.some((alarm) => alarm.evidence["pid"] === evidence["pid"]);
  const found = [...databaseAlarms, ...longTransaction(scene.snapshot).filter((reason) => !isNamed(reason))];
  // Neither harms anybody while nothing is to be sent.
  if (waiting > 0) found.push(...slowCommits(scene.snapshot), ...cpuFull(scene.around));
  return found.map((reason) => limitOf("trouble", reason));
}

function longTransaction({ transaction }: EngineSnapshot): readonly Reason[] {
  if (transaction === null || transaction.openMs < LONG_TRANSACTION_MS) return [];
  const { pid, openMs, application } = transaction;
  return [pace("long_transaction", { open_s: seconds(openMs), pid, ...(application === "" ? {} : { application }) })];
}

function slowCommits(snapshot: EngineSnapshot): readonly Reason[] {
  const { lastMs, usualMs } = commitsOf(snapshot);
  const isSlow = lastMs >= COMMIT_SLOW_MS && usualMs > 0 && lastMs >= usualMs * COMMIT_SLOW_FACTOR;
  return isSlow && (snapshot.commitStuckMs ?? 0) < COMMIT_STUCK_MS ? [slowCommit("pace", lastMs, usualMs)] : [];
}

function slowCommit(limits: "stop" | "pace", commitMs: number, usualMs: number): Reason {
  const evidence = { commit_ms: Math.round(commitMs), usual_ms: tenth(usualMs) };
  return { code: "database_slow", limits, limit: 0, evidence };
}

/** Of the dispatcher that waits longest. */
function commitsOf(snapshot: EngineSnapshot): { readonly lastMs: number; readonly usualMs: number } {
  const [slowest] = alivePulses(snapshot).toSorted((one, other) => (other.commit_ms ?? 0) - (one.commit_ms ?? 0));
  return { lastMs: slowest?.commit_ms ?? 0, usualMs: slowest?.commit_usual_ms ?? 0 };
}

function cpuFull({ cpuWaiting }: Surroundings): readonly Reason[] {
  if (cpuWaiting === null || cpuWaiting < CPU_FULL_SHARE) return [];
  return [pace("cpu_full", { waiting_percent: Math.round(cpuWaiting * 100) })];
}
