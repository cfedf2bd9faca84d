// What limits the engine now: every limit that a snapshot shows, each with its reason, its rank and what it costs. Pure.
//
// The rank is the order of `explain`: first what stops everything, then what stops an outlet, then what stops a part of
// the mail, then what a person or a rule decided for all of it, then the troubles that lie under the verdicts (a slow disk
// shows as a slow drain), then the verdicts themselves, and last what is small or only worth knowing. Within a rank, what
// more messages wait for comes first.

import type { OutletPulse } from "../mail/pulse.ts";
import type { Reason, ReasonCode } from "../mail/reasons.ts";
import type { Config } from "../platform/config.ts";
import type { DispatcherView, EngineSnapshot, LaneView, PauseView } from "./engine-snapshot.ts";

export const RANK = {
  everything: 0,
  outlet: 1,
  part: 2,
  decided: 3,
  trouble: 4,
  verdict: 5,
  small: 6,
  note: 7,
} as const;

export interface Limit {
  readonly reason: Reason;
  readonly rank: (typeof RANK)[keyof typeof RANK];
  /** None: every lane. */
  readonly lanes: readonly string[];
  readonly outlet?: string;
  readonly destination?: string;
  readonly costs: Costs;
}

export interface Costs {
  /** Messages that wait for it; null: not known. */
  readonly waiting: number | null;
  /** What goes out per second as it is. */
  readonly allowed_per_s: number | null;
  /** What would go out per second without it, up to the next limit; null: not known. */
  readonly wanted_per_s: number | null;
}

export type ExplainConfig = Pick<Config, "lanes" | "outlets" | "leaseMs" | "noProgressAlarmMs" | "returnsDomain">;

/** What is known beside the database: of itself, and of this machine. */
export interface Surroundings {
  readonly nowMs: number;
  /** The database does not answer, since then. */
  readonly databaseSilent?: { readonly sinceMs: number; readonly error?: string };
  /** When a dispatcher of a lane was last seen, by whoever watches. */
  readonly dispatcherSeenAtMs: Readonly<Record<string, number>>;
  /** Lanes for which upkeep has raised its alarm, since when. */
  readonly alarms: readonly { readonly lane: string; readonly sinceMs: number }[];
  /** Share of the last seconds in which a task of this machine waited for CPU; null: not known. */
  readonly cpuWaiting: number | null;
}

export interface Scene {
  readonly snapshot: EngineSnapshot;
  readonly config: ExplainConfig;
  readonly around: Surroundings;
}

/** A pulse comes every second with the lease; three that are missing are no hiccup of the event loop. */
const DISPATCHER_SILENT_MS = 3000;
/** Readings come every second, too. */
const READING_STALE_MS = 3000;
/** At 10,000 messages a second this leaves 300,000 dead rows; 500,000 made a claim of 200 take 120 ms. */
const LONG_TRANSACTION_MS = 30_000;
/** More than half of the time somebody waits for a core. */
const CPU_FULL_SHARE = 0.5;
const MACHINE_PRESSED_SHARE = 0.5;
/** A commit is slow by both: five times its usual is no noise, and below 50 ms nobody feels it. */
const COMMIT_SLOW_FACTOR = 5;
const COMMIT_SLOW_MS = 50;
/** A commit that has waited for the disk this long is no slow one any more: the disk stands still. */
export const COMMIT_STUCK_MS = 1000;
/** As the governor has it; a mechanical disk takes 8 ms for an honest fsync. */
const FSYNC_SLOW_FACTOR = 5;
const FSYNC_SLOW_MS = 20;
/** Postfix refuses mail when less than 1.5 times its message size limit is free; long before that somebody should look. */
const DISK_FREE_SHARE_MIN = 0.05;
/** From this part of all that waits on, destinations that fail are what a person must hear first. */
const DESTINATIONS_HEAVY_SHARE = 0.1;

export function findLimits(scene: Scene): readonly Limit[] {
  const found = [
    ...silentDatabase(scene.around),
    ...stuckCommits(scene),
    ...scene.snapshot.lanes.flatMap((lane) => laneStops(lane, scene)),
    ...scene.snapshot.pauses.map((pause) => pauseLimit(pause, scene)),
    ...verdicts(scene),
    ...campaignPauses(scene),
    ...destinationLimits(scene),
    ...staleReadings(scene),
    ...relayTroubles(scene),
    ...machineTroubles(scene),
    ...alarms(scene),
    ...notes(scene),
  ];
  return ordered(distinct(found));
}

function ordered(limits: readonly Limit[]): readonly Limit[] {
  return limits.toSorted((one, other) => {
    return one.rank - other.rank || (other.costs.waiting ?? 0) - (one.costs.waiting ?? 0);
  });
}

/** A limit that two dispatchers or two sources tell of is one; verdicts are each lane's own. */
function distinct(limits: readonly Limit[]): readonly Limit[] {
  const kept = new Map<string, Limit>();
  for (const limit of limits) {
    const lanes = limit.rank === RANK.verdict || limit.outlet === undefined ? limit.lanes.join() : "";
    const key = [limit.reason.code, limit.outlet, limit.destination, lanes, nameIn(limit)].join("|");
    const before = kept.get(key);
    kept.set(key, before === undefined ? limit : { ...before, lanes: union(before.lanes, limit.lanes) });
  }
  return [...kept.values()];
}

/** What tells apart two limits of one code that have neither outlet nor destination. */
function nameIn({ reason: { evidence } }: Limit): string {
  return String(evidence["campaign"] ?? evidence["pid"] ?? "");
}

function union(one: readonly string[], other: readonly string[]): readonly string[] {
  return one.length === 0 || other.length === 0 ? [] : [...new Set([...one, ...other])];
}

// ---- what stops everything -------------------------------------------------------------------------------------------

export function silentDatabase({ databaseSilent }: Surroundings): readonly Limit[] {
  if (databaseSilent === undefined) return [];
  const { sinceMs, error } = databaseSilent;
  const evidence = { since: printInstant(sinceMs), ...(error === undefined ? {} : { error }) };
  return [limitOf("everything", { code: "database_silent", limits: "stop", limit: 0, evidence })];
}

/** Reads go on while the disk stands still, but nothing can be claimed or settled, and no lease renewed. */
function stuckCommits({ snapshot }: Scene): readonly Limit[] {
  const stuckMs = snapshot.commitStuckMs ?? 0;
  if (stuckMs < COMMIT_STUCK_MS) return [];
  const { usualMs } = commitsOf(snapshot);
  return [limitOf("everything", slowCommit("stop", stuckMs, usualMs), { costs: costsOf(toSendOf(snapshot.lanes)) })];
}

function laneStops(lane: LaneView, scene: Scene): readonly Limit[] {
  if (!Object.hasOwn(scene.config.lanes, lane.name)) return [];
  return [...noDispatcher(lane, scene), ...lanePaused(lane)];
}

function noDispatcher(lane: LaneView, { around, config, snapshot }: Scene): readonly Limit[] {
  if (around.databaseSilent !== undefined || lane.dispatchers.some((one) => isHeard(one, config, snapshot))) return [];
  const sinceMs = lastSeenMs(lane, { around, config, snapshot });
  const evidence = { lane: lane.name, ...(sinceMs === undefined ? {} : { since: printInstant(sinceMs) }) };
  const rank = lane.toSend > 0 ? "everything" : "small";
  return [limitOf(rank, stop("no_dispatcher", evidence), { lanes: [lane.name], costs: costsOf(lane.toSend) })];
}

/** While commits stand still nobody can renew: then only the end of the lease counts. */
export function isHeard(
  dispatcher: DispatcherView,
  { leaseMs }: Pick<Config, "leaseMs">,
  { commitStuckMs }: Pick<EngineSnapshot, "commitStuckMs">,
): boolean {
  if (!dispatcher.isAlive) return (commitStuckMs ?? 0) >= COMMIT_STUCK_MS;
  return silentMs(dispatcher, leaseMs) < DISPATCHER_SILENT_MS + (commitStuckMs ?? 0);
}

/** Each renewal sets the deadline anew: what is gone of the lease is how long ago that was. */
function silentMs({ leaseLeftMs }: DispatcherView, leaseMs: number): number {
  return Math.max(0, leaseMs - leaseLeftMs);
}

/** By the lease that it left, or by the memory of whoever watches. */
export function lastSeenMs(lane: LaneView, { around, config, snapshot }: Scene): number | undefined {
  const byLeases = lane.dispatchers.map((one) => snapshot.atMs - silentMs(one, config.leaseMs));
  const byMemory = around.dispatcherSeenAtMs[lane.name];
  const seen = [...byLeases, ...(byMemory === undefined ? [] : [byMemory])];
  return seen.length === 0 ? undefined : Math.max(...seen);
}

function lanePaused(lane: LaneView): readonly Limit[] {
  if (lane.pausedAtMs === null) return [];
  const evidence = { lane: lane.name, since: printInstant(lane.pausedAtMs) };
  return [limitOf("everything", stop("lane_paused", evidence), { lanes: [lane.name], costs: costsOf(lane.toSend) })];
}

// ---- what is stopped by a row ----------------------------------------------------------------------------------------

function pauseLimit(pause: PauseView, { snapshot, config }: Scene): Limit {
  const isOutlet = pause.kind === "outlet";
  const lanes = pause.lane === null ? [] : [pause.lane];
  const waiting = isOutlet ? toSendOf(lanesOfOutlet(pause.name, { snapshot, config }, pause.lane)) : null;
  return limitOf(isOutlet ? "outlet" : "part", pauseReason(pause), {
    lanes: isOutlet && lanes.length === 0 ? laneNames(pause.name, config) : lanes,
    ...(isOutlet ? { outlet: pause.name } : { destination: pause.name }),
    costs: costsOf(waiting ?? snapshot.waitingFor[pause.name]?.waiting ?? null),
  });
}

export function pauseReason(pause: PauseView): Reason {
  if (pause.reason !== null) return { ...pause.reason, limits: "stop", limit: 0 };
  const since = printInstant(pause.pausedAtMs);
  return pause.kind === "outlet"
    ? stop("outlet_paused", { outlet: pause.name, since })
    : stop("destination_paused", { destination: pause.name, since });
}

function campaignPauses({ snapshot }: Scene): readonly Limit[] {
  return snapshot.pausedCampaigns.map(({ name, lane, waiting }) =>
    limitOf(waiting > 0 ? "part" : "note", stop("campaign_paused", { campaign: name, waiting }), {
      lanes: [lane],
      costs: costsOf(waiting),
    }),
  );
}

// ---- what the dispatchers say of their outlets -----------------------------------------------------------------------

/** Of an outlet, whatever waits: a fault that will stop the next message too. */
const OUTLET_STOPS: ReadonlySet<ReasonCode> = new Set([
  "outlet_paused",
  "relay_unreachable",
  "credentials_refused",
  "tls_refused",
  "outlet_failing",
  "relay_stalled",
  "policy_refusals",
]);
/** What lies under a slow drain or a narrow window. */
const TROUBLES: ReadonlySet<ReasonCode> = new Set([
  "disk_slow",
  "disk_full",
  "machine_pressed",
  "readings_stale",
  "relay_pushes_back",
  "plug_full",
]);
/** Limits of the configuration: worth a line only where they bind. */
const CONFIGURED: ReadonlySet<ReasonCode> = new Set(["window_fixed", "lane_share", "max_rate"]);
/** What shows when something below it is slow. */
const SYMPTOMS: ReadonlySet<ReasonCode> = new Set([
  "relay_drain",
  "relay_queue",
  "relay_unmeasured",
  "relay_stalled",
  "reply_slow",
  "window_fixed",
  "lane_share",
]);

function verdicts(scene: Scene): readonly Limit[] {
  return saying(scene).flatMap(({ lane, outlet }) => verdictLimits(lane, outlet));
}

interface Saying {
  readonly lane: LaneView;
  readonly outlet: OutletPulse;
}

/** Of every dispatcher that is heard. */
function saying({ snapshot, config }: Scene): readonly Saying[] {
  return snapshot.lanes.flatMap((lane) =>
    lane.dispatchers
      .filter((one) => one.isAlive && isHeard(one, config, snapshot))
      .flatMap(({ pulse }) => pulse.outlets.map((outlet) => ({ lane, outlet }))),
  );
}

function verdictLimits(lane: LaneView, outlet: OutletPulse): readonly Limit[] {
  return stopsBeforeProbing(outlet.reasons).flatMap((reason, index) => {
    const rank = rankOf(reason, index, outlet);
    if (rank === undefined) return [];
    const costs = { ...costsOf(lane.toSend), ...ratesOf(reason, outlet) };
    return [limitOf(rank, reason, { lanes: [lane.name], outlet: outlet.name, costs })];
  });
}

/** The probe is open for a moment; what it is made for is what a person must hear. */
function stopsBeforeProbing(reasons: readonly Reason[]): readonly Reason[] {
  const isStop = ({ code }: Reason): boolean => OUTLET_STOPS.has(code);
  return [...reasons.filter(isStop), ...reasons.filter((reason) => !isStop(reason))];
}

function rankOf(reason: Reason, index: number, { wants_more }: OutletPulse): keyof typeof RANK | undefined {
  if (reason.limits === "nothing") return undefined;
  if (OUTLET_STOPS.has(reason.code)) return "outlet";
  if (reason.code === "probing") return "outlet";
  if (!wants_more) return undefined;
  if (TROUBLES.has(reason.code)) return "trouble";
  if (!CONFIGURED.has(reason.code)) return "verdict";
  if (index > 0) return undefined;
  return reason.code === "max_rate" ? "decided" : "verdict";
}

/** Without this reason the next one of its kind would bind. A window turns over as often as it does now. */
function ratesOf(reason: Reason, outlet: OutletPulse): Pick<Costs, "allowed_per_s" | "wanted_per_s"> {
  const next = outlet.reasons
    .filter((other) => other.limits === reason.limits && other.limit > reason.limit)
    .toSorted((one, other) => one.limit - other.limit)[0];
  const allowed = reason.limits === "pace" ? Math.min(reason.limit, outlet.taken_per_s) : outlet.taken_per_s;
  const isWindow = reason.limits === "window" && reason.limit > 0;
  const wanted = next === undefined ? null : isWindow ? (allowed * next.limit) / reason.limit : next.limit;
  return { allowed_per_s: tenth(allowed), wanted_per_s: wanted === null ? null : tenth(wanted) };
}

// ---- destinations ----------------------------------------------------------------------------------------------------

function destinationLimits({ snapshot }: Scene): readonly Limit[] {
  const { failing, unproven, failingCount } = throttledOf(snapshot);
  const waiting = failing.reduce((sum, { destination }) => sum + waitingFor(snapshot, destination), 0);
  const isHeavy = waiting > 0 && waiting >= toSendOf(snapshot.lanes) * DESTINATIONS_HEAVY_SHARE;
  const rank = isHeavy ? "part" : "small";
  return [
    ...(failingCount > 1 ? [severalFailing(snapshot, failing, failingCount, { rank, waiting })] : []),
    ...(failingCount === 1 ? failing.map((one) => oneThrottled(snapshot, one, rank)) : []),
    ...unproven
      .slice(0, 1)
      .map((one) => oneThrottled(snapshot, one, isUnprovenHeavy(snapshot, one) ? "part" : "small")),
  ];
}

interface Throttled {
  readonly destination: string;
  readonly reason: Reason;
}

/** By the dispatchers' word, and by the relays' logs for what they have not tried since. The most waited for first. */
export function throttledOf(snapshot: EngineSnapshot): {
  readonly failing: readonly Throttled[];
  readonly unproven: readonly Throttled[];
  readonly failingCount: number;
} {
  const pulses = snapshot.lanes
    .flatMap((lane) => lane.dispatchers.filter((one) => one.isAlive))
    .map(({ pulse }) => pulse);
  const told = new Map<string, Throttled>();
  for (const { name, failures, probe_in_ms, error } of snapshot.destinations.worst) {
    if (probe_in_ms === null || probe_in_ms <= 0) continue;
    told.set(
      name,
      failingBy(name, { failures, probe_in_s: seconds(probe_in_ms), ...(error === null ? {} : { error }) }),
    );
  }
  for (const { destination, reason } of pulses.flatMap(({ throttled }) => throttled.some)) {
    told.set(destination, asFailing(destination, reason));
  }
  const byWaiting = [...told.values()].toSorted(
    (one, other) => waitingFor(snapshot, other.destination) - waitingFor(snapshot, one.destination),
  );
  const failing = byWaiting.filter(({ reason }) => reason.code === "destination_failing");
  const unproven = byWaiting.filter(({ reason }) => reason.code !== "destination_failing");
  const share = told.size === 0 ? 0 : failing.length / told.size;
  const counted = Math.max(0, ...pulses.map(({ throttled }) => Math.round(throttled.count * share)));
  return { failing, unproven, failingCount: Math.max(failing.length, counted) };
}

/** While its one probe is open it still is what fails. */
function asFailing(destination: string, reason: Reason): Throttled {
  if (reason.code !== "probing") return { destination, reason };
  const { failures = 1, error } = reason.evidence;
  return failingBy(destination, { failures, probe_in_s: 0, ...(error === undefined ? {} : { error }) });
}

function failingBy(destination: string, evidence: Reason["evidence"]): Throttled {
  return { destination, reason: stop("destination_failing", { destination, ...evidence }) };
}

function severalFailing(
  snapshot: EngineSnapshot,
  failing: readonly Throttled[],
  count: number,
  { rank, waiting }: { readonly rank: keyof typeof RANK; readonly waiting: number },
): Limit {
  const largest = failing.find(({ destination }) => waitingFor(snapshot, destination) > 0)?.destination;
  const evidence = { destinations: count, waiting, ...(largest === undefined ? {} : { largest }) };
  return limitOf(rank, stop("destinations_failing", evidence), { costs: costsOf(waiting) });
}

export function oneThrottled(
  snapshot: EngineSnapshot,
  { destination, reason }: Throttled,
  rank: keyof typeof RANK,
): Limit {
  const waiting = snapshot.waitingFor[destination]?.waiting ?? null;
  const evidence = waiting === null ? reason.evidence : { waiting, ...reason.evidence };
  return limitOf(rank, { ...reason, evidence }, { destination, costs: costsOf(waiting) });
}

function isUnprovenHeavy(snapshot: EngineSnapshot, { destination }: Throttled): boolean {
  return waitingFor(snapshot, destination) >= Math.max(1, toSendOf(snapshot.lanes) * DESTINATIONS_HEAVY_SHARE);
}

function waitingFor(snapshot: EngineSnapshot, destination: string): number {
  return snapshot.waitingFor[destination]?.waiting ?? 0;
}

// ---- what lies under the verdicts ------------------------------------------------------------------------------------

/** Of outlets in use that have a gauge. Before its first reading, the agent is silent since the dispatcher came. */
function staleReadings({ snapshot, config }: Scene): readonly Limit[] {
  return Object.values(config.outlets).flatMap((outlet) => {
    if (outlet.type !== "smtp" || outlet.gauge === undefined) return [];
    const lanes = laneNames(outlet.name, config);
    const reading = snapshot.readings.find((one) => one.outlet === outlet.name);
    const ageMs = reading?.ageMs ?? heldMs(snapshot, lanes);
    if (lanes.length === 0 || ageMs < READING_STALE_MS) return [];
    const evidence = { outlet: outlet.name, silent_s: seconds(ageMs) };
    const reason: Reason = { code: "readings_stale", limits: "pace", limit: 0, evidence };
    return [limitOf("trouble", reason, { lanes, outlet: outlet.name })];
  });
}

function heldMs(snapshot: EngineSnapshot, lanes: readonly string[]): number {
  const serving = snapshot.lanes.filter(({ name }) => lanes.includes(name)).flatMap((lane) => lane.dispatchers);
  return Math.max(0, ...serving.filter((one) => one.isAlive).map((one) => one.heldMs));
}

function relayTroubles(scene: Scene): readonly Limit[] {
  return scene.snapshot.readings.flatMap(({ outlet, ageMs, reading }) => {
    if (ageMs >= READING_STALE_MS) return [];
    const lanes = laneNames(outlet, scene.config);
    const reasons = isSlowBelow(outlet, scene) ? [...diskSlow(reading), ...machinePressed(reading)] : [];
    return [...reasons, ...diskFull(reading)].map((reason) => limitOf("trouble", reason, { lanes, outlet }));
  });
}

/** A disk that is slow and keeps nobody waiting is nobody's trouble. */
function isSlowBelow(outlet: string, scene: Scene): boolean {
  return saying(scene).some(
    ({ outlet: at }) => at.name === outlet && at.wants_more && at.reasons.some(({ code }) => SYMPTOMS.has(code)),
  );
}

type Readings = EngineSnapshot["readings"][number]["reading"];

function diskSlow({ fsync_ms, fsync_usual_ms }: Readings): readonly Reason[] {
  if (fsync_ms === undefined || fsync_usual_ms === undefined) return [];
  if (fsync_ms < FSYNC_SLOW_MS || fsync_ms < fsync_usual_ms * FSYNC_SLOW_FACTOR) return [];
  return [pace("disk_slow", { fsync_ms: tenth(fsync_ms), usual_ms: tenth(fsync_usual_ms) })];
}

function diskFull({ disk_free_bytes: free, disk_total_bytes: total }: Readings): readonly Reason[] {
  if (free === undefined || total === undefined || total <= 0 || free / total >= DISK_FREE_SHARE_MIN) return [];
  return [pace("disk_full", { free_percent: tenth((free / total) * 100) })];
}

function machinePressed(reading: Readings): readonly Reason[] {
  const [first] = [
    { resource: "disk", share: reading.pressure_io ?? 0 },
    { resource: "memory", share: reading.pressure_memory ?? 0 },
    { resource: "CPU", share: reading.pressure_cpu ?? 0 },
  ].toSorted((one, other) => other.share - one.share);
  if (first === undefined || first.share < MACHINE_PRESSED_SHARE) return [];
  return [pace("machine_pressed", { resource: first.resource, waiting_percent: Math.round(first.share * 100) })];
}

function machineTroubles(scene: Scene): readonly Limit[] {
  const waiting = toSendOf(scene.snapshot.lanes);
  const found = [...longTransaction(scene.snapshot)];
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
function commitsOf({ lanes }: EngineSnapshot): { readonly lastMs: number; readonly usualMs: number } {
  const pulses = lanes.flatMap((lane) => lane.dispatchers.filter((one) => one.isAlive)).map(({ pulse }) => pulse);
  const [slowest] = pulses.toSorted((one, other) => (other.commit_ms ?? 0) - (one.commit_ms ?? 0));
  return { lastMs: slowest?.commit_ms ?? 0, usualMs: slowest?.commit_usual_ms ?? 0 };
}

function cpuFull({ cpuWaiting }: Surroundings): readonly Reason[] {
  if (cpuWaiting === null || cpuWaiting < CPU_FULL_SHARE) return [];
  return [pace("cpu_full", { waiting_percent: Math.round(cpuWaiting * 100) })];
}

// ---- alarms and notes ------------------------------------------------------------------------------------------------

function alarms({ snapshot, config, around }: Scene): readonly Limit[] {
  return around.alarms.map(({ lane, sinceMs }) => {
    const queued = snapshot.lanes.find(({ name }) => name === lane)?.queued ?? 0;
    const quietMs = config.noProgressAlarmMs + Math.max(0, around.nowMs - sinceMs);
    const evidence = { lane, queued, quiet_s: seconds(quietMs) };
    return limitOf(
      "small",
      { code: "no_progress", limits: "nothing", limit: 0, evidence },
      {
        lanes: [lane],
        costs: costsOf(queued),
      },
    );
  });
}

function notes({ snapshot, config }: Scene): readonly Limit[] {
  const used = Object.values(config.outlets).filter(({ name }) => laneNames(name, config).length > 0);
  const captured = used.filter(({ type }) => type === "capture");
  const isSilentHome = config.returnsDomain === undefined && used.some(({ type }) => type === "smtp");
  return [
    ...captured.map(({ name }) => note("captured", { outlet: name }, { lanes: laneNames(name, config), outlet: name })),
    ...snapshot.unaccounted.map(({ outlet, messages }) => note("unaccounted", { outlet, messages }, { outlet })),
    ...(isSilentHome ? [note("nothing_comes_home", {}, {})] : []),
  ];
}

function note(code: ReasonCode, evidence: Reason["evidence"], of: Partial<Limit>): Limit {
  return limitOf("note", { code, limits: "nothing", limit: 0, evidence }, of);
}

// ---- small parts -----------------------------------------------------------------------------------------------------

export function limitOf(rank: keyof typeof RANK, reason: Reason, of: Partial<Limit> = {}): Limit {
  return { lanes: [], costs: costsOf(null), ...of, reason, rank: RANK[rank] };
}

export function costsOf(waiting: number | null): Costs {
  return { waiting, allowed_per_s: null, wanted_per_s: null };
}

export function stop(code: ReasonCode, evidence: Reason["evidence"]): Reason {
  return { code, limits: "stop", limit: 0, evidence };
}

function pace(code: ReasonCode, evidence: Reason["evidence"]): Reason {
  return { code, limits: "pace", limit: 0, evidence };
}

export function laneNames(
  outlet: string,
  { lanes, outlets }: Pick<ExplainConfig, "lanes" | "outlets">,
): readonly string[] {
  const ways = new Set([outlet]);
  for (const other of Object.values(outlets)) {
    if (other.type === "smtp" && other.retryOutlet === outlet) ways.add(other.name);
  }
  return Object.values(lanes)
    .filter((lane) => lane.outlets.some((name) => ways.has(name)))
    .map(({ name }) => name);
}

function lanesOfOutlet(
  outlet: string,
  { snapshot, config }: Pick<Scene, "snapshot" | "config">,
  only: string | null,
): readonly LaneView[] {
  const names = laneNames(outlet, config);
  return snapshot.lanes.filter(({ name }) => names.includes(name) && (only === null || only === name));
}

export function toSendOf(lanes: readonly LaneView[]): number {
  return lanes.reduce((sum, lane) => sum + lane.toSend, 0);
}

/** `2026-11-26T14:02:10Z`. */
export function printInstant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

export function seconds(ms: number): number {
  return Math.max(0, Math.round(ms / 1000));
}

export function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
