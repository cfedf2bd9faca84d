// Every limit that a snapshot shows, in the order in which a person should hear of them (explain-limit.ts). Pure. Here are
// those of lanes, of what is paused, of alarms, and what is only worth knowing; the files beside have the others.

import type { Reason, ReasonCode } from "../mail/reasons.ts";
import type { HeldBackCampaign, LaneView, PausedCampaign, PauseView } from "./engine-snapshot.ts";
import { destinationLimits } from "./explain-destinations.ts";
import {
  costsOf,
  isHeard,
  laneNames,
  limitOf,
  pace,
  printInstant,
  RANK,
  seconds,
  silentMs,
  stop,
  toSendOf,
  type Limit,
  type Scene,
} from "./explain-limit.ts";
import { machineTroubles, silentDatabase, stuckCommits } from "./explain-machine.ts";
import { relayTroubles, staleReadings, verdicts } from "./explain-relays.ts";

export function findLimits(scene: Scene): readonly Limit[] {
  const found = [
    ...silentDatabase(scene.around),
    ...stuckCommits(scene),
    ...guardHold(scene),
    ...scene.snapshot.lanes.flatMap((lane) => laneStops(lane, scene)),
    ...scene.snapshot.pauses.map((pause) => pauseLimit(pause, scene)),
    ...verdicts(scene),
    ...campaignPauses(scene),
    ...campaignsHeldBack(scene),
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
  return String(evidence["campaign"] ?? evidence["pid"] ?? evidence["slot"] ?? "");
}

function union(one: readonly string[], other: readonly string[]): readonly string[] {
  return one.length === 0 || other.length === 0 ? [] : [...new Set([...one, ...other])];
}

// ---- the guard -------------------------------------------------------------------------------------------------------

function guardHold({ snapshot: { guard, lanes }, config }: Scene): readonly Limit[] {
  if (guard === null) return [];
  const held = lanes.filter(({ name, isHeldByGuard }) => isHeldByGuard && Object.hasOwn(config.lanes, name));
  if (held.length === 0) return [];
  const { code, evidence } = guard.reason;
  return [
    limitOf("everything", stop(code, { since: printInstant(guard.sinceMs), ...evidence }), {
      lanes: held.map(({ name }) => name),
      costs: costsOf(held.reduce((sum, { toSend }) => sum + toSend, 0)),
    }),
  ];
}

// ---- lanes -----------------------------------------------------------------------------------------------------------

function laneStops(lane: LaneView, scene: Scene): readonly Limit[] {
  if (!Object.hasOwn(scene.config.lanes, lane.name)) return [];
  return [...noDispatcher(lane, scene), ...lanePaused(lane), ...laneFull(lane)];
}

function noDispatcher(lane: LaneView, { around, config, snapshot }: Scene): readonly Limit[] {
  if (around.databaseSilent !== undefined || lane.dispatchers.some((one) => isHeard(one, config, snapshot))) return [];
  const sinceMs = lastSeenMs(lane, { around, config, snapshot });
  const evidence = { lane: lane.name, ...(sinceMs === undefined ? {} : { since: printInstant(sinceMs) }) };
  const rank = lane.toSend > 0 ? "everything" : "small";
  return [limitOf(rank, stop("no_dispatcher", evidence), { lanes: [lane.name], costs: costsOf(lane.toSend) })];
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

/** It limits nothing that is here already. */
function laneFull({ name, fullBecause }: LaneView): readonly Limit[] {
  if (fullBecause === null) return [];
  return [limitOf("part", stop("lane_full", { lane: name, because: fullBecause }), { lanes: [name] })];
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

function lanesOfOutlet(
  outlet: string,
  { snapshot, config }: Pick<Scene, "snapshot" | "config">,
  only: string | null,
): readonly LaneView[] {
  const names = laneNames(outlet, config);
  return snapshot.lanes.filter(({ name }) => names.includes(name) && (only === null || only === name));
}

export function pauseReason(pause: PauseView): Reason {
  if (pause.reason !== null) return { ...pause.reason, limits: "stop", limit: 0 };
  const since = printInstant(pause.pausedAtMs);
  return pause.kind === "outlet"
    ? stop("outlet_paused", { outlet: pause.name, since })
    : stop("destination_paused", { destination: pause.name, since });
}

function campaignPauses({ snapshot }: Scene): readonly Limit[] {
  return snapshot.pausedCampaigns.map((campaign) =>
    limitOf(campaign.waiting > 0 ? "part" : "note", campaignPause(campaign), {
      lanes: [campaign.lane],
      costs: costsOf(campaign.waiting),
    }),
  );
}

function campaignPause({ name, waiting, because }: PausedCampaign): Reason {
  if (because === null) return stop("campaign_paused", { campaign: name, waiting });
  const { rows, deferred, bounced, held, expired, limit } = because.evidence;
  const failed = deferred + bounced + held + expired;
  return stop("canary_failed", { campaign: name, waiting, rows, failed, limit_percent: roundedPercent(limit) });
}

function campaignsHeldBack({ snapshot }: Scene): readonly Limit[] {
  return snapshot.heldBackCampaigns.map((campaign) =>
    limitOf("part", holdBack(campaign), { lanes: [campaign.lane], costs: costsOf(campaign.waiting) }),
  );
}

function holdBack({ name, waiting, pacePerS, canaryRows }: HeldBackCampaign): Reason {
  if (canaryRows !== null) return stop("campaign_canary", { campaign: name, waiting, rows: canaryRows });
  return pace("campaign_pace", { campaign: name, waiting, pace_per_s: Number((pacePerS ?? 0).toPrecision(3)) });
}

function roundedPercent(share: number): number {
  return Number((share * 100).toPrecision(3));
}

// ---- alarms and notes ------------------------------------------------------------------------------------------------

function alarms({ snapshot, config, around }: Scene): readonly Limit[] {
  return around.alarms.map(({ lane, sinceMs }) => {
    const queued = snapshot.lanes.find(({ name }) => name === lane)?.queued ?? 0;
    const quietMs = config.noProgressAlarmMs + Math.max(0, around.nowMs - sinceMs);
    const evidence = { lane, queued, quiet_s: seconds(quietMs) };
    const reason: Reason = { code: "no_progress", limits: "nothing", limit: 0, evidence };
    return limitOf("small", reason, { lanes: [lane], costs: costsOf(queued) });
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
