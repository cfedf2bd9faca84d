// `postlane lane list|pause|resume`.

import type { Pool } from "pg";
import { listLanes, pauseLane, resumeLane } from "../../queue/lane-store.ts";
import { CommandFailure, EXIT_DONE } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { DASH, number, printSpan, printTable, text } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export async function runLaneList(options: CommonOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  const rows = await withDatabase(config, listLanes);
  const lanes = rows.map(({ name, paused_at, is_held_by_guard }) => {
    const settings = config.lanes[name];
    return {
      name,
      paused_at: paused_at?.toISOString() ?? null,
      is_held_by_guard,
      priority: settings?.priority ?? null,
      outlets: settings?.outlets ?? [],
      ttl_ms: settings?.ttlMs ?? null,
      unknown: settings?.unknownPolicy ?? null,
      dispatchers: settings?.dispatchers ?? 0,
    };
  });
  output.answer({ lanes });
  const columns = [text("lane"), text(""), text("outlets"), number("ttl"), text("unknown"), number("dispatchers")];
  const cells = lanes.map((lane) => [
    lane.name,
    stateOf(lane),
    lane.outlets.join(", "),
    printSpan(lane.ttl_ms),
    lane.unknown ?? DASH,
    String(lane.dispatchers),
  ]);
  for (const line of printTable(columns, cells)) output.print(line);
  return EXIT_DONE;
}

function stateOf(lane: {
  readonly priority: string | null;
  readonly paused_at: string | null;
  readonly is_held_by_guard: boolean;
}): string {
  if (lane.priority === null) return "not configured";
  if (lane.is_held_by_guard) return "held by the guard";
  return lane.paused_at === null ? "running" : "paused";
}

export async function runLanePause(name: string, options: CommonOptions): Promise<number> {
  return await move(name, options, pauseLane, "paused");
}

export async function runLaneResume(name: string, options: CommonOptions): Promise<number> {
  return await move(name, options, resumeLane, "resumed");
}

async function move(
  name: string,
  options: CommonOptions,
  act: (pool: Pool, name: string) => Promise<boolean>,
  done: "paused" | "resumed",
): Promise<number> {
  const output = createOutput(options);
  const isHeld = await withDatabase(readConfig(options), async (pool) => {
    const isThere = await act(pool, name);
    const lanes = await listLanes(pool);
    if (isThere) return lanes.some((lane) => lane.name === name && lane.is_held_by_guard);
    const names = lanes.map((lane) => lane.name);
    throw new CommandFailure("lane_unknown", `There is no lane "${name}". Lanes: ${names.join(", ")}.`);
  });
  output.answer({ lane: name, is_paused: done === "paused", is_held_by_guard: isHeld });
  output.print(`lane ${name} is ${done}; in force within a second`);
  if (isHeld) output.print("the guard holds its mail all the same: see `postlane guard status`");
  return EXIT_DONE;
}
