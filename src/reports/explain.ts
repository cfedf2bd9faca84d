// What limits now, in order, each limit with its evidence, what it costs and what would lift it: the answer of
// `postlane explain` and of `GET /explain`. Pure: what is known in, the report out. Its shape is what `--json` prints, so
// its keys are a contract (docs/reference/reasons.md). It says when nothing limits, and opens with what does not answer.

import { reasonEntry, tellReason, type Evidence, type Reason } from "../mail/reasons.ts";
import { ANSWERS_TO_BE_FREE, FEW_AT_A_TIME } from "../mail/trial.ts";
import type { EngineSnapshot, LaneView } from "./engine-snapshot.ts";
import { oneThrottled, throttledOf } from "./explain-destinations.ts";
import {
  COMMIT_STUCK_MS,
  costsOf,
  isHeard,
  laneNames,
  limitOf,
  printInstant,
  RANK,
  seconds,
  stop,
  tenth,
  toSendOf,
  type Costs,
  type ExplainConfig,
  type Limit,
  type Scene,
  type Surroundings,
} from "./explain-limit.ts";
import { findLimits, lastSeenMs } from "./explain-limits.ts";
import { silentDatabase } from "./explain-machine.ts";
import type { DestinationRow } from "./explain-store.ts";
import { explainMessage, type MessageFacts } from "./explain-message.ts";

export type Question =
  | { readonly kind: "engine" }
  | { readonly kind: "lane" | "outlet" | "destination" | "message"; readonly name: string };

export interface ExplainGiven {
  /** The last one that could be read; undefined: none ever. */
  readonly snapshot: EngineSnapshot | undefined;
  readonly around: Surroundings;
  readonly question: Question;
  /** For a question about a message. */
  readonly message?: MessageFacts;
  /** For a question about a destination. */
  readonly destination?: { readonly row?: DestinationRow; readonly waiting: number; readonly isMore: boolean };
}

export interface ExplainReport {
  readonly at: string;
  /** What does not answer, and since when. */
  readonly answers: {
    readonly database: { readonly since: string; readonly error: string | null } | null;
    readonly commits: { readonly since: string } | null;
    readonly dispatchers: readonly { readonly lane: string; readonly since: string | null }[];
    /** How old what follows is; null: nothing could be read. */
    readonly snapshot_age_s: number | null;
  };
  /** Outlets in use that keep mail on this machine. */
  readonly nothing_leaves: readonly string[];
  readonly subject: Question;
  readonly limits: readonly ExplainedLimit[];
  /** Queued and deferred messages that no pause of a campaign stops. */
  readonly waiting: number | null;
  readonly per_s: number | null;
  /** Until nothing that was never tried is queued any more, at this rate. */
  readonly empty_in_s: number | null;
  /** How each measured relay's queue is counted. */
  readonly queue_sources: readonly {
    readonly outlet: string;
    readonly source: string;
    readonly problems: readonly string[];
  }[];
}

export interface ExplainedLimit {
  readonly code: Reason["code"];
  readonly limits: Reason["limits"];
  readonly limit: number;
  /** None: every lane. */
  readonly lanes: readonly string[];
  readonly outlet: string | null;
  readonly destination: string | null;
  readonly evidence: Evidence;
  readonly sentence: string;
  readonly costs: Costs;
  readonly remedy: string;
}

export function explain(given: ExplainGiven, config: ExplainConfig): ExplainReport {
  const { snapshot, around, question } = given;
  if (snapshot === undefined) return withoutSnapshot(given, config);
  const scene: Scene = { snapshot, config, around };
  const lanes = lanesAsked(question, given, scene);
  const progress = progressOf(lanes, question, given);
  const limits = withNothing(limitsAsked(given, scene), progress, question);
  return {
    at: printInstant(around.nowMs),
    answers: answersOf(scene, lanes),
    nothing_leaves: captures(config),
    subject: question,
    limits: limits.map(shapeLimit),
    ...progress,
    queue_sources: queueSources(scene, lanes),
  };
}

/** Neither database nor memory: all that is known is that it does not answer. */
function withoutSnapshot({ around, question }: ExplainGiven, config: ExplainConfig): ExplainReport {
  return {
    at: printInstant(around.nowMs),
    answers: { database: databaseAnswer(around), commits: null, dispatchers: [], snapshot_age_s: null },
    nothing_leaves: captures(config),
    subject: question,
    limits: silentDatabase(around).map(shapeLimit),
    waiting: null,
    per_s: null,
    empty_in_s: null,
    queue_sources: [],
  };
}

// ---- what does not answer --------------------------------------------------------------------------------------------

function answersOf(scene: Scene, lanes: readonly LaneView[]): ExplainReport["answers"] {
  const { snapshot, config, around } = scene;
  const stuckMs = snapshot.commitStuckMs ?? 0;
  const isServed = (lane: LaneView): boolean => lane.dispatchers.some((one) => isHeard(one, config, snapshot));
  const unserved = lanes.filter((lane) => Object.hasOwn(config.lanes, lane.name) && !isServed(lane));
  return {
    database: databaseAnswer(around),
    commits: stuckMs < COMMIT_STUCK_MS ? null : { since: printInstant(snapshot.atMs - stuckMs) },
    // While the database is silent, nothing was heard of anybody.
    dispatchers: (around.databaseSilent === undefined ? unserved : []).map((lane) => {
      const sinceMs = lastSeenMs(lane, scene);
      return { lane: lane.name, since: sinceMs === undefined ? null : printInstant(sinceMs) };
    }),
    snapshot_age_s: seconds(around.nowMs - snapshot.atMs),
  };
}

function databaseAnswer({ databaseSilent }: Surroundings): ExplainReport["answers"]["database"] {
  if (databaseSilent === undefined) return null;
  return { since: printInstant(databaseSilent.sinceMs), error: databaseSilent.error ?? null };
}

function captures({ lanes, outlets }: ExplainConfig): readonly string[] {
  return Object.values(outlets)
    .filter(({ name, type }) => type === "capture" && laneNames(name, { lanes, outlets }).length > 0)
    .map(({ name }) => name);
}

// ---- the limits that the question is about ---------------------------------------------------------------------------

function limitsAsked(given: ExplainGiven, scene: Scene): readonly Limit[] {
  const all = findLimits(scene);
  const { question } = given;
  switch (question.kind) {
    case "engine":
      return all;
    case "lane":
      return all.filter(({ lanes }) => lanes.length === 0 || lanes.includes(question.name));
    case "outlet":
      return limitsOfOutlet(all, question.name, scene);
    case "destination":
      return limitsOfDestination(all, question.name, given, scene);
    case "message":
      return given.message === undefined ? all : limitsOfMessage(all, given.message, scene);
  }
}

function limitsOfOutlet(all: readonly Limit[], name: string, { config }: Scene): readonly Limit[] {
  const lanes = laneNames(name, config);
  return all.filter((limit) => {
    if (limit.outlet !== undefined) return limit.outlet === name;
    return limit.lanes.length === 0 || limit.lanes.some((lane) => lanes.includes(lane));
  });
}

/** Its own come right behind what stops everything. */
function limitsOfDestination(
  all: readonly Limit[],
  name: string,
  { destination }: ExplainGiven,
  scene: Scene,
): readonly Limit[] {
  const others = all.filter((limit) => limit.destination === undefined && limit.reason.code !== "destinations_failing");
  const paused = all.filter((limit) => limit.destination === name && limit.reason.limits === "stop" && isPause(limit));
  const { failing, unproven } = throttledOf(scene.snapshot);
  const throttled = [...failing, ...unproven].filter((one) => one.destination === name);
  const known = throttled.length > 0 ? throttled : throttledByRow(name, destination, scene);
  const own = [...paused, ...known.map((one) => oneThrottled(scene.snapshot, one, "part"))].map((limit) =>
    destination === undefined ? limit : { ...limit, costs: costsOf(destination.waiting) },
  );
  const first = others.filter(({ rank }) => rank === RANK.everything);
  return [...first, ...own, ...others.filter(({ rank }) => rank !== RANK.everything)];
}

function isPause({ reason }: Limit): boolean {
  return reason.code === "destination_paused" || reason.code === "policy_refusals";
}

function throttledByRow(
  name: string,
  destination: ExplainGiven["destination"],
  { config }: Scene,
): readonly { readonly destination: string; readonly reason: Reason }[] {
  const row = destination?.row;
  if (row === undefined || row.failures === 0) {
    const isNew = destination !== undefined && destination.waiting > 0 && mustProve(config);
    return isNew ? unprovenBy(name, row?.successes ?? 0) : [];
  }
  const { failures, probe_in_ms, error } = row;
  const evidence = { destination: name, failures, probe_in_s: seconds(probe_in_ms ?? 0) };
  return [
    { destination: name, reason: stop("destination_failing", error === null ? evidence : { ...evidence, error }) },
  ];
}

function unprovenBy(destination: string, successes: number): ReturnType<typeof throttledByRow> {
  if (successes >= ANSWERS_TO_BE_FREE) return [];
  const allowed = successes === 0 ? 1 : FEW_AT_A_TIME;
  return [
    {
      destination,
      reason: { code: "destination_unproven", limits: "window", limit: allowed, evidence: { destination, allowed } },
    },
  ];
}

/** Bulk that has an outlet for retries, and a relay that tells what became of its mail. */
function mustProve({ lanes, outlets }: ExplainConfig): boolean {
  return Object.values(lanes).some(
    (lane) =>
      lane.priority === "bulk" &&
      lane.outlets.some((name) => {
        const outlet = outlets[name];
        return outlet?.type === "smtp" && outlet.retryOutlet !== undefined && outlet.gauge?.type === "postfix";
      }),
  );
}

function limitsOfMessage(all: readonly Limit[], message: MessageFacts, scene: Scene): readonly Limit[] {
  const { destination } = message;
  const own = throttledOf(scene.snapshot).failing.filter((one) => one.destination === destination);
  const throttled = own.map((one) => oneThrottled(scene.snapshot, one, "part"));
  const known = all.filter((limit) => limit.reason.code !== "destination_failing");
  const limits = [...known, ...throttled].toSorted((one, other) => one.rank - other.rank);
  const lane = scene.snapshot.lanes.find(({ name }) => name === message.story.lane);
  return explainMessage(message, limits, lane, scene.snapshot.atMs);
}

// ---- when nothing limits ---------------------------------------------------------------------------------------------

type Progress = Pick<ExplainReport, "waiting" | "per_s" | "empty_in_s">;

function lanesAsked(question: Question, { message }: ExplainGiven, { snapshot, config }: Scene): readonly LaneView[] {
  switch (question.kind) {
    case "engine":
    case "destination":
      return snapshot.lanes;
    case "lane":
      return snapshot.lanes.filter(({ name }) => name === question.name);
    case "outlet":
      return snapshot.lanes.filter(({ name }) => laneNames(question.name, config).includes(name));
    case "message":
      return snapshot.lanes.filter(({ name }) => message === undefined || name === message.story.lane);
  }
}

function progressOf(lanes: readonly LaneView[], question: Question, { destination }: ExplainGiven): Progress {
  const alive = lanes.flatMap((lane) => lane.dispatchers.filter((one) => one.isAlive));
  const perS = alive.reduce((sum, { pulse }) => sum + pulse.rate_per_s, 0);
  if (question.kind === "destination") return { waiting: destination?.waiting ?? null, per_s: null, empty_in_s: null };
  const queued = lanes.reduce((sum, lane) => sum + lane.queued, 0);
  return {
    waiting: toSendOf(lanes),
    per_s: tenth(perS),
    empty_in_s: queued === 0 ? 0 : perS > 0 ? Math.ceil(queued / perS) : null,
  };
}

/** What is only worth knowing comes behind it; a message has a line of its own. */
function withNothing(limits: readonly Limit[], progress: Progress, { kind }: Question): readonly Limit[] {
  if (kind === "message" || limits.some(({ rank }) => rank < RANK.note)) return limits;
  return [nothingLimits(progress), ...limits];
}

function nothingLimits({ waiting, per_s, empty_in_s }: Progress): Limit {
  const evidence = { waiting: waiting ?? 0, per_s: per_s ?? 0, ...(empty_in_s === null ? {} : { empty_in_s }) };
  return limitOf("small", { code: "nothing_limits", limits: "nothing", limit: 0, evidence });
}

// ---- the shape -------------------------------------------------------------------------------------------------------

export function shapeLimit({ reason, lanes, outlet, destination, costs }: Limit): ExplainedLimit {
  return {
    ...reason,
    lanes,
    outlet: outlet ?? null,
    destination: destination ?? null,
    sentence: tellReason(reason),
    costs,
    remedy: remedyOf(reason),
  };
}

/** The command as it can be typed, where the evidence has the name for it. */
function remedyOf({ code, evidence }: Reason): string {
  const name = evidence["lane"] ?? evidence["outlet"] ?? evidence["campaign"];
  const { remedy } = reasonEntry(code);
  const named = name === undefined ? remedy : remedy.replaceAll(/\bNAME\b/g, () => quoted(String(name)));
  const domain = evidence["destination"];
  return domain === undefined ? named : named.replaceAll(/\bDOMAIN\b/g, () => quoted(String(domain)));
}

function quoted(word: string): string {
  return /^[\w.-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function queueSources({ snapshot, config }: Scene, lanes: readonly LaneView[]): ExplainReport["queue_sources"] {
  const names = new Set(lanes.map(({ name }) => name));
  return snapshot.readings
    .filter(({ outlet }) => laneNames(outlet, config).some((lane) => names.has(lane)))
    .flatMap(({ outlet, reading: { queue_source: source, problems } }) =>
      source === undefined ? [] : [{ outlet, source, problems: problems ?? [] }],
    );
}
