// The destinations at work in one dispatcher: how many of their messages are claimed and open, what our own attempts say
// of them, and what came back through relays. Decides how many more messages a destination may have, and which way its
// mail goes. A destination of which nothing is claimed and nothing is known to be wrong is forgotten.
//
// What relays tell is a ladder. Failing: nothing until the probe's time, then one message. Not heard of for long
// (unproven): one message, by the retry outlet. Answered once or twice: a few. Answered three times: free. A message
// that the relay took counts until the relay tells what became of it, or for `PROBE_ANSWER_MS_MAX`.

import {
  governDestination,
  healthyDestination,
  recordFailure,
  type DestinationReadings,
  type Verdict,
} from "../governor/verdict.ts";
import { THROTTLED_TOLD_MAX, type ThrottledDestination } from "../mail/pulse.ts";
import type { Reason } from "../mail/reasons.ts";
import { ANSWERS_TO_BE_FREE, FEW_AT_A_TIME } from "../mail/trial.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import type { Room } from "./backlog.ts";
import type { HealthRow } from "./health-store.ts";

/** By which of the lane's outlets a message goes. */
export type Route = "main" | "retry";

export interface DestinationRules {
  /** Hand-overs open at once. */
  readonly openMax: number;
  readonly claimAheadMax: number;
  /** Relays tell what became of the mail that they took. */
  readonly isToldOf: boolean;
  /** The lane has outlets for retries. */
  readonly hasRetryOutlets: boolean;
  /** What has not lately answered goes by them too: bulk's does, what somebody waits for does not. */
  readonly mustProve: boolean;
}

/** Monotonic milliseconds, and the database's microseconds of the same moment. */
export interface Moment {
  readonly nowMs: number;
  readonly databaseUs: number;
}

export interface RoomOnRoute extends Room {
  /** What is claimed goes by the outlets for retries, as far as is known: they must have room, too. */
  readonly isByRetry?: boolean;
}

export interface Destinations {
  claimed(row: ClaimedRow): void;
  opened(row: ClaimedRow): void;
  /** The attempt ended; `wasTaken`: the relay has the message now. */
  closed(row: ClaimedRow, wasTaken: boolean, nowMs: number): void;
  /** The claim ended. */
  concluded(row: ClaimedRow): void;
  /** Our own attempt says that the destination is to blame, or that it is not. */
  failed(name: string, nowMs: number, error: string): void;
  answered(name: string): void;
  /** What relays tell; the names are those that were asked for, of which nothing may be known. */
  heard(rows: readonly HealthRow[], nowMs: number, asked?: readonly string[]): readonly string[];
  /** Those of which it was never asked what relays tell. */
  unheardOf(rows: readonly ClaimedRow[]): readonly string[];
  stop(stopped: ReadonlyMap<string, Reason>): void;
  /** With so many more of its messages open, and within so many times its window. */
  isOpenTo(row: ClaimedRow, nowMs: number, more?: number, windows?: number): boolean;
  roomOf(name: string, moment: Moment): RoomOnRoute;
  routeOf(row: ClaimedRow, nowMs: number): Route;
  /** It goes by the retry outlet because of its destination, and not because it was tried before. */
  isOnTrial(row: ClaimedRow, nowMs: number): boolean;
  throttled(nowMs: number): { readonly count: number; readonly some: readonly ThrottledDestination[] };
}

/** How long an answer of a destination counts: a newsletter a month keeps what it reaches proven. */
const PROVEN_MS = 45 * 86_400_000;
/**
 * A relay made for retries gives up after five minutes and tells it; after this long without a word it is taken for one
 * that does not tell.
 */
const PROBE_ANSWER_MS_MAX = 600_000;
/** Of what is known of destinations that have nothing claimed: about 200 bytes each. */
const KEPT_MAX = 100_000;

interface DestinationAtWork {
  readings: DestinationReadings;
  /** Ready and open. */
  claimed: number;
  open: number;
  /** Taken by a relay that has not told yet what became of them. */
  untold: number;
  untoldSinceMs: number;
  /** Undefined: never asked; null: nothing is known. */
  health: Health | null | undefined;
}

interface Health {
  readonly successes: number;
  readonly failures: number;
  readonly answeredAtMs: number;
  readonly probeAtMs: number;
  readonly error: string;
}

type Stage =
  | { readonly kind: "failing"; readonly allowed: 0 | 1; readonly health: Health }
  | { readonly kind: "unproven"; readonly allowed: 1 }
  | { readonly kind: "few"; readonly allowed: typeof FEW_AT_A_TIME }
  | { readonly kind: "free" };

const FREE: Stage = { kind: "free" };

export function createDestinations(rules: DestinationRules): Destinations {
  const known = new Map<string, DestinationAtWork>();
  let stopped: ReadonlyMap<string, Reason> = new Map();

  const at = (name: string): DestinationAtWork => {
    let destination = known.get(name);
    if (destination === undefined) {
      destination = {
        readings: healthyDestination,
        claimed: 0,
        open: 0,
        untold: 0,
        untoldSinceMs: 0,
        health: undefined,
      };
      known.set(name, destination);
      if (known.size > KEPT_MAX) forgetSome();
    }
    return destination;
  };
  const isIdle = ({ claimed, readings }: DestinationAtWork): boolean =>
    claimed === 0 && readings === healthyDestination;
  const forgetSome = (): void => {
    for (const [name, destination] of known) {
      if (known.size <= KEPT_MAX * 0.9) return;
      if (isIdle(destination)) known.delete(name);
    }
  };
  const verdictOn = ({ readings }: DestinationAtWork, nowMs: number): Verdict =>
    governDestination(readings, { openMax: rules.openMax }, nowMs);
  const stageOf = ({ health }: DestinationAtWork, nowMs: number): Stage => {
    if (!rules.isToldOf) return FREE;
    if (health === undefined || health === null) return rules.mustProve ? UNPROVEN : FREE;
    if (health.failures > 0) return { kind: "failing", allowed: nowMs >= health.probeAtMs ? 1 : 0, health };
    if (health.successes >= ANSWERS_TO_BE_FREE) {
      return rules.mustProve && nowMs - health.answeredAtMs > PROVEN_MS ? UNPROVEN : FREE;
    }
    if (health.successes > 0) return { kind: "few", allowed: FEW_AT_A_TIME };
    return rules.mustProve ? UNPROVEN : FREE;
  };
  const untoldOf = (destination: DestinationAtWork, nowMs: number): number => {
    if (nowMs - destination.untoldSinceMs > PROBE_ANSWER_MS_MAX) destination.untold = 0;
    return destination.untold;
  };

  return {
    claimed(row) {
      at(row.destination).claimed++;
    },
    opened(row) {
      at(row.destination).open++;
    },
    closed(row, wasTaken, nowMs) {
      const destination = at(row.destination);
      destination.open--;
      if (!wasTaken || !rules.isToldOf) return;
      if (untoldOf(destination, nowMs) === 0) destination.untoldSinceMs = nowMs;
      destination.untold++;
    },
    concluded(row) {
      const destination = at(row.destination);
      destination.claimed--;
      if (!rules.isToldOf && isIdle(destination)) known.delete(row.destination);
    },
    failed(name, nowMs, error) {
      const destination = at(name);
      destination.readings = recordFailure(destination.readings, nowMs, error);
    },
    answered(name) {
      at(name).readings = healthyDestination;
    },

    heard(rows, nowMs, asked = []) {
      for (const name of asked) at(name).health ??= null;
      const moved: string[] = [];
      for (const row of rows) {
        const destination = known.get(row.name);
        if (destination === undefined) continue;
        destination.health = healthOf(row, nowMs);
        destination.untold = 0;
        moved.push(row.name);
      }
      return moved;
    },
    unheardOf(rows) {
      if (!rules.isToldOf) return [];
      const names = new Set(rows.map(({ destination }) => destination));
      return [...names].filter((name) => known.get(name)?.health === undefined);
    },
    stop(given) {
      stopped = given;
    },

    isOpenTo(row, nowMs, more = 0, windows = 1) {
      const destination = at(row.destination);
      const { window } = verdictOn(destination, nowMs);
      return !stopped.has(row.destination) && destination.open + more < windows * window;
    },

    roomOf(name, { nowMs, databaseUs }) {
      if (stopped.has(name)) return { rows: 0 };
      const destination = known.get(name);
      if (destination === undefined) {
        return { rows: rules.mustProve && rules.isToldOf ? 1 : rules.claimAheadMax };
      }
      const later = (atMs: number): number => databaseUs + (atMs - nowMs) * 1000;
      const own = verdictOn(destination, nowMs);
      const ownRows = (own.window > 1 ? rules.claimAheadMax : own.window) - destination.claimed;
      if (ownRows <= 0) {
        return { rows: ownRows, ...(own.changesAtMs === undefined ? {} : { againAtUs: later(own.changesAtMs) }) };
      }
      const stage = stageOf(destination, nowMs);
      if (stage.kind === "free") return { rows: ownRows };
      const rows = Math.min(ownRows, stage.allowed - destination.claimed - untoldOf(destination, nowMs));
      if (rows > 0)
        return { rows, isByRetry: rules.hasRetryOutlets && destination.health !== undefined && isTrial(stage) };
      const isBeforeProbe = stage.kind === "failing" && nowMs < stage.health.probeAtMs;
      const againAtMs = isBeforeProbe ? stage.health.probeAtMs : nowMs + PROBE_ANSWER_MS_MAX;
      return { rows, againAtUs: later(againAtMs) };
    },

    routeOf(row, nowMs) {
      if (!rules.hasRetryOutlets) return "main";
      return row.attempts > 0 || isTrial(stageOf(at(row.destination), nowMs)) ? "retry" : "main";
    },
    isOnTrial(row, nowMs) {
      return isTrial(stageOf(at(row.destination), nowMs));
    },

    throttled(nowMs) {
      const some: ThrottledDestination[] = [];
      let count = 0;
      const tell = (destination: string, reason: Reason): void => {
        count++;
        if (some.length < THROTTLED_TOLD_MAX) some.push({ destination, reason });
      };
      for (const [destination, reason] of stopped) tell(destination, reason);
      for (const [name, destination] of known) {
        if (stopped.has(name)) continue;
        const reason = whyThrottled(name, stageOf(destination, nowMs), verdictOn(destination, nowMs), nowMs);
        if (reason !== undefined) tell(name, reason);
      }
      return { count, some };
    },
  };
}

const UNPROVEN: Stage = { kind: "unproven", allowed: 1 };

function isTrial({ kind }: Stage): boolean {
  return kind === "failing" || kind === "unproven";
}

function healthOf(row: HealthRow, nowMs: number): Health {
  return {
    successes: row.successes,
    failures: row.failures,
    answeredAtMs: row.answered_ago_ms === null ? -Infinity : nowMs - row.answered_ago_ms,
    probeAtMs: nowMs + (row.probe_in_ms ?? 0),
    error: row.error ?? "",
  };
}

// What only has to prove itself is no trouble worth a line each: a first campaign has a hundred thousand of them.
function whyThrottled(destination: string, stage: Stage, verdict: Verdict, nowMs: number): Reason | undefined {
  if (stage.kind === "failing") {
    const { failures, error, probeAtMs } = stage.health;
    const probe_in_s = Math.max(0, Math.ceil((probeAtMs - nowMs) / 1000));
    const evidence = { destination, failures, probe_in_s, ...(error === "" ? {} : { error }) };
    return { code: "destination_failing", limits: "window", limit: stage.allowed, evidence };
  }
  const [reason] = verdict.reasons;
  if (reason?.code !== "destination_failing" && reason?.code !== "probing") return undefined;
  return { ...reason, evidence: { ...reason.evidence, destination } };
}
