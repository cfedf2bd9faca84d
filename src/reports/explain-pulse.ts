// Pulses, readings and reasons as they lie in the database, read with care: another version of Postlane may have written
// them, so what is missing or of another kind counts as nothing, and a code that this version does not know is left out.
// Pure.

import type { OutletPulse, Pulse, ThrottledDestination } from "../mail/pulse.ts";
import { THROTTLED_TOLD_MAX } from "../mail/pulse.ts";
import { SHAPE_DESTINATIONS_MAX, type RelayReading, type ShapeRow } from "../mail/reading.ts";
import { REASONS, type Evidence, type Reason, type ReasonCode } from "../mail/reasons.ts";

type Loose = Readonly<Record<string, unknown>>;

export function readPulse(given: unknown): Pulse {
  const pulse = looseOf(given);
  const throttled = looseOf(pulse["throttled"]);
  return {
    priority: pulse["priority"] === "transactional" ? "transactional" : "bulk",
    in_flight: numberOr(pulse["in_flight"], 0),
    ready: numberOr(pulse["ready"], 0),
    destinations: numberOr(pulse["destinations"], 0),
    rate_per_s: numberOr(pulse["rate_per_s"], 0),
    settled_total: numberOr(pulse["settled_total"], 0),
    settled_ms_ago: numberOr(pulse["settled_ms_ago"], 0),
    waiting_p50_ms: numberOr(pulse["waiting_p50_ms"], null),
    waiting_p99_ms: numberOr(pulse["waiting_p99_ms"], null),
    commit_ms: numberOr(pulse["commit_ms"], null),
    commit_usual_ms: numberOr(pulse["commit_usual_ms"], null),
    settle_group: numberOr(pulse["settle_group"], null),
    outlets: listOf(pulse["outlets"]).map((outlet) => readOutlet(outlet, numberOr(pulse["ready"], 0))),
    throttled: {
      count: numberOr(throttled["count"], 0),
      some: listOf(throttled["some"]).slice(0, THROTTLED_TOLD_MAX).flatMap(readThrottled),
    },
  };
}

/** An older dispatcher does not say whether it wants more: it does when it has ready what no window has room for. */
function readOutlet(given: unknown, ready: number): OutletPulse {
  const outlet = looseOf(given);
  const window = numberOr(outlet["window"], 0);
  const open = numberOr(outlet["open"], 0);
  const wantsMore = outlet["wants_more"];
  return {
    name: textOr(outlet["name"], ""),
    window,
    open,
    pace_per_s: numberOr(outlet["pace_per_s"], null),
    taken_per_s: numberOr(outlet["taken_per_s"], 0),
    wants_more: typeof wantsMore === "boolean" ? wantsMore : ready > 0 && open >= window,
    handed_total: numberOr(outlet["handed_total"], 0),
    reasons: listOf(outlet["reasons"]).flatMap((reason) => readReason(reason) ?? []),
  };
}

function readThrottled(given: unknown): readonly ThrottledDestination[] {
  const { destination, reason } = looseOf(given);
  const read = readReason(reason);
  return read === undefined || typeof destination !== "string" ? [] : [{ destination, reason: read }];
}

const LIMITS: ReadonlySet<unknown> = new Set(["window", "pace", "stop", "nothing"]);

/** Undefined: no reason of the catalogue, or one without its evidence. */
export function readReason(given: unknown): Reason | undefined {
  const { code, limits, limit, evidence } = looseOf(given);
  if (typeof code !== "string" || !Object.hasOwn(REASONS, code)) return undefined;
  const known = code as ReasonCode;
  const facts = readEvidence(evidence);
  if (!REASONS[known].evidence.every((name) => facts[name] !== undefined)) return undefined;
  return {
    code: known,
    limits: LIMITS.has(limits) ? (limits as Reason["limits"]) : "window",
    limit: numberOr(limit, 0),
    evidence: facts,
  };
}

/** As much of a reply as is worth a line. */
const FACT_CHARS_MAX = 1000;

function readEvidence(given: unknown): Evidence {
  const facts: Record<string, string | number> = {};
  for (const [name, fact] of Object.entries(looseOf(given))) {
    if (typeof fact === "string") facts[name] = harmless(fact.slice(0, FACT_CHARS_MAX));
    else if (typeof fact === "number" && Number.isFinite(fact)) facts[name] = fact;
  }
  return facts;
}

/** A server's reply must not give orders to a terminal. */
function harmless(foreign: string): string {
  return foreign.replaceAll(/\p{Cc}/gu, " ");
}

const QUEUE_SOURCES: ReadonlySet<unknown> = new Set(["spool", "postqueue", "command"]);
const PROBLEMS_MAX = 10;

const READING_NUMBERS = [
  "queue",
  "deferred",
  "oldest_age_s",
  "fsync_ms",
  "fsync_usual_ms",
  "pressure_io",
  "pressure_cpu",
  "pressure_memory",
  "load_1min",
  "cores",
  "disk_free_bytes",
  "disk_total_bytes",
] as const satisfies readonly (keyof RelayReading)[];

/** An agent on another machine wrote it: what is no number of the reading is left out. */
export function readReading(given: unknown): RelayReading {
  const reading = looseOf(given);
  const numbers = READING_NUMBERS.filter((name) => numberOr(reading[name], null) !== null);
  const source = reading["queue_source"];
  const problems = listOf(reading["problems"]).filter((problem) => typeof problem === "string");
  return {
    ...Object.fromEntries(numbers.map((name) => [name, reading[name]])),
    ...(QUEUE_SOURCES.has(source) ? { queue_source: source as NonNullable<RelayReading["queue_source"]> } : {}),
    shape: listOf(reading["shape"]).slice(0, SHAPE_DESTINATIONS_MAX).flatMap(readShapeRow),
    problems: problems.slice(0, PROBLEMS_MAX).map((problem) => harmless(problem.slice(0, FACT_CHARS_MAX))),
  };
}

function readShapeRow(given: unknown): readonly ShapeRow[] {
  const row = looseOf(given);
  if (typeof row["destination"] !== "string") return [];
  return [
    {
      destination: harmless(row["destination"].slice(0, FACT_CHARS_MAX)),
      queue: numberOr(row["queue"], 0),
      deferred: numberOr(row["deferred"], 0),
      oldest_age_s: numberOr(row["oldest_age_s"], 0),
    },
  ];
}

function looseOf(given: unknown): Loose {
  return typeof given === "object" && given !== null && !Array.isArray(given) ? (given as Loose) : {};
}

function listOf(given: unknown): readonly unknown[] {
  return Array.isArray(given) ? given : [];
}

function textOr(given: unknown, other: string): string {
  return typeof given === "string" ? harmless(given.slice(0, FACT_CHARS_MAX)) : other;
}

function numberOr<Other>(given: unknown, other: Other): number | Other {
  return typeof given === "number" && Number.isFinite(given) ? given : other;
}
