// What a look at the engine means: processes that are missing, lanes that stand still, what waits for a person. Pure.

import type { Config } from "../platform/config.ts";
import type { EngineSnapshot, LaneView, PauseView } from "../reports/engine-snapshot.ts";
import type { LaneStatus } from "../reports/status-report.ts";
import type { SessionsRow } from "./engine-facts-store.ts";
import { finding, foundIf, type Finding } from "./finding.ts";

export interface EngineFacts {
  readonly snapshot: EngineSnapshot;
  readonly status: readonly Pick<LaneStatus, "name" | "oldest_waiting_ms">[];
  readonly sessions: SessionsRow;
  readonly config: Pick<Config, "lanes" | "noProgressAlarmMs">;
}

export function judgeEngine(facts: EngineFacts): readonly Finding[] {
  const { snapshot } = facts;
  return [
    ...judgeProcesses(facts),
    ...snapshot.lanes.flatMap((lane) => judgeLane(lane, facts)),
    ...snapshot.pauses.map((pause) => tellPause(pause)),
    ...snapshot.pausedCampaigns.map(tellCampaign),
    ...judgeCommits(snapshot),
    ...snapshot.unaccounted.map(({ outlet, messages }) =>
      finding("unaccounted_waiting", `outlet ${outlet}: ${messages} messages are unaccounted for`, {
        outlet,
        messages,
      }),
    ),
    ...judgeReturns(snapshot),
  ];
}

/** That no process is there is one finding, not one for each lane. */
function judgeProcesses({ snapshot, sessions, config }: EngineFacts): readonly Finding[] {
  const live = snapshot.lanes.flatMap(({ dispatchers }) => dispatchers.filter(({ isAlive }) => isAlive));
  const isFrontMissing = sessions.fronts === 0 && !sessions.has_hidden;
  if (live.length === 0 && sessions.fronts === 0) {
    return [finding("engine_down", "no dispatcher is alive and no front has a session")];
  }
  const unserved = Object.keys(config.lanes).filter((name) => {
    const lane = snapshot.lanes.find((one) => one.name === name);
    return !(lane?.dispatchers ?? []).some(({ isAlive }) => isAlive);
  });
  return [
    ...foundIf(isFrontMissing, () => finding("front_missing", "no front has a session in the database")),
    ...unserved.map((name) =>
      finding("lane_without_dispatcher", `lane ${name}: no dispatcher is alive`, { lane: name }),
    ),
  ];
}

function judgeLane(lane: LaneView, facts: EngineFacts): readonly Finding[] {
  const { name, states, pausedAtMs, isHeldByGuard, fullBecause, dispatchers } = lane;
  const waiting = states.queued + states.deferred + states.scheduled + states.held + states.unknown;
  const gone = dispatchers.filter(({ isAlive }) => !isAlive).length;
  const figures = { lane: name };
  return [
    ...foundIf(facts.config.lanes[name] === undefined && waiting > 0, () =>
      finding("lane_unserved", `lane ${name} is in no configuration, and ${waiting} messages wait in it`, {
        ...figures,
        waiting,
      }),
    ),
    ...foundIf(gone > 0, () =>
      finding("dispatcher_gone", `lane ${name}: ${gone} dispatchers are gone, with leases that ran out`, {
        ...figures,
        gone,
      }),
    ),
    ...judgeProgress(lane, facts),
    ...foundIf(fullBecause !== null, () =>
      finding("lane_full", `lane ${name} takes no more mail: ${fullBecause}`, figures),
    ),
    ...foundIf(isHeldByGuard, () =>
      finding("guard_holds", `the guard holds lane ${name}; ${waiting} messages wait`, { ...figures, waiting }),
    ),
    ...foundIf(pausedAtMs !== null, () =>
      finding("lane_paused", `lane ${name} is paused since ${isoOf(pausedAtMs!)}; ${waiting} messages wait`, {
        ...figures,
        waiting,
      }),
    ),
    ...foundIf(states.unknown > 0, () =>
      finding("unknown_waiting", `lane ${name}: ${states.unknown} messages are unknown`, {
        ...figures,
        messages: states.unknown,
      }),
    ),
    ...foundIf(states.held > 0, () =>
      finding("held_waiting", `lane ${name}: ${states.held} messages are held`, { ...figures, messages: states.held }),
    ),
    ...foundIf(
      Object.values(states).some((count) => count < 0),
      () => finding("books_wrong", `lane ${name}: a state holds fewer than no messages`, figures),
    ),
  ];
}

/** As the alarm of upkeep, from one look: the oldest message has been due, and nothing was settled, for so long. */
function judgeProgress(lane: LaneView, { status, config }: EngineFacts): readonly Finding[] {
  const { name, pausedAtMs, isHeldByGuard, toSend, dispatchers } = lane;
  const settledMs = dispatchers.filter(({ isAlive }) => isAlive).map(({ pulse }) => pulse.settled_ms_ago);
  const oldestMs = status.find((one) => one.name === name)?.oldest_waiting_ms ?? 0;
  const quietMs = Math.min(oldestMs, ...settledMs);
  const mayGo = pausedAtMs === null && !isHeldByGuard;
  const isStuck = mayGo && toSend > 0 && settledMs.length > 0 && quietMs > config.noProgressAlarmMs;
  return foundIf(isStuck, () =>
    finding(
      "lane_stuck",
      `lane ${name}: ${toSend} messages are to be sent, and nothing was settled for ${Math.round(quietMs / 1000)} s`,
      { lane: name, waiting: toSend, quiet_ms: Math.round(quietMs) },
    ),
  );
}

function tellPause({ kind, name, lane, pausedAtMs, isByRule }: PauseView): Finding {
  const where = lane === null ? "" : ` in lane ${lane}`;
  const found = `${kind} ${name}${where} is paused since ${isoOf(pausedAtMs)}`;
  return finding(isByRule ? "paused_by_rule" : `${kind}_paused`, found, { name });
}

function tellCampaign({ name, waiting, because }: EngineSnapshot["pausedCampaigns"][number]): Finding {
  const found = `campaign "${name}" is paused; ${waiting} messages wait`;
  return finding(because === null ? "campaign_paused" : "canary_failed", found, { campaign: name, waiting });
}

/** A commit to a disk that turns takes 8 ms, with many neighbours some hundred. */
const COMMIT_MS_MAX = 2000;

function judgeCommits({ commitStuckMs }: EngineSnapshot): readonly Finding[] {
  return foundIf(commitStuckMs !== null && commitStuckMs > COMMIT_MS_MAX, () =>
    finding("commits_stuck", `a commit has waited ${Math.round(commitStuckMs! / 1000)} s for the disk`),
  );
}

/** They are judged within seconds. */
const RETURN_MS_MAX = 300_000;

function judgeReturns({ returns: { unjudged, oldestMs } }: EngineSnapshot): readonly Finding[] {
  return foundIf(oldestMs !== null && oldestMs > RETURN_MS_MAX, () =>
    finding(
      "returns_unjudged",
      `${unjudged} returns wait to be judged, the oldest for ${Math.round(oldestMs! / 1000)} s`,
      {
        returns: unjudged,
      },
    ),
  );
}

const isoOf = (ms: number): string => new Date(ms).toISOString();
