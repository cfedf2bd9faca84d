// The routes of lanes and outlets: how they stand, pause, resume. A pause is in force within a second, and stops nobody
// from submitting.

import type { FastifyInstance } from "fastify";
import type { LaneId } from "../../mail/ids.ts";
import { listLanes, pauseLane, resumeLane } from "../../queue/lane-store.ts";
import { EVERY_LANE, listPauses, pauseTarget, resumeTarget, type PauseTarget } from "../../queue/pause-store.ts";
import { readSnapshot, type LaneView } from "../../reports/engine-snapshot.ts";
import { reportOutlets } from "../../reports/outlet-report.ts";
import { callerOf, type Caller } from "./authorize.ts";
import type { HttpApi } from "./http-api.ts";
import {
  LANE_MOVED,
  LANES,
  NAME_PARAMS,
  OUTLET_MOVED,
  OUTLET_ORDER,
  OUTLETS,
  type LaneAnswer,
  type NameParams,
  type OutletOrder,
} from "./lane-schema.ts";
import { PROBLEM_ANSWERS } from "./problem-schema.ts";
import { Problem } from "./problem.ts";

export function addLaneRoutes(server: FastifyInstance, api: HttpApi): void {
  server.get(
    "/lanes",
    {
      config: { scopes: ["read", "operate"] },
      schema: { summary: "How the lanes stand", response: { 200: LANES, ...PROBLEM_ANSWERS } },
    },
    async (request) => {
      const { entry, patience } = callerOf(request);
      const { lanes } = await patience.within(readSnapshot(entry.pool));
      return { object: "list", data: lanes.map((lane) => laneAnswer(lane, api)) } as const;
    },
  );
  for (const order of ["pause", "resume"] as const) {
    server.post<{ Params: NameParams }>(
      `/lanes/:name/${order}`,
      {
        config: { scopes: ["operate"] },
        schema: {
          summary: order === "pause" ? "Hand over nothing more of a lane" : "Hand over a lane's mail again",
          params: NAME_PARAMS,
          response: { 200: LANE_MOVED, ...PROBLEM_ANSWERS },
        },
      },
      (request) => moveLane(request.params.name, order, callerOf(request)),
    );
  }
}

export function addOutletRoutes(server: FastifyInstance, api: HttpApi): void {
  server.get(
    "/outlets",
    {
      config: { scopes: ["read", "operate"] },
      schema: { summary: "How the outlets stand", response: { 200: OUTLETS, ...PROBLEM_ANSWERS } },
    },
    async (request) => {
      const { entry, patience } = callerOf(request);
      const snapshot = await patience.within(readSnapshot(entry.pool));
      return { object: "list", data: reportOutlets(snapshot, api.config, api.clock.wallMs()) } as const;
    },
  );
  for (const order of ["pause", "resume"] as const) {
    server.post<{ Params: NameParams; Body: OutletOrder | undefined }>(
      `/outlets/:name/${order}`,
      {
        config: { scopes: ["operate"] },
        schema: {
          summary: order === "pause" ? "Hand over nothing more by an outlet" : "Hand over by an outlet again",
          params: NAME_PARAMS,
          body: OUTLET_ORDER,
          response: { 200: OUTLET_MOVED, ...PROBLEM_ANSWERS },
        },
      },
      (request) => moveOutlet(request.params.name, request.body?.lane ?? undefined, order, callerOf(request), api),
    );
  }
}

function laneAnswer({ name, pausedAtMs, fullBecause, states, dispatchers }: LaneView, { config }: HttpApi): LaneAnswer {
  const settings = config.lanes[name];
  return {
    name,
    is_paused: pausedAtMs !== null,
    paused_at: pausedAtMs === null ? null : new Date(pausedAtMs).toISOString(),
    full_because: fullBecause,
    priority: settings?.priority ?? null,
    outlets: [...(settings?.outlets ?? [])],
    dispatchers: dispatchers.filter(({ isAlive }) => isAlive).length,
    messages: { ...states },
  };
}

async function moveLane(name: string, order: "pause" | "resume", { entry, patience }: Caller) {
  const isThere = await patience.within((order === "pause" ? pauseLane : resumeLane)(entry.pool, name));
  if (!isThere) throw await noSuchLane("lane_not_found", { entry, patience });
  return { object: "lane", name, is_paused: order === "pause" } as const;
}

async function moveOutlet(
  name: string,
  lane: string | undefined,
  order: "pause" | "resume",
  caller: Caller,
  { config }: HttpApi,
) {
  if (!Object.hasOwn(config.outlets, name)) {
    const hint = `Outlets: ${Object.keys(config.outlets).join(", ")}.`;
    throw new Problem("outlet_not_found", "there is no such outlet", { hint });
  }
  const target: PauseTarget = { kind: "outlet", name, laneId: await laneIdOf(lane, caller) };
  const was_paused = await (order === "pause" ? pauseOutlet : resumeOutlet)(target, caller);
  return { object: "outlet", name, lane: lane ?? null, is_paused: order === "pause", was_paused } as const;
}

async function pauseOutlet(target: PauseTarget, { entry, patience }: Caller): Promise<boolean> {
  return !(await patience.within(pauseTarget(entry.pool, target)));
}

async function resumeOutlet(target: PauseTarget, { entry, patience }: Caller): Promise<boolean> {
  if ((await patience.within(resumeTarget(entry.pool, target))).length > 0) return true;
  const pauses = await patience.within(listPauses(entry.pool));
  const isForAll = pauses.some(
    (row) => row.kind === "outlet" && row.name === target.name && row.lane_id === EVERY_LANE,
  );
  if (!isForAll) return false;
  throw new Problem("paused_for_every_lane", "the outlet is paused for every lane", {
    hint: "It cannot be resumed for one alone. Resume it without `lane`.",
  });
}

async function laneIdOf(lane: string | undefined, { entry, patience }: Caller): Promise<LaneId> {
  if (lane === undefined) return EVERY_LANE;
  const found = (await patience.within(listLanes(entry.pool))).find(({ name }) => name === lane);
  if (found !== undefined) return found.id;
  throw await noSuchLane("no_such_lane", { entry, patience }, "lane");
}

async function noSuchLane(
  code: "lane_not_found" | "no_such_lane",
  { entry, patience }: Pick<Caller, "entry" | "patience">,
  field?: string,
): Promise<Problem> {
  const names = (await patience.within(listLanes(entry.pool))).map(({ name }) => name);
  return new Problem(code, "there is no such lane", { hint: `Lanes: ${names.join(", ")}.`, field });
}
