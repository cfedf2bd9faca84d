// What limits an outlet: the dispatchers' verdicts, and what the gauge shows to lie under them. Pure.

import type { OutletPulse } from "../mail/pulse.ts";
import type { Reason, ReasonCode } from "../mail/reasons.ts";
import type { EngineSnapshot, LaneView } from "./engine-snapshot.ts";
import {
  costsOf,
  isHeard,
  laneNames,
  limitOf,
  pace,
  seconds,
  tenth,
  type Costs,
  type Limit,
  type RANK,
  type Scene,
} from "./explain-limit.ts";

/** Readings come every second, too. */
const READING_STALE_MS = 3000;
/** More than half of the time something waits. */
const MACHINE_PRESSED_SHARE = 0.5;
/** As the governor has it; a mechanical disk takes 8 ms for an honest fsync. */
const FSYNC_SLOW_FACTOR = 5;
const FSYNC_SLOW_MS = 20;
/** Postfix refuses mail when less than 1.5 times its message size limit is free; long before that somebody should look. */
const DISK_FREE_SHARE_MIN = 0.05;

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

export function verdicts(scene: Scene): readonly Limit[] {
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
    const rank = rankOf(reason, index, { lane, outlet });
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

function rankOf(reason: Reason, index: number, one: Saying): keyof typeof RANK | undefined {
  if (reason.limits === "nothing") return undefined;
  if (OUTLET_STOPS.has(reason.code)) return "outlet";
  if (reason.code === "probing") return "outlet";
  if (!isFelt(reason, one)) return undefined;
  if (TROUBLES.has(reason.code)) return "trouble";
  if (!CONFIGURED.has(reason.code)) return "verdict";
  if (index > 0) return undefined;
  return reason.code === "max_rate" ? "decided" : "verdict";
}

/** Ten messages that come at once are kept back for a moment, too; what is gone within this time nobody waits for. */
const FELT_S = 1;

function isFelt({ limits, limit }: Reason, { lane, outlet }: Saying): boolean {
  const perS = Math.max(outlet.taken_per_s, limits === "pace" ? limit : 0);
  return outlet.wants_more && lane.toSend > perS * FELT_S;
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

// ---- what lies under the verdicts ------------------------------------------------------------------------------------

/** Of outlets in use that have a gauge. Before its first reading, the agent is silent since the dispatcher came. */
export function staleReadings({ snapshot, config }: Scene): readonly Limit[] {
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

export function relayTroubles(scene: Scene): readonly Limit[] {
  return scene.snapshot.readings.flatMap(({ outlet, ageMs, reading }) => {
    if (ageMs >= READING_STALE_MS) return [];
    const lanes = laneNames(outlet, scene.config);
    const reasons = isSlowBelow(outlet, scene) ? [...diskSlow(reading), ...machinePressed(reading)] : [];
    return [...reasons, ...diskFull(reading)].map((reason) => limitOf("trouble", reason, { lanes, outlet }));
  });
}

/** A disk that is slow and keeps nobody waiting is nobody's trouble. */
function isSlowBelow(outlet: string, scene: Scene): boolean {
  return saying(scene)
    .filter(({ outlet: { name } }) => name === outlet)
    .some((one) => one.outlet.reasons.some((reason) => SYMPTOMS.has(reason.code) && isFelt(reason, one)));
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
